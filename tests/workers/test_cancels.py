"""Cancels of real children at every moment: confirmed, nothing of the job left, no process left, the next job runs."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from labelferry_protocol import work

pytestmark = pytest.mark.processes

JOB = "b" * 32
Start = Callable[..., Any]
Gone = Callable[[int, float], bool]


def order(job_id: str = JOB, *, keep_partial: bool = False, grace: float = 0.5) -> work.CancelOrder:
    return work.CancelOrder(job_id=job_id, attempt=1, keep_partial=keep_partial, grace=grace)


def cancel(broker: Any, job_id: str = JOB, *, keep_partial: bool = False, grace: float = 0.5) -> tuple[Any, float]:
    """Order it on control, and again until it is seen; return the confirmation and how long it took (s)."""
    began = time.monotonic()
    next_at = began
    while not broker.heard(work.AttemptCancelled, job_id):
        assert time.monotonic() < began + 20
        if time.monotonic() >= next_at and not broker.heard(work.CancelSeen, job_id):
            broker.order(order(job_id, keep_partial=keep_partial, grace=grace))
            next_at = time.monotonic() + 0.1
        broker.serve(0.01)
    word = broker.heard(work.AttemptCancelled, job_id)[0]
    return word, broker.moment(word) - began


def in_the_long_unit(worker: Any) -> bool:
    return any(worker.staging.glob("worker-*/stuck.txt"))


def test_cancels_at_many_moments_are_all_confirmed_clean_and_without_force(broker: Any, start: Start) -> None:
    """How soon is measured in `benchmarks`; here it is seen that nobody has to wait for the grace, on however busy a machine."""
    worker = start()
    confirmed = 0
    for number in range(24):
        job_id = f"{number:032x}"
        broker.lease(job_id, "units/50")
        broker.serve_for(number * 0.025)
        if broker.heard(work.AttemptFinished, job_id):
            continue
        word, _ = cancel(broker, job_id, grace=15.0)
        assert word.cleanup_completed
        assert not word.forced
        assert worker.left() == []
        assert not broker.heard(work.AttemptFinished, job_id)
        confirmed += 1
    assert confirmed >= 16


def test_a_child_that_is_still_starting_is_cancelled(broker: Any, start: Start) -> None:
    worker = start(PRETEND_SLOW_START="5")
    broker.lease(JOB, "units/50")
    word, seconds = cancel(broker)
    assert word.cleanup_completed
    assert seconds < 5, "it does not wait for the start"
    assert worker.left() == []
    assert not broker.heard(work.AttemptStarted)


def test_a_child_that_ignores_the_order_is_killed_after_the_grace(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "stubborn/60")
    broker.until(lambda: in_the_long_unit(worker))
    word, seconds = cancel(broker, grace=0.3)
    assert word.forced
    assert word.cleanup_completed
    assert 0.3 <= seconds < 15, "the unit takes a minute"
    assert worker.left() == []
    broker.lease("c" * 32, "units/2")
    broker.until(lambda: broker.heard(work.AttemptFinished, "c" * 32))


def test_a_stopped_child_is_killed_too(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "units/1000")
    broker.until(lambda: broker.frames)
    for pid in worker.children():
        os.kill(pid, signal.SIGSTOP)
    word, _ = cancel(broker, grace=0.2)
    assert word.forced
    assert worker.left() == []


def test_processes_that_the_export_started_are_gone_with_it(broker: Any, start: Start, gone: Gone) -> None:
    worker = start()
    broker.lease(JOB, "family/60")
    broker.until(lambda: list(worker.staging.glob("worker-*/family.pid")))
    (note,) = worker.staging.glob("worker-*/family.pid")
    word, _ = cancel(broker, grace=0.2)
    assert gone(int(note.read_text()), 1.0)
    assert word.cleanup_completed
    assert worker.left() == []


def test_a_cancel_is_seen_before_it_is_confirmed(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "stubborn/60")
    broker.until(lambda: in_the_long_unit(worker) and len(broker.topics) == 2)
    broker.order(order(grace=2.0))
    broker.until(lambda: broker.heard(work.CancelSeen))
    assert not broker.heard(work.AttemptCancelled)
    broker.until(lambda: broker.heard(work.AttemptCancelled))


def test_an_order_lost_on_control_comes_with_the_renewal(broker: Any, start: Start) -> None:
    broker.renew_seconds = 0.2
    start()
    broker.lease(JOB, "units/1000")
    broker.until(lambda: broker.heard(work.AttemptStarted))
    broker.cancels = (order(),)
    broker.until(lambda: broker.heard(work.AttemptCancelled))


def test_an_order_as_the_answer_to_a_publish_request_ends_the_attempt(broker: Any, start: Start) -> None:
    worker = start()
    broker.answers[work.RequestPublish] = order()
    broker.lease(JOB, "units/2")
    broker.until(lambda: broker.heard(work.AttemptCancelled))
    assert worker.left() == []
    assert not broker.stored


def test_an_order_as_the_answer_to_the_finish_is_confirmed_as_a_cancel(broker: Any, start: Start) -> None:
    start()
    broker.answers[work.AttemptFinished] = order()
    broker.lease(JOB, "units/2")
    broker.until(lambda: broker.heard(work.AttemptCancelled))
    assert broker.heard(work.AttemptCancelled)[0].receipt is None


def test_a_cancel_while_the_bundle_is_brought_has_the_depot_forget_it(broker: Any, start: Start) -> None:
    worker = start()
    broker.depot_stalls = True
    broker.lease(JOB, "units/2")
    broker.until(lambda: broker.granted)
    broker.serve_for(0.1)
    word, _ = cancel(broker)
    assert word.cleanup_completed
    broker.until(lambda: broker.abandoned)
    assert worker.left() == []


def test_a_finished_part_is_kept_when_that_is_wished(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "units/1000")
    broker.until(lambda: len(broker.frames) > 3)
    word, _ = cancel(broker, keep_partial=True)
    assert word.receipt == b"receipt"
    assert word.counts.images > 1
    assert broker.stored[JOB].startswith(b"part")
    assert broker.granted[JOB].partial
    assert worker.left() == []


def test_packing_the_finished_part_ends_at_once_when_it_is_not_wished_any_more(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "slowpack/1000")
    # The first word of control counts only for who listens there already.
    broker.until(lambda: len(broker.frames) > 3 and len(broker.topics) == 2)
    broker.order(order(keep_partial=True))
    broker.until(lambda: broker.heard(work.CancelSeen))
    broker.serve_for(0.7)
    assert not broker.heard(work.AttemptCancelled)
    broker.order(order(keep_partial=False))
    broker.until(lambda: broker.heard(work.AttemptCancelled))
    assert broker.heard(work.AttemptCancelled)[0].receipt is None
    assert worker.left() == []


def test_sigterm_from_outside_does_not_stop_an_export(broker: Any, start: Start) -> None:
    worker = start()
    broker.lease(JOB, "units/50")
    broker.until(lambda: broker.frames)
    children = worker.children()
    for pid in children:
        os.kill(pid, signal.SIGINT)
    # The oldest is the one that was warm when the lease came; one that still starts may end of it.
    os.kill(children[0], signal.SIGTERM)
    broker.until(lambda: broker.heard(work.AttemptFinished))
