"""Workers that keep finished work of a job: they are asked first for its second attempt, and told when nobody needs it any more."""

import pytest
from tests.ledger.bench import ADA, W1, W2, Bench, holding, only

from labelferry_broker.ledger.effects import Tell
from labelferry_broker.ledger.settings import LedgerSettings
from labelferry_protocol.errors import Code
from labelferry_protocol.events import Cancelled
from labelferry_protocol.requests import Cancel, CancelAccepted, CancelSettled
from labelferry_protocol.words import State
from labelferry_protocol.work import (
    Acknowledged,
    AttemptCancelled,
    AttemptFailed,
    CancelOrder,
    Lease,
    Register,
    Registered,
    Renewed,
)

UNKNOWN = "f" * 32


def fail(bench: Bench, job_id: str, attempt: int = 1, worker_id: str = W1, *, kept: bool = True) -> None:
    message = AttemptFailed(
        worker_id=worker_id,
        job_id=job_id,
        attempt=attempt,
        code=Code.INTERNAL,
        message="the export failed unexpectedly",
        retryable=True,
        kept=kept,
    )
    bench.tell(message)


def leased_to(bench: Bench, job_id: str, attempt: int) -> str:
    (lease,) = [
        each
        for each in bench.said
        if isinstance(each, Tell)
        and isinstance(each.message, Lease)
        and (each.message.job_id, each.message.attempt) == (job_id, attempt)
    ]
    return lease.peer.decode()


def test_the_second_attempt_goes_to_the_worker_that_keeps_work_of_the_first(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2, slots=4)
    fail(bench, job_id)
    bench.wait(2)
    assert leased_to(bench, job_id, 2) == W1


def test_without_anything_kept_it_goes_elsewhere(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2)
    fail(bench, job_id, kept=False)
    bench.wait(2)
    assert leased_to(bench, job_id, 2) == W2


def test_where_the_second_attempt_failed_too_the_third_is_not_tried_first(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2)
    fail(bench, job_id)
    bench.wait(2)
    bench.start(job_id, 2)
    fail(bench, job_id, 2)
    bench.wait(5)
    assert leased_to(bench, job_id, 3) == W2


def test_nobody_waits_for_a_keeper_that_is_busy_or_gone(bench: Bench) -> None:
    job_id = bench.running()
    fail(bench, job_id)
    bench.submit("other")
    bench.register(W2)
    bench.wait(2)
    assert leased_to(bench, job_id, 2) == W2


def test_a_new_worker_process_that_found_what_was_kept_is_asked_first(bench: Bench) -> None:
    job_id = bench.running()
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    bench.register(W2, slots=4)
    bench.register("3" * 32, keeping=(job_id,))
    bench.wait(20)
    assert leased_to(bench, job_id, 2) == "3" * 32


def test_who_keeps_work_of_jobs_is_told_which_have_ended(bench: Bench) -> None:
    job_id = bench.running()
    other = bench.submit("other")
    bench.finish(job_id)
    registered = only(bench.register(W2, keeping=(job_id, other, UNKNOWN)), Registered)
    assert registered.ended == (job_id,), "of an unknown job another broker may know"
    assert only(bench.renew(W1, holding(other), keeping=(other, job_id)), Renewed).ended == (job_id,)


def test_the_last_failure_is_told_with_the_next_renewal() -> None:
    bench = Bench(LedgerSettings(max_attempts=1))
    job_id = bench.running()
    fail(bench, job_id)
    assert bench.snapshot(job_id).state is State.FAILED
    assert only(bench.renew(keeping=(job_id,)), Renewed).ended == (job_id,)


def forgotten(job_id: str, attempt: int = 1, worker_id: str = W1, *, clean: bool = True) -> AttemptCancelled:
    return AttemptCancelled(worker_id=worker_id, job_id=job_id, attempt=attempt, cleanup_completed=clean)


def waiting_at_two_keepers(bench: Bench) -> str:
    """Return a job that waits for its third attempt, of which W1 and W2 keep something."""
    job_id = bench.running()
    fail(bench, job_id)
    bench.wait(2)
    bench.start(job_id, 2)
    bench.register(W2, keeping=(job_id,))
    fail(bench, job_id, 2)
    assert bench.snapshot(job_id).state is State.QUEUED
    return job_id


def orders_told(bench: Bench, since: int = 0) -> list[tuple[bytes, CancelOrder]]:
    told = [each for each in bench.said[since:] if isinstance(each, Tell)]
    return [(each.peer, each.message) for each in told if isinstance(each.message, CancelOrder)]


def cancelled(bench: Bench, job_id: str) -> Cancelled | None:
    event = bench.events(job_id)[-1]
    return event if isinstance(event, Cancelled) else None


def test_a_cancel_of_a_waiting_job_is_confirmed_when_every_worker_has_removed_what_it_kept(bench: Bench) -> None:
    job_id = waiting_at_two_keepers(bench)
    said = len(bench.said)
    assert bench.ask(Cancel(job_id=job_id), ADA) == [CancelAccepted(job_id=job_id, state=State.QUEUED)]
    order = CancelOrder(job_id=job_id, attempt=2)
    assert orders_told(bench, said) == [(W1.encode(), order), (W2.encode(), order)]
    assert bench.snapshot(job_id).cancel_requested_by == "ada"
    assert bench.tell(forgotten(job_id, 2)) == [Acknowledged()]
    assert cancelled(bench, job_id) is None
    assert bench.ask(Cancel(job_id=job_id, keep_partial=True), ADA, ref="again") == [
        CancelAccepted(job_id=job_id, state=State.QUEUED)
    ]
    assert bench.tell(forgotten(job_id, 2, W2)) == [Acknowledged()]
    event = cancelled(bench, job_id)
    assert event is not None
    assert (event.cleanup_completed, event.who, event.message) == (True, "ada", "")
    assert len(bench.sent(CancelSettled)) == 2, "both who asked are told"
    bench.wait(60)
    assert [lease.attempt for lease in bench.leases(job_id)] == [1, 2], "it never starts again"


def test_a_worker_that_does_not_say_so_in_time_holds_no_confirmation_up(bench: Bench) -> None:
    job_id = waiting_at_two_keepers(bench)
    bench.ask(Cancel(job_id=job_id), ADA)
    bench.tell(forgotten(job_id, 2))
    bench.wait(bench.settings.clearing_seconds)
    event = cancelled(bench, job_id)
    assert event is not None
    assert not event.cleanup_completed
    assert "keeps what was finished before" in event.message
    assert only(bench.renew(W2, keeping=(job_id,)), Renewed).ended == (job_id,), "it is told to, until it has"


def test_a_worker_that_cannot_remove_what_it_keeps_is_not_taken_for_clean(bench: Bench) -> None:
    job_id = bench.running()
    fail(bench, job_id)
    bench.ask(Cancel(job_id=job_id), ADA)
    bench.tell(forgotten(job_id, clean=False))
    event = cancelled(bench, job_id)
    assert event is not None
    assert not event.cleanup_completed


def test_a_worker_that_comes_back_meanwhile_is_told_again(bench: Bench) -> None:
    job_id = bench.running()
    fail(bench, job_id)
    bench.ask(Cancel(job_id=job_id), ADA)
    registered = only(bench.register(W1, keeping=(job_id,), peer=b"back"), Registered)
    assert registered.cancels == (CancelOrder(job_id=job_id, attempt=1),)
    bench.tell(forgotten(job_id), peer=b"back")
    event = cancelled(bench, job_id)
    assert event is not None
    assert event.cleanup_completed


@pytest.mark.parametrize("back", [True, False])
def test_a_broker_that_follows_goes_on_with_it(bench: Bench, back: bool) -> None:
    job_id = bench.running()
    fail(bench, job_id)
    bench.ask(Cancel(job_id=job_id), ADA)
    bench.restart()
    assert bench.snapshot(job_id).cancel_requested_by == "ada"
    if back:
        assert only(bench.register(keeping=(job_id,)), Registered).cancels
        bench.tell(forgotten(job_id))
    assert (cancelled(bench, job_id) is not None) is back
    bench.wait(bench.settings.clearing_seconds)
    event = cancelled(bench, job_id)
    assert event is not None
    assert ("keeps what was finished" in event.message) is not back
    assert len(bench.leases(job_id)) == 1


def test_a_timeout_meanwhile_changes_nothing(bench: Bench) -> None:
    job_id = bench.running(timeout=1.0)
    fail(bench, job_id)
    bench.ask(Cancel(job_id=job_id), ADA)
    bench.wait(1.5)
    assert bench.snapshot(job_id).cancel_requested_by == "ada"


def test_what_others_keep_of_a_running_job_is_removed_while_it_is_stopped(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2, keeping=(job_id,))
    said = len(bench.said)
    bench.ask(Cancel(job_id=job_id), ADA)
    assert {peer for peer, _ in orders_told(bench, said)} == {W1.encode(), W2.encode()}
    bench.tell(forgotten(job_id, worker_id=W2))
    bench.tell(forgotten(job_id))
    event = cancelled(bench, job_id)
    assert event is not None
    assert event.cleanup_completed


def test_what_another_keeps_still_when_a_running_job_has_stopped_is_not_hidden(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2, keeping=(job_id,))
    bench.ask(Cancel(job_id=job_id), ADA)
    bench.tell(forgotten(job_id))
    event = cancelled(bench, job_id)
    assert event is not None
    assert not event.cleanup_completed


def test_a_job_that_is_cancelled_while_it_waits_is_cleaned_up_where_nothing_is_kept(bench: Bench) -> None:
    job_id = bench.running()
    fail(bench, job_id, kept=False)
    bench.ask(Cancel(job_id=job_id), ADA)
    event = bench.events(job_id)[-1]
    assert isinstance(event, Cancelled)
    assert event.cleanup_completed


def test_what_is_kept_by_a_failure_that_crosses_the_cancel_is_not_hidden(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id), ADA)
    fail(bench, job_id, kept=True)
    event = cancelled(bench, job_id)
    assert event is not None
    assert not event.cleanup_completed


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_what_a_lost_worker_left_is_not_taken_for_removed_until_a_worker_is_there_again(
    bench: Bench, restarted: bool, back: bool
) -> None:
    job_id = bench.running()
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    bench.wait(60)
    assert bench.snapshot(job_id).state is State.QUEUED, "lost, and given up for long"
    if restarted:
        bench.restart()
        bench.wait(60)
    if back:
        bench.tell(Register(worker_id=W2, host="host", slots=1, paused=True))
    bench.ask(Cancel(job_id=job_id), ADA)
    event = cancelled(bench, job_id)
    assert event is not None
    assert event.cleanup_completed is back
    assert ("lost had of it on host" in event.message) is not back


@pytest.mark.parametrize(("here_for", "removed"), [(200, False), (61, False), (30, True)])
def test_a_worker_that_was_there_before_another_was_lost_has_removed_nothing_of_it(
    bench: Bench, here_for: float, removed: bool
) -> None:
    """It has only come back to a broker that was restarted: what lost workers leave is removed when one starts."""
    job_id = bench.running()
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    bench.wait(60)
    bench.restart()
    bench.tell(Register(worker_id=W2, host="host", slots=1, paused=True, here_for=here_for))
    bench.ask(Cancel(job_id=job_id), ADA)
    event = cancelled(bench, job_id)
    assert event is not None
    assert ("lost had of it on host" in event.message) is not removed
