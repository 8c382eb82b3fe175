"""A real worker with real children, against a pretended broker: leases, publishing, crashes, going. Cancels are in a file of their own."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labelferry_protocol import requests, work
from labelferry_protocol.errors import Code
from labelferry_protocol.words import Stage

pytestmark = pytest.mark.processes

JOB = "b" * 32
Start = Callable[..., Any]
Gone = Callable[[int, float], bool]


def ended(broker: Any, kind: type[Any], job_id: str = JOB) -> Any:
    broker.until(lambda: broker.heard(kind, job_id))
    return broker.heard(kind, job_id)[0]


def test_a_lease_is_begun_shown_published_and_finished(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "units/20")
    word = ended(broker, work.AttemptFinished)
    assert len(broker.heard(work.AttemptStarted)) == 1
    assert broker.stored[JOB].startswith(b"whole")
    assert word.receipt == b"receipt"
    assert word.counts.images == 21
    shown = [frame.progress for frame in broker.frames]
    assert shown == sorted(shown)
    assert shown[-1] == 99, "a small bundle is there before anybody could read that it is on its way"
    assert worker.left() == []


def test_a_worker_that_cannot_say_that_it_is_ready_ends_with_a_sentence(
    broker: Any, worker_process: Callable[..., Any]
) -> None:
    worker = worker_process(str(broker.endpoint))
    worker.process.stdout.close()
    broker.until(lambda: worker.process.poll() is not None)
    assert worker.wait() == 1
    said = worker.log.read_text()
    assert said.endswith("labelferry worker: cannot use: Broken pipe\n")
    assert "Traceback" not in said


def test_a_large_bundle_comes_in_pieces_with_progress(broker: Any, start: Start) -> None:
    start()
    broker.lease(JOB, "big/3")
    ended(broker, work.AttemptFinished)
    assert len(broker.stored[JOB]) == 3_000_000
    brought = [frame for frame in broker.frames if frame.progress > 99]
    assert any(0 < frame.stage_progress.current < 3_000_000 for frame in brought)
    assert all(frame.progress < 100 and frame.stage is Stage.COMPRESSION for frame in brought)


def test_two_jobs_run_side_by_side_in_two_slots_and_their_children_are_used_again(broker: Any, start: Start) -> None:
    worker = start("--slots", "2")
    before: list[int] = []
    for first, second in (("a" * 32, "b" * 32), ("c" * 32, "d" * 32)):
        broker.lease(first, "units/30")
        broker.lease(second, "units/30")
        broker.until(lambda: len(broker.heard(work.AttemptFinished)) in (2, 4))
        begun = [broker.moment(each) for each in broker.heard(work.AttemptStarted)[-2:]]
        finished = [broker.moment(each) for each in broker.heard(work.AttemptFinished)[-2:]]
        assert max(begun) < min(finished)
        broker.serve_for(0.3)
        now = worker.children()
        assert set(before) <= set(now)
        before = now


def test_an_error_of_the_export_travels_with_its_code_stage_and_item(broker: Any, start: Start) -> None:
    worker = start()
    before = worker.children()
    broker.lease(JOB, "refuse/0")
    word = ended(broker, work.AttemptFailed)
    assert (word.code, word.stage, word.item, word.retryable) == (Code.ITEM, Stage.IMAGES, "image-7.png", False)
    assert word.message == "image-7.png is broken: mend it"
    assert word.cleanup_completed
    assert worker.left() == []
    assert set(before) <= set(worker.children()), "a child that can say what is wrong is sound"


@pytest.mark.parametrize(
    ("what", "code", "retryable", "words"),
    [
        ("fault/0", Code.INTERNAL, True, "ValueError: a bug ? of ours"),
        ("memory/0", Code.INTERNAL, True, "ran out of memory"),
        ("disk/0", Code.DISK_FULL, False, "disk of the worker is full"),
        ("die/9", Code.WORKER_LOST, True, "was killed by signal 9 (SIGKILL)"),
        ("die/11", Code.WORKER_LOST, True, "was killed by signal 11 (SIGSEGV)"),
        ("leave/3", Code.WORKER_LOST, True, "ended unexpectedly with exit code 3"),
    ],
)
def test_whatever_goes_wrong_in_a_child_is_said_in_a_sentence_and_the_next_job_runs(
    broker: Any, start: Start, what: str, code: Code, retryable: bool, words: str
) -> None:
    worker = start()
    broker.lease(JOB, what)
    word = ended(broker, work.AttemptFailed)
    assert (word.code, word.retryable, word.cleanup_completed) == (code, retryable, True)
    assert words in word.message
    assert "Traceback" not in word.message
    assert worker.left() == []
    broker.lease("c" * 32, "units/2")
    ended(broker, work.AttemptFinished, "c" * 32)


def test_a_child_killed_from_outside_is_known_within_a_second(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "units/1000")
    broker.until(lambda: broker.frames)
    killed_at = time.monotonic()
    for pid in worker.children():
        os.kill(pid, signal.SIGKILL)
    word = ended(broker, work.AttemptFailed)
    assert broker.moment(word) - killed_at < 1.0
    assert word.code is Code.WORKER_LOST
    assert worker.left() == []


def test_a_lease_that_comes_before_a_child_is_warm_is_run_when_it_is(broker: Any, start: Start) -> None:
    start(PRETEND_SLOW_START="0.5")
    broker.lease(JOB, "units/2")
    ended(broker, work.AttemptFinished)


def test_children_that_cannot_start_fail_their_attempt_and_are_not_started_in_a_loop(broker: Any, start: Start) -> None:
    worker = start(PRETEND_STILLBORN="1")
    broker.lease(JOB, "units/2")
    assert ended(broker, work.AttemptFailed).code is Code.WORKER_LOST
    broker.serve_for(1.0)
    assert worker.log.read_text().count("a child did not start") < 10


def test_a_library_that_prints_does_not_disturb_the_channel(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "chatter/0")
    ended(broker, work.AttemptFinished)
    assert "hello from a library" in worker.log.read_text()


def test_a_process_left_behind_by_a_finished_export_is_ended(broker: Any, start: Start, gone: Gone) -> None:
    worker = start()
    broker.lease(JOB, "orphan/0")
    ended(broker, work.AttemptFinished)
    (note,) = worker.staging.glob("worker-*/family.pid")
    assert gone(int(note.read_text()), 1.0)


def test_a_word_without_an_answer_is_repeated(broker: Any, start: Start) -> None:
    start()
    broker.deaf = (work.AttemptFinished,)
    broker.lease(JOB, "units/2")
    broker.until(lambda: len(broker.heard(work.AttemptFinished)) == 2)
    broker.deaf = ()
    broker.until(lambda: len(broker.heard(work.AttemptFinished)) == 3)


def test_a_fenced_attempt_is_killed_and_not_spoken_of(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "stubborn/60")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    broker.tell(work.Fenced(job_id=JOB, attempt=1))
    broker.until(lambda: not worker.left())
    broker.serve_for(0.3)
    assert not broker.heard(work.AttemptFailed)
    assert not broker.heard(work.AttemptCancelled)


def test_lost_renewals_end_the_attempt_before_its_lease_does(broker: Any, start: Start) -> None:
    broker.lease_seconds, broker.renew_seconds = 2.0, 0.2
    worker = start()
    broker.lease(JOB, "stubborn/60")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    broker.deaf = (work.Renew, work.Register)
    silent_from = time.monotonic()
    broker.until(lambda: not worker.left())
    assert time.monotonic() - silent_from < broker.lease_seconds
    broker.deaf = ()
    broker.until(lambda: broker.said and isinstance(broker.said[-1], work.Renew) and broker.said[-1].holding == ())
    assert not broker.heard(work.AttemptFailed)


def test_a_stopped_supervisor_that_wakes_after_its_lease_kills_before_it_says_anything(
    broker: Any, start: Start
) -> None:
    broker.lease_seconds, broker.renew_seconds = 1.0, 0.2
    worker = start()
    broker.lease(JOB, "units/60")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    worker.process.send_signal(signal.SIGSTOP)
    broker.serve_for(1.5)
    worker.process.send_signal(signal.SIGCONT)
    broker.until(lambda: not worker.left())
    broker.serve_for(0.5)
    assert not broker.heard(work.RequestPublish)
    assert not broker.heard(work.AttemptFinished)


def test_a_job_goes_on_over_a_restart_of_the_broker(broker: Any, start: Start) -> None:
    start()
    broker.lease(JOB, "units/100")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    broker.close()
    broker.open()
    word = ended(broker, work.AttemptFinished)
    again = broker.heard(work.Register)[-1]
    assert [each.job_id for each in again.holding] == [JOB]
    assert word.attempt == 1


def test_a_finish_that_falls_into_a_restart_is_said_to_the_new_broker(broker: Any, start: Start) -> None:
    start()
    broker.deaf = (work.AttemptFinished,)
    broker.lease(JOB, "units/2")
    ended(broker, work.AttemptFinished)
    broker.close()
    broker.said.clear()
    broker.heard_at.clear()
    broker.deaf = ()
    broker.open()
    ended(broker, work.AttemptFinished)


def test_an_upload_goes_on_after_the_depot_refuses_for_a_while(broker: Any, start: Start) -> None:
    start()
    busy = requests.Refused(code=Code.BUSY, message="full", retry_after=0.1)
    broker.depot_answers = [busy, busy, requests.Refused(code=Code.REGISTER, message="who?")]
    broker.lease(JOB, "big/2")
    ended(broker, work.AttemptFinished)


@pytest.mark.parametrize("code", [Code.DISK_FULL, Code.STORE, Code.BUSY])
def test_why_a_depot_takes_no_bundle_for_a_while_is_told_to_those_who_watch(
    broker: Any, start: Start, code: Code
) -> None:
    start()
    not_now = requests.Refused(code=code, message="not now, says the depot", retry_after=0.1)
    broker.depot_answers = [not_now, not_now]
    broker.lease(JOB, "units/2")
    broker.until(lambda: any(frame.message.endswith("not now, says the depot") for frame in broker.frames))
    ended(broker, work.AttemptFinished)


def test_a_depot_without_room_fails_the_attempt_with_its_reason(broker: Any, start: Start) -> None:
    worker = start()
    broker.depot_answers = [requests.Refused(code=Code.DISK_FULL, message="the depot's disk is full")]
    broker.lease(JOB, "units/2")
    word = ended(broker, work.AttemptFailed)
    assert word.message == "the bundle could not be published: the depot's disk is full"
    assert worker.left() == []


def test_an_export_whose_staging_directory_is_removed_may_be_tried_again_and_is_done_then(
    broker: Any, start: Start
) -> None:
    worker = start()
    broker.lease(JOB, "units/50")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    shutil.rmtree(worker.staging)
    word = ended(broker, work.AttemptFailed)
    assert word.retryable
    assert word.message == "somebody has removed the staging directory of the worker while the export ran"
    broker.lease(JOB, "units/2", attempt=2)
    ended(broker, work.AttemptFinished)


def test_a_worker_told_to_go_finishes_what_runs_and_leaves_with_code_0(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "units/50")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    worker.process.send_signal(signal.SIGTERM)
    broker.until(lambda: broker.heard(work.Drain))
    ended(broker, work.AttemptFinished)
    broker.until(lambda: worker.process.poll() is not None)
    assert worker.wait() == 0
    assert list(worker.staging.iterdir()) == []


def test_a_drain_order_of_the_broker_is_the_same(broker: Any, start: Start) -> None:
    worker = start()
    (worker_id,) = {each.worker_id for each in broker.heard(work.Register)}
    broker.until(lambda: broker.topics)
    broker.order(work.DrainOrder(worker_id=worker_id))
    broker.until(lambda: worker.process.poll() is not None)
    assert worker.wait() == 0


def test_what_does_not_end_within_the_drain_time_is_given_back(broker: Any, start: Start) -> None:
    worker = start("--drain-seconds", "0.3")
    broker.lease(JOB, "stubborn/60")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    worker.process.send_signal(signal.SIGTERM)
    word = ended(broker, work.AttemptFailed)
    assert (word.code, word.retryable) == (Code.WORKER_LOST, True)
    broker.until(lambda: worker.process.poll() is not None)
    assert worker.wait() == 0


def test_told_to_go_twice_a_worker_leaves_at_once_and_nothing_is_left(broker: Any, start: Start, gone: Gone) -> None:
    worker = start()
    broker.lease(JOB, "family/60")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    broker.until(lambda: list(worker.staging.glob("worker-*/family.pid")))
    (note,) = worker.staging.glob("worker-*/family.pid")
    family, children = int(note.read_text()), worker.children()
    for _ in range(2):
        worker.process.send_signal(signal.SIGTERM)
        broker.serve_for(0.1)
    assert worker.wait() == 0
    assert all(gone(pid, 1.0) for pid in [family, *children])
    assert list(worker.staging.iterdir()) == []


def test_a_worker_of_an_owner_leaves_when_the_owner_is_gone(broker: Any, start: Start, gone: Gone) -> None:
    worker = start("--until-eof")
    broker.lease(JOB, "stubborn/60")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    children = worker.children()
    worker.process.send_signal(signal.SIGINT)
    broker.serve_for(0.2)
    assert worker.process.poll() is None
    worker.process.stdin.close()
    left_at = time.monotonic()
    assert worker.wait() == 0
    assert time.monotonic() - left_at < 1.0
    assert all(gone(pid, 1.0) for pid in children)
    assert list(worker.staging.iterdir()) == []


def test_children_die_with_a_killed_supervisor_and_the_next_worker_removes_what_is_left(
    broker: Any, start: Start, gone: Gone
) -> None:
    worker = start()
    broker.lease(JOB, "stubborn/60")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    children = worker.children()
    assert children
    worker.process.kill()
    assert all(gone(pid, 1.0) for pid in children)
    assert worker.left() == [f"{JOB}.1"]
    worker.process.wait()
    again = start()
    broker.until(lambda: not again.left())
    assert len(list(again.staging.glob("worker-*.lock"))) == 1


def test_a_flood_of_updates_is_coalesced_and_the_last_one_exact(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "flood/200000")
    ended(broker, work.AttemptFinished)
    (note,) = worker.staging.glob("worker-*/flood.seconds")
    seconds = float(note.read_text())
    flooded = [frame for frame in broker.frames if frame.stage is Stage.IMAGES]
    assert len(flooded) <= 100 + 25 * (seconds + 1)
    assert {int(frame.progress) for frame in flooded} >= set(range(1, 99))
    assert flooded[-1].stage_progress.current == 200_000
    assert seconds < 200_000 * 30e-6


def test_a_child_that_is_used_again_does_not_grow(broker: Any, start: Start) -> None:
    worker = start()
    for number in range(12):
        broker.lease(f"{number:032x}", "greedy/2")
        ended(broker, work.AttemptFinished, f"{number:032x}")
    (note,) = worker.staging.glob("worker-*/rss.txt")
    sizes = [int(line) for line in Path(note).read_text().split()]
    assert len(sizes) == 12
    assert max(sizes[6:]) < max(sizes[:6]) + 5_000
