"""Workers that keep finished work of a job: they are asked first for its second attempt, and told when nobody needs it any more."""

from tests.ledger.bench import ADA, W1, W2, Bench, holding, only

from labelferry_broker.ledger.effects import Tell
from labelferry_broker.ledger.settings import LedgerSettings
from labelferry_protocol.errors import Code
from labelferry_protocol.events import Cancelled
from labelferry_protocol.requests import Cancel
from labelferry_protocol.words import State
from labelferry_protocol.work import AttemptFailed, CancelOrder, Lease, Registered, Renewed

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


def test_a_job_that_is_cancelled_while_it_waits_is_not_cleaned_up_as_long_as_a_worker_keeps_something(
    bench: Bench,
) -> None:
    job_id = bench.running()
    fail(bench, job_id)
    assert bench.snapshot(job_id).state is State.QUEUED
    said = len(bench.said)
    bench.ask(Cancel(job_id=job_id), ADA)
    event = bench.events(job_id)[-1]
    assert isinstance(event, Cancelled)
    assert not event.cleanup_completed
    assert "kept on host" in event.message
    (order,) = [each for each in bench.said[said:] if isinstance(each, Tell)]
    assert (order.peer, order.message) == (W1.encode(), CancelOrder(job_id=job_id, attempt=1))


def test_a_job_that_is_cancelled_while_it_waits_is_cleaned_up_where_nothing_is_kept(bench: Bench) -> None:
    job_id = bench.running()
    fail(bench, job_id, kept=False)
    bench.ask(Cancel(job_id=job_id), ADA)
    event = bench.events(job_id)[-1]
    assert isinstance(event, Cancelled)
    assert event.cleanup_completed
