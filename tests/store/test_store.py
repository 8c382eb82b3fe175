"""The ledger on disk: whole turns, epochs, and brokers that may write no more."""

import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from labelferry_broker.ledger.effects import AddAttempt, AddJob, EndAttempt, SaveTransfer, UpdateJob
from labelferry_broker.ledger.rows import AttemptRow, JobRow, Outcome, TransferRow
from labelferry_broker.store.diverged import Diverged
from labelferry_broker.store.store import FILE, Store
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.words import State, TransferState


def row(number: int = 1, state: State = State.QUEUED, owner: str = "ada", name: str | None = None) -> JobRow:
    return JobRow(
        job_id=f"{number:032x}",
        number=number,
        owner=owner,
        idempotency_key=str(number),
        project="nuclei",
        source=Source(location="/data/nuclei"),
        options=ExportOptions(name=name),
        created_at=1_700_000_000.123456,
        state=state,
    )


def test_an_epoch_is_above_every_one_before(tmp_path: Path) -> None:
    epochs = []
    for _ in range(3):
        store = Store.open(tmp_path)
        epochs.append(store.epoch)
        epochs.append(store.begin_epoch())
        store.close()
    assert epochs == [1, 2, 3, 4, 5, 6]


def test_what_was_applied_is_there_after_a_kill(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from labelferry_broker.store.store import Store\n"
        "from labelferry_broker.ledger.effects import SaveTemplate\n"
        "from labelferry_broker.ledger.rows import TemplateRow\n"
        "from labelferry_protocol.options import ExportOptions\n"
        "store = Store.open(Path(sys.argv[1]))\n"
        "store.apply([SaveTemplate(TemplateRow(owner='ada', name='t', options=ExportOptions(), saved_at=1.5))])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    store = Store.open(tmp_path)
    assert store.template_names("ada") == ["t"]
    store.close()


def test_only_live_jobs_are_loaded_in_their_order_with_the_last_numbers(store: Store) -> None:
    rows = [row(3), row(1, State.RUNNING), row(2, State.COMPLETED), row(9, State.FAILED), row(4, State.CANCELLING)]
    store.apply([AddJob(each) for each in rows])
    transfer = TransferRow(
        transfer_id="f" * 32,
        number=7,
        job_id=rows[2].job_id,
        user="ada",
        started_at=1.0,
        updated_at=2.0,
        received=3,
        size=4,
        state=TransferState.RUNNING,
    )
    store.apply([SaveTransfer(transfer)])
    loaded = store.load()
    assert [job.number for job in loaded.jobs] == [1, 3, 4]
    assert (loaded.last_job_number, loaded.last_transfer_number) == (9, 7)


def test_a_turn_is_written_whole_or_not_at_all(store: Store) -> None:
    store.apply([AddJob(row(1))])
    with pytest.raises(Diverged):
        store.apply([AddJob(row(2)), UpdateJob(State.RUNNING, row(1, State.COMPLETED))])
    assert store.job(row(2).job_id) is None
    assert store.job(row(1).job_id) == row(1)
    store.apply([AddJob(row(2))])
    assert store.job(row(2).job_id) == row(2)


def test_a_job_that_is_not_in_the_state_believed_stops_the_broker(store: Store) -> None:
    store.apply([AddJob(row(1)), UpdateJob(State.QUEUED, row(1, State.CANCELLED))])
    with pytest.raises(Diverged, match="state"):
        store.apply([UpdateJob(State.QUEUED, row(1, State.RUNNING))])


def test_several_moves_of_a_job_in_one_turn_are_made_in_order(store: Store) -> None:
    store.apply(
        [
            AddJob(row(1)),
            UpdateJob(State.QUEUED, row(1, State.RUNNING)),
            UpdateJob(State.RUNNING, row(1, State.QUEUED)),
            UpdateJob(State.QUEUED, row(1, State.CANCELLED)),
        ]
    )
    found = store.job(row(1).job_id)
    assert found is not None
    assert found.state is State.CANCELLED


def test_an_attempt_ends_once(store: Store) -> None:
    job = row(1)
    attempt = AttemptRow(
        job_id=job.job_id, attempt=1, worker_id="1" * 32, worker_user="crew", host="host", leased_at=1.0
    )
    end = EndAttempt(job.job_id, 1, 2.0, Outcome.LOST, "gone")
    store.apply([AddJob(job), AddAttempt(attempt), end])
    found = store.attempt(job.job_id, 1)
    assert found is not None
    assert (found.outcome, found.ended_at, found.reason) == (Outcome.LOST, 2.0, "gone")
    with pytest.raises(Diverged, match="attempt"):
        store.apply([end])


def test_a_job_of_the_same_key_is_refused_by_the_tables_too(store: Store) -> None:
    store.apply([AddJob(row(1))])
    twin = JobRow(
        job_id="e" * 32,
        number=2,
        owner="ada",
        idempotency_key="1",
        project="p",
        source=Source(location="/x"),
        options=ExportOptions(),
        created_at=0.0,
    )
    with pytest.raises(Diverged):
        store.apply([AddJob(twin)])


def test_a_broker_that_was_followed_by_another_writes_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
        other.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'")
    with pytest.raises(Diverged, match="another broker"):
        store.apply([AddJob(row(1))])
    assert store.job(row(1).job_id) is None
    store.close()


def moved(state: Path) -> None:
    state.rename(state.with_name("elsewhere"))


def removed(state: Path) -> None:
    shutil.rmtree(state)


def replaced(state: Path) -> None:
    shutil.copy(state / FILE, state / "copy")
    (state / "copy").rename(state / FILE)


def unlocked(state: Path) -> None:
    (state / "broker.lock").unlink()


def no_directory(state: Path) -> None:
    moved(state)
    state.touch()


@pytest.mark.parametrize("take_away", [moved, removed, replaced, unlocked, no_directory])
def test_a_state_directory_that_was_taken_away_stops_the_broker(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    store = Store.open(tmp_path / "state")
    store.apply([AddJob(row(1))])
    store.check_files()
    take_away(tmp_path / "state")
    with pytest.raises(Diverged, match="was moved away, removed or replaced"):
        store.check_files()
    with pytest.raises(Diverged, match="put the state directory back"):
        store.apply([AddJob(row(2))])
    assert store.load().jobs == (row(1),)
    store.close()


def test_a_state_directory_that_was_put_back_is_the_same_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state")
    moved(tmp_path / "state")
    (tmp_path / "elsewhere").rename(tmp_path / "state")
    store.apply([AddJob(row(1))])
    store.close()


def test_two_brokers_never_share_a_state_directory(tmp_path: Path) -> None:
    first = Store.open(tmp_path)
    with pytest.raises(Refusal, match=r"another broker \(process \d+\) uses") as refused:
        Store.open(tmp_path)
    assert refused.value.code is Code.STORE
    first.close()
    Store.open(tmp_path).close()


def test_a_locked_database_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    store = Store.open(tmp_path, busy_seconds=0.01)
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Refusal, match="cannot be written now") as refused:
            store.apply([AddJob(row(1))])
        assert refused.value.code is Code.STORE
        assert refused.value.retry_after
    store.begin_epoch()
    assert store.job(row(1).job_id) is None
    store.apply([AddJob(row(1))])
    store.close()


def test_a_ledger_that_finds_no_room_at_its_start_asks_whether_its_disk_is_full(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(Refusal, match=r"cannot be opened now: disk I/O error \(is its disk full\?\)"):
            Store.open(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_refused_and_nothing_is_written(store: Store) -> None:
    store.apply([AddJob(row(1))])
    pages = store._writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    store._writer.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    store._writer.rollback()
    with pytest.raises(Refusal, match="full") as refused:
        store.apply([AddJob(row(number, name="n" * 255)) for number in range(2, 500)])
    assert refused.value.code is Code.STORE
    assert store.load().jobs == (row(1),)


@pytest.mark.parametrize("content", [b"this is not a database, but it is long enough to look at" * 50])
def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(Refusal, match=r"is damaged \(.*\): put a copy of it back") as refused:
        Store.open(tmp_path)
    assert refused.value.code is Code.STORE
    assert (tmp_path / FILE).read_bytes() == content


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        ("UPDATE jobs SET options = '{bad'", "options"),
        ("UPDATE jobs SET source = '[]'", "source"),
        ("UPDATE jobs SET reasons = X'FF'", "reasons"),
        ("UPDATE jobs SET cancel = 5", "cancel"),
        ("UPDATE jobs SET number = 'first'", "int"),
        ("UPDATE jobs SET attempt = 'none'", "attempt"),
        ("UPDATE jobs SET created_at = 'yesterday'", "created_at"),
        ("UPDATE jobs SET state = 'asleep'", "asleep"),
        ("UPDATE jobs SET state = 'completed', bundle_attempt = 1, bundle = '{bad'", "bundle"),
        ("UPDATE jobs SET state = 'completed', bundle_attempt = 1, bundle = NULL", "bundle"),
        ("UPDATE jobs SET state = 'completed', bundle_attempt = 1, options = '{bad'", "options"),
        ("UPDATE jobs SET state = 'completed', number = 'last'", "int"),
    ],
)
def test_a_row_that_is_damaged_is_named_when_the_ledger_is_loaded(tmp_path: Path, damage: str, word: str) -> None:
    store = Store.open(tmp_path)
    store.apply([AddJob(row(1))])
    with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
        other.execute(damage)
    with pytest.raises(Refusal, match=r"ledger\.sqlite3 is damaged \(.*\): put a copy of it back") as refused:
        store.load()
    assert refused.value.code is Code.STORE
    assert word in refused.value.message
    store.close()


def test_a_row_of_the_past_that_is_damaged_is_refused_where_it_is_read(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.apply([AddJob(row(1, State.FAILED)), AddJob(row(2, State.FAILED))])
    with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
        other.execute("UPDATE jobs SET terminal = '{}' WHERE number = 1")
    assert store.load().last_job_number == 2
    assert store.job(row(2).job_id) == row(2, State.FAILED)
    with pytest.raises(Refusal, match=rf"the row of {row(1).job_id}: terminal: "):
        store.job(row(1).job_id)
    store.close()


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="cannot be used"):
        Store.open(tmp_path / "file")


def test_a_missing_state_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    store.close()
    store.close()


def test_a_database_may_be_named_by_url(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/by-url.db")
    store.apply([AddJob(row(1))])
    assert store.count_by_state("ada") == {State.QUEUED: 1}
    store.close()


def test_every_commit_reaches_the_disk(store: Store) -> None:
    assert store._writer.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    assert store._writer.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    assert store._writer.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
