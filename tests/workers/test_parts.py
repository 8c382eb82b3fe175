"""The worker's small parts, one by one: table of an attempt, mailbox, channel, staging, outbox, what an update becomes."""

import fcntl
import os
import shutil
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import Code
from labelferry_protocol.events import StageProgress
from labelferry_protocol.words import Stage
from labelferry_protocol.work import CancelOrder, Drain, Holding
from labelferry_workers.absences import BACK_SECONDS, Absences
from labelferry_workers.attempt import WAYS, WITH_CHILD, Move, Step
from labelferry_workers.channel import Channel, ChannelEnded, channel_pair
from labelferry_workers.kept_child import ending
from labelferry_workers.mailbox import MAX_KEPT, Mailbox
from labelferry_workers.moved import moved_of
from labelferry_workers.outbox import Outbox
from labelferry_workers.parcel import FLIGHT_BYTES, FULL_SECONDS, GIVE_UP_SECONDS, LONGEST_FULL_PAUSE, Parcel
from labelferry_workers.reports import Order, Report, Warm
from labelferry_workers.staging import AGAIN_SECONDS, BUNDLE, Staging, remove

KEY = Holding(job_id="b" * 32, attempt=1)


HALF = StageProgress(current=1, total=2, current_item="a.png")


@dataclass(frozen=True)
class Told:
    progress: float
    stage: Stage = Stage.IMAGES
    message: str = "m"
    stage_progress: StageProgress = HALF
    estimated_time_remaining: float | None = 1.0
    notable: bool = False


def test_nothing_leads_out_of_reporting_and_everything_leads_there() -> None:
    assert not [move for step, move in WAYS if step is Step.REPORTING]
    reached = {Step.REPORTING}
    for _ in Step:
        reached |= {step for (step, _), after in WAYS.items() if after in reached}
    assert reached == set(Step)


def test_a_child_can_die_and_be_killed_wherever_there_is_one() -> None:
    for step in WITH_CHILD:
        assert (step, Move.DIE) in WAYS
        assert (step, Move.KILL) in WAYS or step is Step.DYING


def test_the_mailbox_holds_back_the_latest_until_it_is_wanted() -> None:
    mailbox: Mailbox[Told] = Mailbox(lambda: None)
    mailbox.put(Told(0.0))
    mailbox.put(Told(0.5))
    assert mailbox.take(latest=False) == [Told(0.0)]
    assert mailbox.holds_latest
    assert mailbox.take(latest=True) == [Told(0.5)]


def test_the_mailbox_wakes_for_what_is_new_and_not_for_every_update() -> None:
    wakes: list[int] = []
    mailbox: Mailbox[Told] = Mailbox(lambda: wakes.append(1))
    for number in range(1000):
        mailbox.put(Told(number / 2000))
    assert len(wakes) == 2


def test_the_mailbox_is_bounded() -> None:
    mailbox: Mailbox[Told] = Mailbox(lambda: None)
    for number in range(1000):
        mailbox.put(Told(number))
    assert len(mailbox.take(latest=True)) == MAX_KEPT


def test_an_update_is_made_to_fit_the_wire() -> None:
    wild = Told(
        float("nan"),
        message="long " * 100 + "\udcff",
        stage_progress=StageProgress(current=-1, total=2**60, current_item="\udcff" * 200),
        estimated_time_remaining=float("inf"),
    )
    moved = moved_of(KEY, wild)
    assert moved.progress == 0
    assert len(moved.message) == 160
    assert moved.stage_progress == StageProgress(current=0, total=2**53, current_item="?" * 96)
    assert moved.estimated_time_remaining is None
    assert moved_of(KEY, replace(wild, progress=1000.0)).progress == 99


def test_a_message_cut_into_bytes_comes_out_whole() -> None:
    ours, theirs = channel_pair()
    other = Channel(theirs)
    ours.tell(CancelOrder(job_id=KEY.job_id, attempt=1))
    ours.tell(CancelOrder(job_id=KEY.job_id, attempt=2))
    assert [each.attempt for each in other.messages(Order) if isinstance(each, CancelOrder)] == [1, 2]
    ours.close()
    with pytest.raises(ChannelEnded):
        list(other.messages(Order))
    other.close()


def test_an_end_that_does_not_read_is_given_up_and_never_waited_for() -> None:
    ours, theirs = channel_pair()
    with pytest.raises(ChannelEnded, match="does not read"):
        tell_often(ours, 1_000_000)
    ours.close()
    theirs.close()


@pytest.mark.parametrize("garbage", [b"\xff" * 64, b"\x00\x00\x00\x02{}", b"\x00\x00\x00\x01\x80"])
def test_garbage_on_a_channel_ends_it(garbage: bytes) -> None:
    ours, theirs = channel_pair()
    theirs.send(garbage)
    with pytest.raises(ChannelEnded):
        list(ours.messages(Report))
    ours.close()
    theirs.close()


def test_a_channel_whose_other_end_is_closed_says_so_when_it_is_spoken_to() -> None:
    left, right = socket.socketpair()
    right.close()
    channel = Channel(left)
    with pytest.raises(ChannelEnded):
        tell_often(channel, 3)
    channel.close()


def tell_often(channel: Channel, times: int) -> None:
    for _ in range(times):
        channel.tell(Warm())


def test_what_could_not_be_removed_is_removed_when_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = Staging(tmp_path / "base", "a" * 32)
    staging.make(KEY)
    (staging.path(KEY) / "x").write_bytes(b"x")
    with monkeypatch.context() as stuck:
        stuck.setattr("labelferry_workers.staging.shutil.rmtree", lambda *_, **__: None)
        assert not staging.clear(KEY)
        staging.clear_again(1.0)
        assert staging.path(KEY).exists()
    staging.clear_again(2.0)
    assert staging.path(KEY).exists(), "now and then, not all the time"
    staging.clear_again(1.0 + AGAIN_SECONDS)
    assert not staging.path(KEY).exists()
    assert staging.close()


def test_what_a_dying_process_wrote_while_its_directory_was_put_by_is_not_said_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = Staging(tmp_path, "a" * 32)
    staging.make(KEY)

    def look_too_soon(place: Path) -> bool:
        (place / "late").write_bytes(b"x")
        return True

    with monkeypatch.context() as stuck:
        stuck.setattr("labelferry_workers.staging.shutil.rmtree", lambda *_, **__: None)
        with monkeypatch.context() as late:
            late.setattr("labelferry_workers.staging._empty", look_too_soon)
            assert not staging.clear(KEY)
        assert not staging.clear(KEY), "nor is it when it is looked at again"
    staging.clear_again(1.0)
    assert list(staging.place.iterdir()) == []
    assert staging.close()


def test_a_staging_directory_is_private_and_goes_with_its_worker(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "base", "a" * 32)
    staging.make(KEY)
    (staging.path(KEY) / "bundle.zip").write_bytes(b"x")
    assert staging.place.stat().st_mode & 0o077 == 0
    assert staging.clear(KEY)
    assert staging.clear(KEY)
    staging.make(KEY)
    assert staging.close()
    assert list((tmp_path / "base").iterdir()) == []


def test_the_empty_directory_of_an_attempt_is_the_next_ones(tmp_path: Path) -> None:
    staging = Staging(tmp_path, "a" * 32)
    first, second = Holding(job_id="a" * 32, attempt=1), Holding(job_id="b" * 32, attempt=1)
    staging.make(first)
    (staging.path(first) / BUNDLE).write_bytes(b"zip")
    before = staging.path(first).stat().st_ino
    assert staging.clear(first)
    assert not staging.path(first).exists()
    staging.make(second)
    assert staging.path(second).stat().st_ino == before
    assert list(staging.path(second).iterdir()) == []
    assert staging.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", ["stray", "folder", "mode", "link"])
def test_a_directory_that_an_attempt_has_made_another_is_no_other_attempts(tmp_path: Path, left: str) -> None:
    staging = Staging(tmp_path / "staging", "a" * 32)
    key, elsewhere = Holding(job_id="a" * 32, attempt=1), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / BUNDLE).write_bytes(b"not ours")
    staging.make(key)
    place = staging.path(key)
    match left:
        case "stray":
            (place / "stray").write_bytes(b"x")
        case "folder":
            (place / BUNDLE).mkdir()
        case "mode":
            place.chmod(0o755)
        case _:
            place.rmdir()
            place.symlink_to(elsewhere)
    assert staging.clear(key)
    assert list(staging.place.iterdir()) == []
    assert (elsewhere / BUNDLE).read_bytes() == b"not ours"


def test_a_spare_directory_that_somebody_has_written_to_is_emptied_before_it_is_used(tmp_path: Path) -> None:
    staging = Staging(tmp_path, "a" * 32)
    key = Holding(job_id="a" * 32, attempt=1)
    staging.make(key)
    staging.clear(key)
    (spare,) = staging.place.iterdir()
    (spare / "late").write_bytes(b"x")
    staging.make(key)
    assert list(staging.path(key).iterdir()) == []


@pytest.mark.parametrize("removed", ["own", "all"])
def test_a_staging_directory_that_somebody_has_removed_is_made_anew(tmp_path: Path, removed: str) -> None:
    base = tmp_path / "base"
    staging = Staging(base, "a" * 32)
    staging.make(KEY)
    staging.clear(KEY)
    shutil.rmtree(base if removed == "all" else staging.place)
    assert staging.free_bytes() > 0
    staging.make(KEY)
    assert list(staging.path(KEY).iterdir()) == []
    other = Staging(base, "b" * 32)
    assert other.sweep() == 0, "the lock is held again"
    assert other.close()
    assert staging.close()
    assert list(base.iterdir()) == []


def test_what_a_dead_worker_left_is_swept_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    living = Staging(tmp_path, "a" * 32)
    living.make(KEY)
    dead = Staging(tmp_path, "b" * 32)
    dead.make(KEY)
    fcntl.flock(dead._lock, fcntl.LOCK_UN)
    new = Staging(tmp_path, "c" * 32)
    assert new.sweep() == 1
    assert living.path(KEY).exists()
    assert not dead.place.exists()
    os.close(dead._lock)
    for each in (living, new):
        each.close()


def test_removing_follows_no_link_out_and_is_not_stopped_by_read_only_folders(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    place = tmp_path / "place"
    (place / "deep").mkdir(parents=True)
    (place / "deep" / "file").write_text("x")
    (place / "link").symlink_to(outside)
    (place / "deep").chmod(0o500)
    assert remove(place)
    assert (outside / "kept").exists()
    place.symlink_to(outside)
    assert remove(place)
    assert (outside / "kept").exists()


def test_the_outbox_repeats_ever_more_slowly_until_the_answer() -> None:
    refs = iter("123")
    outbox = Outbox(lambda: next(refs))
    outbox.put(Drain(worker_id="a" * 32), None, 0.0)
    moments = [moment for moment in range(40) if list(outbox.due(float(moment)))]
    assert moments == [0, 1, 3, 7, 12, 17, 22, 27, 32, 37]
    assert outbox.take("1") is not None
    assert outbox.take("1") is None
    assert outbox.next_at is None


@pytest.mark.parametrize(
    ("code", "clause"),
    [
        (-9, "was killed by signal 9 (SIGKILL): perhaps the machine ran out of memory"),
        (-11, "was killed by signal 11 (SIGSEGV)"),
        (3, "ended unexpectedly with exit code 3"),
        (-250, "was killed by signal 250 (unknown)"),
    ],
)
def test_how_a_process_ended_is_said_in_words(code: int, clause: str) -> None:
    assert ending(code) == clause


def parcel() -> Parcel:
    return Parcel(KEY, b"token", 10, "1", Path("bundle.zip"), begun_at=0.0, heard_at=0.0, moved_at=0.0, offer_at=0.0)


def test_a_bundle_is_offered_to_a_full_disk_soon_and_then_ever_later_until_it_has_been_full_for_too_long() -> None:
    bundle, now, pauses = parcel(), 0.0, []
    while bundle.put_off(Code.DISK_FULL, 0.5, now):
        pauses.append(bundle.offer_at - now)
        now = bundle.offer_at
        assert not bundle.given_up(now)
    assert pauses[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, LONGEST_FULL_PAUSE, LONGEST_FULL_PAUSE]
    assert FULL_SECONDS <= now < FULL_SECONDS + LONGEST_FULL_PAUSE


def test_a_depot_that_does_not_answer_is_told_once_in_a_silence() -> None:
    bundle = parcel()
    assert [bundle.tells_of_silence(now) for now in (0.0, 1.9, 2.0, 4.0)] == [False, False, True, False]
    bundle.heard(5.0)
    assert [bundle.tells_of_silence(now) for now in (6.0, 7.0, 9.0)] == [False, True, False]


@pytest.mark.parametrize("again", [0, FLIGHT_BYTES // 2])
def test_a_bundle_of_which_the_same_is_asked_for_again_and_again_is_given_up_in_the_end(again: int) -> None:
    bundle, step = parcel(), FLIGHT_BYTES // 8
    for number in range(8):
        bundle.asked(number * step, step, 0.0)
    for now in range(0, int(GIVE_UP_SECONDS), 2):
        bundle.heard(now)
        bundle.asked(again, step, now)
        assert bundle.given_up(now) is None
    bundle.heard(GIVE_UP_SECONDS + 1)
    bundle.asked(again, step, GIVE_UP_SECONDS + 1)
    assert "nothing of the bundle reaches it" in (bundle.given_up(GIVE_UP_SECONDS + 1) or "")


def test_a_depot_that_begins_a_bundle_again_has_all_the_time_again() -> None:
    bundle, step, now = parcel(), FLIGHT_BYTES // 8, 0.0
    for _ in range(2):
        for number in range(100):
            now += GIVE_UP_SECONDS / 50
            bundle.heard(now)
            bundle.asked(number * step, step, now)
            assert bundle.given_up(now) is None


def test_a_bundle_that_the_depot_cannot_store_is_offered_three_times_more_and_one_that_must_wait_as_often_as_it_takes() -> (
    None
):
    bundle = parcel()
    assert [bundle.put_off(Code.STORE, 5.0, 0.0) for _ in range(4)] == [True, True, True, False]
    bundle = parcel()
    assert all(bundle.put_off(Code.BUSY, 1.0, now) for now in range(100))


def test_a_connection_that_is_lost_and_does_not_come_back_is_over_after_a_pause_of_its_own() -> None:
    chances = iter([0.0, 1.0, 1.0])
    absences = Absences(lambda: next(chances))
    absences.lost(Lane.WORK, 0.0)
    absences.lost(Lane.CONTROL, 0.0)
    # It is lost again with each try that fails; that begins no new pause.
    absences.lost(Lane.WORK, 1.0)
    assert absences.next_at == 0.5 * BACK_SECONDS
    assert absences.over(0.5 * BACK_SECONDS - 0.1) == []
    assert absences.over(0.5 * BACK_SECONDS) == [Lane.WORK]
    assert absences.over(1.5 * BACK_SECONDS) == [Lane.WORK, Lane.CONTROL]


def test_a_connection_that_is_back_is_not_over() -> None:
    absences = Absences(lambda: 0.5)
    absences.lost(Lane.WORK, 0.0)
    absences.back(Lane.WORK)
    assert absences.over(100.0) == []
    assert absences.next_at is None
