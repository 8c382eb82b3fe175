"""The store itself: opened by one broker at a time, written in whole turns, read by the ledger as its `Archive`."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from labelferry_broker.ledger.effects import Save
from labelferry_broker.ledger.rows import AttemptRow, JobRow, Loaded, TemplateRow, TransferRow
from labelferry_broker.store import columns, migrations
from labelferry_broker.store.diverged import Damaged, Diverged
from labelferry_broker.store.lock import Lock
from labelferry_broker.store.open_files import OpenFiles
from labelferry_broker.store.opening import open_sqlite, own
from labelferry_broker.store.prepared import Prepared
from labelferry_broker.store.tables import ATTEMPTS, JOBS, META, TEMPLATES, TRANSFERS
from labelferry_broker.store.writing import write_turn
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.life import TERMINAL
from labelferry_protocol.words import State, TransferState

T = TypeVar("T")

FILE = "ledger.sqlite3"
BUSY_SECONDS = 5.0
DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
"""What SQLite says of a file that is not, or not any more, a database."""
PRIMARY = 0xFF
"""The part of an error code of SQLite that says what kind it is."""

JOB = Prepared(sa.select(JOBS).where(JOBS.c.job_id == sa.bindparam("job_id")))
JOB_OF_KEY = Prepared(
    sa.select(JOBS).where(JOBS.c.owner == sa.bindparam("owner"), JOBS.c.idempotency_key == sa.bindparam("key"))
)
BUNDLES = (
    # Whole rows, for whatever the depot holds is asked about at once, and a row that is damaged is to be found before that.
    sa.select(JOBS)
    .where(JOBS.c.bundle_attempt.is_not(None))
    .order_by(JOBS.c.finished_at, JOBS.c.number)
    .execution_options(yield_per=500)
)
ATTEMPT = Prepared(
    sa.select(ATTEMPTS).where(
        ATTEMPTS.c.job_id == sa.bindparam("job_id"), ATTEMPTS.c.attempt == sa.bindparam("attempt")
    )
)
TRANSFER = sa.select(TRANSFERS).where(TRANSFERS.c.transfer_id == sa.bindparam("transfer_id"))
TEMPLATE = sa.select(TEMPLATES).where(
    TEMPLATES.c.owner == sa.bindparam("owner"), TEMPLATES.c.name == sa.bindparam("name")
)


class Store:
    """The rows of every job, attempt, transfer and template. Implements `labelferry_broker.ledger.archive.Archive`.

    Two connections: one writes turns, one reads, each seeing what was committed. To be used by one thread.
    """

    def __init__(self, engine: sa.Engine, lock: Lock | None, place: str) -> None:
        self._engine = engine
        self._lock = lock
        self._place = place
        self._epoch = 0
        self._files = OpenFiles()
        self._writer = engine.connect()
        self._reader = engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    @classmethod
    def open(
        cls, place: Path | str, busy_seconds: float = BUSY_SECONDS, may_begin: Callable[[], None] = lambda: None
    ) -> Self:
        """Open the ledger of a state directory (made when it is missing), or of a database URL, and begin an epoch.

        `may_begin` is called before an empty ledger is begun, and raises where there must be one that is not.
        Raises `Refusal(STORE)` with what to do: another broker has it, it is of a newer labelferry, the disk is full or read-only.
        """
        lock = None
        files: tuple[Path, ...] = ()
        if isinstance(place, str) and "://" in place:
            engine, name = sa.create_engine(place), sa.make_url(place).render_as_string()
        else:
            directory = Path(place)
            lock = own(directory)
            path = directory / FILE
            engine, name, files = open_sqlite(path, busy_seconds), str(path), (path, lock.path)
        store = None
        try:
            with _translated(name, "opened"):
                store = cls(engine, lock, name)
                migrations.migrate(store._reader, may_begin=may_begin)
                store.begin_epoch()
                store._files = OpenFiles(files)
        except BaseException:
            if store is not None:
                store.close()
            elif lock is not None:
                lock.release()
            raise
        return store

    @property
    def epoch(self) -> int:
        """This incarnation's number, higher than any before, durably."""
        return self._epoch

    def begin_epoch(self) -> int:
        """Begin another epoch, as after a restart: what to do after `apply` was refused, before a new `Ledger` is made."""
        row = META.c.name == "epoch"
        with _translated(self._place, "written"), self._writer.begin():
            raised = self._writer.execute(sa.update(META).where(row).values(value=META.c.value + 1))
            if raised.rowcount == 0:
                self._writer.execute(sa.insert(META).values(name="epoch", value=1))
            epoch = self._writer.execute(sa.select(META.c.value).where(row)).scalar_one()
        self._epoch = epoch
        return self._epoch

    def load(self) -> Loaded:
        """Return what a ledger that starts must know; raise `Refusal(STORE)` when a row of that is damaged."""
        live = [state.value for state in State if state not in TERMINAL]
        jobs = sa.select(JOBS).where(JOBS.c.state.in_(live)).order_by(JOBS.c.number)
        # A job in a state that nobody knows is on no other list.
        self.count_by_state(None)
        return Loaded(
            jobs=tuple(self._rows(columns.job_row, jobs)),
            last_job_number=self._last(JOBS.c.number),
            last_transfer_number=self._last(TRANSFERS.c.number),
            bundles=tuple(self._rows(columns.bundle_row, BUNDLES)),
        )

    def apply(self, saves: Sequence[Save]) -> None:
        """Write a turn, all of it or nothing, durable on return; nothing at all for an empty one.

        Raises `Refusal(STORE)` when the disk is full or the database locked: nothing was written. Raises `Diverged` when
        the rows are not what the ledger believed, or a later epoch has begun: a bug or a second broker; stop. As does
        `check_files`, which is asked before the commit.
        """
        if saves:
            with _translated(self._place, "written"), self._writer.begin():
                write_turn(self._writer, self._epoch, saves)
                self.check_files()

    def check_files(self) -> None:
        """Raise `Diverged` when what is open is no longer what lies in the state directory: what is written would be lost with this process."""
        self._files.check()

    def close(self) -> None:
        """Close the database and let go of the lock; may be repeated."""
        for connection in (self._reader, self._writer):
            connection.close()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def job(self, job_id: str) -> JobRow | None:
        """Return a job, ended or not."""
        return _only(self._rows(columns.job_row, JOB, job_id=job_id))

    def job_of_key(self, owner: str, idempotency_key: str) -> JobRow | None:
        """Return the job that this user's key has made."""
        return _only(self._rows(columns.job_row, JOB_OF_KEY, owner=owner, key=idempotency_key))

    def attempt(self, job_id: str, attempt: int) -> AttemptRow | None:
        """Return one attempt of a job."""
        return _only(self._rows(columns.attempt_row, ATTEMPT, job_id=job_id, attempt=attempt))

    def history(self, owner: str | None, before: int | None, limit: int) -> Sequence[JobRow]:
        """Return at most `limit` jobs, newest first: of one owner or of all (None), with a number below `before`."""
        query = sa.select(JOBS).order_by(JOBS.c.number.desc()).limit(limit)
        if owner is not None:
            query = query.where(JOBS.c.owner == owner)
        if before is not None:
            query = query.where(JOBS.c.number < before)
        return self._rows(columns.job_row, query)

    def count_by_state(self, owner: str | None) -> Mapping[State, int]:
        """Return how many jobs are in each state, of one owner or of all (None); states without a job are left out."""
        query = sa.select(JOBS.c.state, sa.func.count().label("jobs")).group_by(JOBS.c.state)
        if owner is not None:
            query = query.where(JOBS.c.owner == owner)
        return dict(self._rows(columns.state_count, query))

    def transfer(self, transfer_id: str) -> TransferRow | None:
        """Return one download."""
        return _only(self._rows(columns.transfer_row, TRANSFER, transfer_id=transfer_id))

    def transfers(self, job_id: str, limit: int) -> Sequence[TransferRow]:
        """Return at most `limit` downloads of a job, newest first."""
        query = sa.select(TRANSFERS).where(TRANSFERS.c.job_id == job_id).order_by(TRANSFERS.c.number.desc())
        return self._rows(columns.transfer_row, query.limit(limit))

    def count_downloads(self, job_ids: Iterable[str]) -> Mapping[str, int]:
        """Return how many downloads of each job are complete; jobs without one are left out."""
        query = (
            sa.select(TRANSFERS.c.job_id, sa.func.count().label("downloads"))
            .where(TRANSFERS.c.job_id.in_(list(job_ids)), TRANSFERS.c.state == TransferState.COMPLETED.value)
            .group_by(TRANSFERS.c.job_id)
        )
        return {row["job_id"]: row["downloads"] for row in self._rows(dict, query)}

    def template(self, owner: str, name: str) -> TemplateRow | None:
        """Return a user's template."""
        return _only(self._rows(columns.template_row, TEMPLATE, owner=owner, name=name))

    def template_names(self, owner: str) -> Sequence[str]:
        """Return the names of a user's templates, sorted."""
        query = sa.select(TEMPLATES.c.name).where(TEMPLATES.c.owner == owner)
        return sorted(row["name"] for row in self._rows(dict, query))

    def _rows(
        self, make: Callable[[Mapping[str, Any]], T], query: sa.Select[Any] | Prepared, **values: Any
    ) -> Sequence[T]:
        with _translated(self._place, "read"):
            if isinstance(query, Prepared):
                return [_made(make, record) for record in query.read(self._reader, values)]
            return [_made(make, dict(record)) for record in self._reader.execute(query, values).mappings()]

    def _last(self, numbers: sa.Column[int]) -> int:
        (last,) = self._rows(columns.number, sa.select(sa.func.coalesce(sa.func.max(numbers), 0).label("number")))
        return last


@contextmanager
def _translated(place: str, verb: str) -> Iterator[None]:
    """Make what the database says a sentence for a person; rows that are not as believed stay `Diverged`."""
    try:
        yield
    except Damaged as error:
        raise _damaged(place, error) from error
    except sa.exc.IntegrityError as error:
        raise Diverged(f"the ledger {place} does not hold what the broker believed: {error.orig}") from error
    except sa.exc.DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0)
        if code in DAMAGED:
            raise _damaged(place, error.orig) from error
        # What SQLite says also of a full disk, where it was not the ledger's own file that found no room.
        hint = " (is its disk full?)" if code & PRIMARY == sqlite3.SQLITE_IOERR else ""
        raise Refusal(
            Code.STORE, f"the ledger {place} cannot be {verb} now: {error.orig}{hint}", retry_after=BUSY_SECONDS
        ) from error


def _damaged(place: str, trouble: BaseException | None) -> Refusal:
    return Refusal(
        Code.STORE,
        f"the ledger {place} is damaged ({trouble}): put a copy of it back, or begin anew with another --state directory",
    )


def _made(make: Callable[[Mapping[str, Any]], T], record: Mapping[str, Any]) -> T:
    try:
        return make(record)
    except ValueError as error:
        raise Damaged(f"the row of {next(iter(record.values()))}: {error}") from error


def _only(rows: Iterable[T]) -> T | None:
    return next(iter(rows), None)
