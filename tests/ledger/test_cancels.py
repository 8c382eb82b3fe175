"""Cancels of a job in each of its states: ordered until they are seen, confirmed once, and never both won and lost."""

import pytest
from msgspec.structs import replace
from tests.ledger.bench import BO, ROOT, SHA, W1, W2, Bench, holding, only, orders, receipt

from labelferry_broker.ledger.effects import AdmitUpload, Reply, Tell, TellDepot
from labelferry_broker.ledger.settings import LedgerSettings
from labelferry_protocol.depot import Discard
from labelferry_protocol.errors import Code
from labelferry_protocol.events import BundleFacts, Cancelled, Completed, ExportCounts
from labelferry_protocol.message import Message
from labelferry_protocol.requests import Cancel, CancelAccepted, CancelSettled, GetHistory, History, Refused
from labelferry_protocol.words import CancelledBy, Phase, State
from labelferry_protocol.work import (
    Acknowledged,
    AttemptCancelled,
    AttemptFailed,
    CancelOrder,
    CancelSeen,
    Fenced,
    Lease,
    Registered,
    Renewed,
)


def stopped(
    job_id: str, attempt: int = 1, *, clean: bool = True, brought: bool = False, worker_id: str = W1
) -> AttemptCancelled:
    return AttemptCancelled(
        worker_id=worker_id,
        job_id=job_id,
        attempt=attempt,
        cleanup_completed=clean,
        receipt=b"t" if brought else None,
    )


def seen(job_id: str) -> CancelSeen:
    return CancelSeen(worker_id=W1, job_id=job_id, attempt=1)


def cancelled(bench: Bench, job_id: str) -> Cancelled:
    last = bench.events(job_id)[-1]
    assert isinstance(last, Cancelled), last
    return last


def settled(bench: Bench) -> list[tuple[str, Message]]:
    said = [each for each in bench.said if isinstance(each, Reply)]
    return [(each.ref, each.message.outcome) for each in said if isinstance(each.message, CancelSettled)]


def test_a_queued_job_is_cancelled_at_once_and_never_starts(bench: Bench) -> None:
    job_id = bench.submit()
    accepted, end = bench.ask(Cancel(job_id=job_id, reason="wrong set"))
    assert accepted == CancelAccepted(job_id=job_id, state=State.CANCELLED)
    event = cancelled(bench, job_id)
    assert end == CancelSettled(job_id=job_id, outcome=event)
    assert (event.cancelled_by, event.who, event.cleanup_completed) == (CancelledBy.USER, "ada", True)
    assert "wrong set" in event.message
    bench.register()
    assert bench.leases(job_id) == []


def test_a_job_that_waits_for_a_retry_is_cancelled_at_once_and_never_starts_again(bench: Bench) -> None:
    job_id = bench.running()
    broke = AttemptFailed(worker_id=W1, job_id=job_id, attempt=1, code=Code.INTERNAL, message="x", retryable=True)
    bench.tell(broke)
    bench.ask(Cancel(job_id=job_id))
    bench.wait(60)
    assert len(bench.leases(job_id)) == 1
    assert cancelled(bench, job_id).cleanup_completed


def test_a_running_job_is_cancelled_when_its_worker_has_confirmed(bench: Bench) -> None:
    job_id = bench.running()
    bench.progress(job_id, 42.5)
    assert bench.ask(Cancel(job_id=job_id)) == [CancelAccepted(job_id=job_id, state=State.CANCELLING)]
    assert [order.identity for order in orders(bench.said)] == [job_id]
    assert bench.tell(seen(job_id)) == []
    assert bench.tell(stopped(job_id)) == [Acknowledged()]
    event = cancelled(bench, job_id)
    assert (event.progress, event.phase, event.cleanup_completed, event.partial) == (
        42.5,
        Phase.PROCESSING,
        True,
        False,
    )
    assert event.requested_at == bench.wall
    assert settled(bench) == [("r", event)]


def test_a_lease_that_has_not_begun_is_cancelled_like_a_running_job(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    bench.ask(Cancel(job_id=job_id))
    assert only(bench.start(job_id), CancelOrder).attempt == 1
    assert bench.events(job_id) == []
    bench.tell(stopped(job_id))
    assert cancelled(bench, job_id).attempt == 1


def test_an_order_is_repeated_until_it_is_seen(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id))
    assert len(orders(bench.wait(0.15))) == 1
    bench.wait(2)
    assert len(orders(bench.wait(3))) == 3
    bench.tell(seen(job_id))
    assert orders(bench.wait(3)) == []


def test_an_order_is_told_on_work_too_right_behind_the_lease_it_is_about(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    bench.ask(Cancel(job_id=job_id))
    told = [each.message for each in bench.said if isinstance(each, Tell) and each.ref == ""]
    assert [type(message) for message in told] == [Lease, CancelOrder]


def test_the_last_wish_to_keep_the_finished_part_wins(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id), ref="1")
    bench.tell(seen(job_id))
    before = len(orders(bench.said))
    bench.ask(Cancel(job_id=job_id, keep_partial=True), ROOT, ref="2")
    assert [order.message.keep_partial for order in orders(bench.said)[before:]] == [True]  # type: ignore[union-attr] # cancels
    assert isinstance(bench.publish(job_id, partial=True), list)
    bench.tell(stopped(job_id, brought=True), receipt=receipt(job_id))
    event = cancelled(bench, job_id)
    assert (event.partial, event.who) == (True, "ada")


def test_a_wish_not_to_keep_the_finished_part_throws_away_what_was_brought(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id, keep_partial=True))
    bench.publish(job_id, partial=True)
    bench.ask(Cancel(job_id=job_id, keep_partial=False), ref="2")
    bench.tell(stopped(job_id, brought=True), receipt=receipt(job_id))
    assert not cancelled(bench, job_id).partial
    assert bench.sent(Discard) == [TellDepot(Discard(job_id=job_id, attempt=1))]


def test_a_cancel_that_says_nothing_of_the_finished_part_changes_nothing(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id, keep_partial=True))
    bench.tell(seen(job_id))
    bench.ask(Cancel(job_id=job_id), ref="2")
    assert len(orders(bench.said)) == 1


def test_a_lost_order_rides_on_every_renewal(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id, keep_partial=True))
    renewed = only(bench.renew(W1, holding(job_id)), Renewed)
    assert renewed.cancels == (CancelOrder(job_id=job_id, attempt=1, keep_partial=True, grace=0.5),)


def test_three_cancels_of_two_clients_have_one_outcome(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id), ref="1")
    bench.ask(Cancel(job_id=job_id), ROOT, peer=b"other", ref="2")
    bench.ask(Cancel(job_id=job_id), ref="1")
    bench.tell(stopped(job_id))
    event = cancelled(bench, job_id)
    assert settled(bench) == [("1", event), ("2", event)]
    assert event.who == "ada"


def test_a_cancel_of_an_ended_job_is_told_how_it_ended(bench: Bench) -> None:
    job_id = bench.running()
    bench.finish(job_id)
    accepted, end = bench.ask(Cancel(job_id=job_id))
    assert accepted == CancelAccepted(job_id=job_id, state=State.COMPLETED)
    assert isinstance(only([end], CancelSettled).outcome, Completed)
    assert bench.snapshot(job_id).state is State.COMPLETED


def test_a_finish_after_the_cancel_is_told_to_stop(bench: Bench) -> None:
    job_id = bench.running()
    bench.publish(job_id)
    bench.ask(Cancel(job_id=job_id))
    assert only(bench.finish(job_id), CancelOrder).attempt == 1
    assert only(bench.publish(job_id), CancelOrder).attempt == 1
    bench.tell(stopped(job_id))
    assert cancelled(bench, job_id).bundle is None
    assert bench.sent(Discard) == [TellDepot(Discard(job_id=job_id, attempt=1))]


def test_a_finish_in_the_turn_before_the_cancel_wins(bench: Bench) -> None:
    job_id = bench.running()
    bench.finish(job_id)
    bench.ask(Cancel(job_id=job_id))
    assert [type(event).__name__ for event in bench.events(job_id)][-1] == "Completed"


def test_a_cancel_of_an_older_attempt_does_not_hit_the_new_one(bench: Bench) -> None:
    job_id = bench.running()
    bench.wait(20)
    bench.register(W2)
    assert only(bench.ask(Cancel(job_id=job_id, attempt=1)), Refused).code is Code.FENCED
    assert bench.snapshot(job_id).state is State.RUNNING
    assert bench.ask(Cancel(job_id=job_id, attempt=2)) == [CancelAccepted(job_id=job_id, state=State.CANCELLING)]


def test_a_cancel_of_an_attempt_that_is_over_does_not_hit_the_queued_job(bench: Bench) -> None:
    job_id = bench.running()
    bench.wait(20)
    assert only(bench.ask(Cancel(job_id=job_id, attempt=1)), Refused).code is Code.FENCED
    assert bench.snapshot(job_id).state is State.QUEUED


def test_only_the_owner_and_admins_may_cancel(bench: Bench) -> None:
    job_id = bench.submit()
    assert only(bench.ask(Cancel(job_id=job_id), BO), Refused).code is Code.NO_SUCH_JOB
    bench.ask(Cancel(job_id=job_id), ROOT)
    assert cancelled(bench, job_id).who == "root"


def test_a_cancel_of_an_unknown_job_does_not_hit_a_later_one(bench: Bench) -> None:
    future = f"{1:032x}"
    assert only(bench.ask(Cancel(job_id=future)), Refused).code is Code.NO_SUCH_JOB
    assert bench.submit() == future
    assert bench.snapshot(future).state is State.QUEUED


def test_a_cancel_outlives_the_broker(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id))
    bench.restart()
    assert len(orders(bench.wait(0.05))) == 1
    registered = only(bench.register(W1, holding(job_id)), Registered)
    assert [order.job_id for order in registered.cancels] == [job_id]
    bench.ask(Cancel(job_id=job_id), ref="again")
    bench.tell(stopped(job_id))
    assert settled(bench) == [("again", cancelled(bench, job_id))]


def test_a_worker_that_is_told_to_stop_and_dies_leaves_a_cancelled_job_that_is_not_clean(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id))
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    bench.wait(1.1)
    event = cancelled(bench, job_id)
    assert not event.cleanup_completed
    assert "lost" in event.message


def test_a_failure_while_stopping_confirms_the_cancel(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id))
    broke = AttemptFailed(
        worker_id=W1, job_id=job_id, attempt=1, code=Code.ITEM, message="bad image", cleanup_completed=False
    )
    assert bench.tell(broke) == bench.tell(broke) == [Acknowledged()]
    assert not cancelled(bench, job_id).cleanup_completed


def test_the_finished_part_is_kept_when_it_was_asked_for(bench: Bench) -> None:
    job_id = bench.running(keep_partial=True)
    bench.ask(Cancel(job_id=job_id))
    bench.publish(job_id, partial=True)
    assert isinstance(bench.said[-1], AdmitUpload)
    counts = ExportCounts(images=2, objects=3, classes=1, files=5)
    last = replace(stopped(job_id, brought=True), counts=counts)
    assert bench.tell(last, receipt=receipt(job_id)) == [Acknowledged()]
    event = cancelled(bench, job_id)
    assert event.partial
    assert event.bundle == BundleFacts(size=10, sha256=SHA, partial=True, file_name="nuclei_partial.zip")
    assert event.counts == counts
    assert bench.sent(Discard) == []


def test_a_bundle_that_was_whole_before_the_cancel_arrived_is_kept_under_its_own_name_and_the_job_is_cancelled(
    bench: Bench,
) -> None:
    job_id = bench.running(keep_partial=True)
    bench.ask(Cancel(job_id=job_id))
    assert isinstance(bench.publish(job_id)[0], CancelOrder), "it is no completion"
    bench.publish(job_id, partial=True)
    bench.tell(replace(stopped(job_id, brought=True), partial=False), receipt=receipt(job_id))
    whole = BundleFacts(size=10, sha256=SHA, partial=False, file_name="nuclei.zip")
    event = cancelled(bench, job_id)
    assert (event.partial, event.bundle) == (False, whole)
    (row,) = only(bench.ask(GetHistory()), History).jobs
    assert (row.state, row.bundle, row.available) == (State.CANCELLED, whole, True)


def test_the_finished_part_is_not_kept_when_the_cancel_says_so(bench: Bench) -> None:
    job_id = bench.running(keep_partial=True)
    bench.ask(Cancel(job_id=job_id, keep_partial=False))
    assert isinstance(bench.publish(job_id, partial=True)[0], CancelOrder)


def test_a_partial_bundle_of_a_job_nobody_cancels_is_refused(bench: Bench) -> None:
    job_id = bench.running()
    assert only(bench.publish(job_id, partial=True), Refused).code is Code.USAGE


def test_a_timeout_cancels_by_itself(bench: Bench) -> None:
    job_id = bench.running(timeout=8.0)
    bench.wait(7)
    assert bench.snapshot(job_id).state is State.RUNNING
    bench.wait(2)
    assert bench.snapshot(job_id).cancel_requested_by == "timeout"
    bench.tell(stopped(job_id))
    event = cancelled(bench, job_id)
    assert (event.cancelled_by, event.who) == (CancelledBy.TIMEOUT, "timeout")


def test_a_timeout_counts_on_over_a_restart(bench: Bench) -> None:
    job_id = bench.submit(timeout=30.0)
    bench.wait(20)
    bench.restart()
    bench.wait(9)
    assert bench.snapshot(job_id).state is State.QUEUED
    bench.wait(2)
    assert cancelled(bench, job_id).cancelled_by is CancelledBy.TIMEOUT


def test_a_wall_clock_that_jumps_ends_nothing_early(bench: Bench) -> None:
    job_id = bench.running(timeout=100.0)
    bench.wall += 3600
    bench.wait(10)
    bench.renew(W1, holding(job_id))
    bench.wall -= 7200
    bench.wait(10)
    assert bench.snapshot(job_id).state is State.RUNNING


def test_a_worker_that_stops_without_being_told_to_is_tried_again(bench: Bench) -> None:
    job_id = bench.running()
    assert bench.tell(stopped(job_id)) == [Acknowledged()]
    bench.wait(1)
    assert [lease.attempt for lease in bench.leases(job_id)] == [1, 2]


def test_a_worker_given_up_early_makes_a_later_cancel_say_that_it_may_not_be_clean(bench: Bench) -> None:
    job_id = bench.running()
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    bench.wait(2)
    bench.ask(Cancel(job_id=job_id))
    assert not cancelled(bench, job_id).cleanup_completed


def test_a_stale_confirmation_is_fenced(bench: Bench) -> None:
    job_id = bench.running()
    bench.wait(20)
    bench.register(W1, holding(job_id))
    assert bench.tell(stopped(job_id)) == [Fenced(job_id=job_id, attempt=1)]


def test_too_many_who_wait_for_one_end_are_told_to_watch() -> None:
    bench = Bench(LedgerSettings(waiters_per_job=1))
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id), ref="1")
    assert only(bench.ask(Cancel(job_id=job_id), ref="2"), Refused).code is Code.BUSY


@pytest.mark.parametrize("clean", [True, False])
def test_the_confirmation_says_what_the_worker_says_of_its_cleaning(bench: Bench, clean: bool) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id))
    bench.tell(stopped(job_id, clean=clean))
    assert cancelled(bench, job_id).cleanup_completed is clean


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_how_long_a_job_waited_and_a_cancel_took_is_not_told_by_a_wall_clock_that_jumps(
    bench: Bench, jump: float
) -> None:
    job_id = bench.running()
    bench.submit("another")
    bench.ask(Cancel(job_id=job_id))
    bench.wait(3)
    bench.wall += jump
    assert bench.ledger.figures(bench.moment).queue_age == 3.0
    bench.tell(stopped(job_id))
    cancels = bench.ledger.figures(bench.moment).cancels
    assert (sum(cancels.counts), cancels.total) == (1, 3.0)
