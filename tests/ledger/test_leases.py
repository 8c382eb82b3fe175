"""Leases: who gets a job, when a lease runs out, who is fenced, and what is tried again."""

import pytest
from msgspec import structs
from tests.ledger.bench import W1, W2, Bench, holding, only

from labelferry_broker.ledger.crew import MOST_REPLACED
from labelferry_broker.ledger.effects import Publish, Tell, TellDepot
from labelferry_broker.ledger.settings import LedgerSettings
from labelferry_protocol import limits
from labelferry_protocol.depot import AskKeep, Discard, Keep
from labelferry_protocol.errors import Code
from labelferry_protocol.events import Failed, Started
from labelferry_protocol.message import Message
from labelferry_protocol.requests import Cancel, Refused
from labelferry_protocol.words import State
from labelferry_protocol.work import (
    Acknowledged,
    AttemptFailed,
    AttemptStarted,
    Drain,
    Fenced,
    Holding,
    Lease,
    Register,
    Registered,
    Renew,
    Renewed,
)


def failed(job_id: str, attempt: int = 1, *, retryable: bool = True, worker_id: str = W1) -> AttemptFailed:
    return AttemptFailed(
        worker_id=worker_id,
        job_id=job_id,
        attempt=attempt,
        code=Code.INTERNAL,
        message=f"broke {attempt}",
        retryable=retryable,
    )


def test_a_submit_is_leased_at_once_to_a_free_slot(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    (lease,) = bench.leases(job_id)
    assert (lease.attempt, lease.owner, lease.project) == (1, "ada", "nuclei")
    assert bench.snapshot(job_id).state is State.RUNNING


@pytest.mark.parametrize("late", [True, False])
def test_an_attempt_has_begun_at_its_end_at_the_latest(bench: Bench, late: bool) -> None:
    bench.register()
    job_id = bench.submit()
    bench.publish(job_id)
    if late:
        assert bench.start(job_id) == [Acknowledged()]
    assert bench.finish(job_id) == [Acknowledged()]
    kinds = [type(said.event).__name__ for said in bench.said if isinstance(said, Publish)]
    assert kinds == ["Started", "Progress", "PhaseChanged", "Completed"]


@pytest.mark.parametrize("begun", [True, False])
def test_a_failure_says_whether_its_attempt_had_begun(bench: Bench, begun: bool) -> None:
    bench.register()
    job_id = bench.submit()
    bench.tell(structs.replace(failed(job_id, retryable=False), begun=begun))
    kinds = [type(said.event).__name__ for said in bench.said if isinstance(said, Publish)]
    assert kinds == (["Started", "Failed"] if begun else ["Failed"])


def test_a_worker_gets_no_more_than_its_slots(bench: Bench) -> None:
    bench.register(slots=2)
    jobs = [bench.submit(str(number)) for number in range(3)]
    assert [len(bench.leases(job_id)) for job_id in jobs] == [1, 1, 0]
    bench.finish(jobs[0])
    assert len(bench.leases(jobs[2])) == 1


def test_a_slot_is_free_while_its_bundle_travels_for_as_many_bundles_as_the_worker_says(bench: Bench) -> None:
    bench.tell(Register(worker_id=W1, host="host", slots=1, bundles=1))
    first, second, third = (bench.submit(str(number)) for number in range(3))
    bench.start(first)
    assert [len(bench.leases(job_id)) for job_id in (first, second, third)] == [1, 0, 0]
    bench.publish(first)
    assert len(bench.leases(second)) == 1
    bench.start(second)
    bench.publish(second)
    assert bench.leases(third) == [], "of two bundles one takes the slot"
    bench.finish(first)
    assert len(bench.leases(third)) == 1


def test_a_worker_that_says_nothing_of_bundles_has_its_slot_taken_until_the_last_word(bench: Bench) -> None:
    bench.register()
    first, second = (bench.submit(str(number)) for number in range(2))
    bench.start(first)
    bench.publish(first)
    assert bench.leases(second) == []
    bench.finish(first)
    assert len(bench.leases(second)) == 1


def test_the_worker_with_most_free_slots_gets_the_next_job(bench: Bench) -> None:
    bench.register(W1, slots=1)
    bench.register(W2, slots=4)
    bench.submit("1")
    bench.submit("2")
    told = [each.peer for each in bench.said if isinstance(each, Tell) and isinstance(each.message, Lease)]
    assert told == [W2.encode(), W2.encode()]


def test_a_worker_that_began_is_acknowledged_and_subscribers_are_told_once(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    assert bench.start(job_id) == bench.start(job_id) == [Acknowledged()]
    (started,) = bench.events(job_id)
    assert isinstance(started, Started)
    assert (started.seq, started.attempt, started.worker) == (1, 1, "host")


def test_a_lease_that_the_worker_does_not_list_is_told_again_but_not_at_once(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    bench.now += 0.5
    bench.renew()
    assert len(bench.leases(job_id)) == 1
    bench.now += 1.0
    bench.renew()
    assert len(bench.leases(job_id)) == 2


def test_a_lease_that_is_never_listed_runs_out(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    for _ in range(12):
        bench.wait(5)
        bench.renew()
    assert bench.leases(job_id)[-1].attempt > 1


def test_a_lease_listed_in_time_runs_on(bench: Bench) -> None:
    job_id = bench.running()
    for _ in range(20):
        bench.wait(10)
        assert bench.renew(W1, holding(job_id)) == [Renewed(epoch=1)]
    assert bench.snapshot(job_id).attempt == 1


def test_a_silent_workers_job_goes_to_another_when_the_lease_has_run_out(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2)
    bench.wait(14)
    bench.renew(W2)
    assert bench.snapshot(job_id).attempt == 1
    bench.wait(2)
    assert bench.snapshot(job_id).attempt == 2
    assert bench.start(job_id, 2, W2) == [Acknowledged()]


def test_a_dropped_workers_job_goes_to_another_after_the_grace(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2)
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    bench.wait(limits.RETURN_GRACE_SECONDS * 0.9)
    assert bench.snapshot(job_id).attempt == 1
    bench.wait(limits.RETURN_GRACE_SECONDS * 0.2)
    assert bench.snapshot(job_id).attempt == 2


def test_a_dropped_worker_that_comes_back_in_time_keeps_what_it_holds(bench: Bench) -> None:
    job_id = bench.running()
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    bench.wait(limits.RETURN_GRACE_SECONDS * 0.5)
    registered = only(bench.register(W1, holding(job_id), peer=b"again"), Registered)
    assert registered.abandon == ()
    bench.wait(5)
    assert bench.snapshot(job_id).attempt == 1


def test_a_dropped_worker_whose_process_was_seen_to_end_is_not_waited_for(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2)
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment, watched=True))
    assert bench.snapshot(job_id).attempt == 1
    bench.do(bench.ledger.worker_ended(W1.encode(), bench.moment))
    assert bench.snapshot(job_id).attempt == 2


def test_a_dropped_worker_whose_process_is_seen_to_live_keeps_its_job_as_long_as_its_lease(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2)
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment, watched=True))
    bench.wait(14)
    bench.renew(W2)
    assert bench.snapshot(job_id).attempt == 1
    registered = only(bench.register(W1, holding(job_id), peer=b"again"), Registered)
    assert registered.abandon == ()
    bench.do(bench.ledger.worker_ended(W1.encode(), bench.moment))
    bench.wait(5)
    assert bench.snapshot(job_id).attempt == 1, "what ended was an older connection's watch"


def test_a_job_whose_process_was_lost_begins_again_at_once_and_after_a_pause_the_next_time(bench: Bench) -> None:
    job_id = bench.running()
    for attempt, pause in ((1, 0.0), (2, bench.settings.retry_seconds)):
        bench.tell(
            AttemptFailed(
                worker_id=W1, job_id=job_id, attempt=attempt, code=Code.WORKER_LOST, message="gone", retryable=True
            )
        )
        assert bench.snapshot(job_id).attempt == attempt + (pause == 0)
        bench.wait(4 * pause)
        bench.renew(W1)
        assert bench.snapshot(job_id).attempt == attempt + 1


def test_nothing_is_leased_to_a_worker_whose_connection_went(bench: Bench) -> None:
    bench.register()
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    job_id = bench.submit()
    assert bench.leases(job_id) == []


def test_a_worker_that_comes_too_late_is_told_to_abandon_what_it_holds(bench: Bench) -> None:
    job_id = bench.running()
    bench.wait(20)
    registered = only(bench.register(W1, holding(job_id))[:1], Registered)
    assert registered.abandon == (holding(job_id),)


def test_a_slot_with_an_abandoned_attempt_is_not_leased_until_it_is_empty(bench: Bench) -> None:
    job_id = bench.running()
    bench.wait(20)
    bench.register(W1, holding(job_id))
    assert len(bench.leases(job_id)) == 1
    bench.renew(W1)
    assert [lease.attempt for lease in bench.leases(job_id)] == [1, 2]


@pytest.mark.parametrize("word", ["start", "publish", "finish"])
def test_a_stale_worker_is_fenced_whatever_it_says(bench: Bench, word: str) -> None:
    job_id = bench.running()
    bench.wait(20)
    bench.register(W2)
    bench.register(W1, holding(job_id))
    assert getattr(bench, word)(job_id) == [Fenced(job_id=job_id, attempt=1)]


def test_another_worker_cannot_speak_for_an_attempt(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2)
    assert bench.finish(job_id, worker_id=W2) == [Fenced(job_id=job_id, attempt=1)]
    assert bench.snapshot(job_id).state is State.RUNNING


def test_what_a_fenced_worker_brought_is_thrown_away(bench: Bench) -> None:
    job_id = bench.running()
    bench.publish(job_id)
    bench.wait(20)
    assert bench.sent(Discard)[-1:] == [TellDepot(Discard(job_id=job_id, attempt=1))]
    bench.register(W1, holding(job_id))
    bench.finish(job_id)
    assert len(bench.sent(Discard)) == 2


def test_a_worker_nobody_knows_is_asked_to_register(bench: Bench) -> None:
    refused = only(bench.tell(Renew(worker_id=W1)), Refused)
    assert refused.code is Code.REGISTER


def test_a_worker_speaking_for_another_on_its_connection_is_asked_to_register(bench: Bench) -> None:
    bench.register(W1)
    refused = only(bench.tell(Renew(worker_id=W2), peer=W1.encode()), Refused)
    assert refused.code is Code.REGISTER


def test_of_two_connections_of_one_worker_the_later_is_right(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W1, holding(job_id), peer=b"later")
    assert only(bench.renew(W1, holding(job_id)), Refused).code is Code.REGISTER
    assert bench.tell(Renew(worker_id=W1, holding=(holding(job_id),)), peer=b"later") == [Renewed(epoch=1)]


def test_of_two_processes_with_one_worker_id_the_later_is_right_and_the_earlier_stays_out(bench: Bench) -> None:
    def register(process: str, *held: Holding) -> Message:
        message = Register(worker_id=W1, host="host", slots=1, process=process, holding=held)
        return bench.tell(message, peer=process.encode())[0]

    assert isinstance(register("first"), Registered)
    job_id = bench.submit()
    bench.tell(AttemptStarted(worker_id=W1, job_id=job_id, attempt=1), peer=b"first")
    assert isinstance(register("first", holding(job_id)), Registered), "the same process may come back"
    assert len(bench.leases(job_id)) == 1

    assert isinstance(register("second"), Registered)
    (fenced,) = bench.sent(Fenced)
    assert isinstance(fenced, Tell)
    assert (fenced.peer, fenced.message) == (b"first", Fenced(job_id=job_id, attempt=1))
    assert bench.leases(job_id)[-1].attempt == 2
    assert only(bench.tell(Renew(worker_id=W1), peer=b"first"), Refused).code is Code.REGISTER
    refused = register("first", holding(job_id))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.retry_after) == (Code.ACCESS, None)
    assert bench.tell(Renew(worker_id=W1, holding=(holding(job_id, 2),)), peer=b"second") == [Renewed(epoch=1)]


def test_so_many_replaced_processes_are_remembered_and_no_more(bench: Bench) -> None:
    for number in range(MOST_REPLACED + 2):
        bench.tell(Register(worker_id=W1, host="host", slots=1, process=f"{number}"))
    oldest, next_oldest = (
        bench.tell(Register(worker_id=W1, host="host", slots=1, process=process))[0] for process in ("1", "0")
    )
    assert isinstance(oldest, Refused)
    assert isinstance(next_oldest, Registered)


def test_a_worker_id_of_another_user_is_refused(bench: Bench) -> None:
    bench.running()
    assert only(bench.register(W1, user="mallory", peer=b"m"), Refused).code is Code.ACCESS
    bench.restart()
    assert only(bench.register(W1, user="mallory", peer=b"m"), Refused).code is Code.ACCESS


def test_a_retryable_failure_is_tried_again_elsewhere_after_a_wait(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2)
    assert bench.tell(failed(job_id)) == [Acknowledged()]
    assert bench.snapshot(job_id).state is State.QUEUED
    assert bench.snapshot(job_id).position is None
    bench.wait(0.6)
    leases = [each for each in bench.said if isinstance(each, Tell) and isinstance(each.message, Lease)]
    assert leases[-1].peer == W2.encode()


def test_waits_double_and_differ_from_job_to_job() -> None:
    waits: dict[str, list[float]] = {}
    bench = Bench(LedgerSettings(max_attempts=5))
    bench.register(slots=9)
    for key in "ab":
        job_id = bench.submit(key)
        for attempt in range(1, 5):
            bench.start(job_id, attempt)
            bench.tell(failed(job_id, attempt))
            began = bench.now
            while bench.snapshot(job_id).state is State.QUEUED:
                bench.wait(0.05)
            waits.setdefault(key, []).append(bench.now - began)
            bench.renew(W1, holding(job_id, attempt + 1))
    for times in waits.values():
        assert all(0.5 * 0.5 * 2**n <= wait <= 0.5 * 2**n + 0.06 for n, wait in enumerate(times))
    assert waits["a"] != waits["b"]


def test_a_worker_that_is_paused_is_given_nothing_until_it_is_not(bench: Bench) -> None:
    bench.register()
    bench.tell(Renew(worker_id=W1, paused=True))
    job_id = bench.submit()
    assert bench.leases(job_id) == []
    bench.tell(Renew(worker_id=W1))
    assert len(bench.leases(job_id)) == 1


def test_a_pause_before_a_retry_outlives_the_broker(bench: Bench) -> None:
    job_id = bench.running()
    bench.tell(failed(job_id))
    bench.restart()
    bench.register(W2)
    assert len(bench.leases(job_id)) == 1
    bench.wait(1)
    assert [lease.attempt for lease in bench.leases(job_id)] == [1, 2]
    row = bench.store.job(job_id)
    assert row is not None
    assert row.retry_at is None


def test_a_clock_that_was_turned_back_cannot_lengthen_a_pause(bench: Bench) -> None:
    job_id = bench.running()
    bench.tell(failed(job_id))
    bench.wall -= 1_000_000
    bench.restart()
    bench.wait(bench.settings.retry_ceiling_seconds)
    bench.register(W2)
    assert len(bench.leases(job_id)) == 2


def test_a_failure_that_retrying_cannot_help_ends_the_job(bench: Bench) -> None:
    job_id = bench.running()
    assert bench.tell(failed(job_id, retryable=False)) == [Acknowledged()]
    last = bench.events(job_id)[-1]
    assert isinstance(last, Failed)
    assert (last.code, last.message, last.retryable) == (Code.INTERNAL, "broke 1", False)


def test_a_job_that_kills_its_worker_each_time_is_given_up_with_the_reasons(bench: Bench) -> None:
    job_id = bench.submit()
    for attempt in range(1, limits.MAX_ATTEMPTS + 1):
        bench.register()
        bench.start(job_id, attempt)
        bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
        bench.wait(2)
    last = bench.events(job_id)[-1]
    assert isinstance(last, Failed)
    assert last.code is Code.WORKER_LOST
    assert last.retryable
    assert all(f"attempt {attempt}: the worker was lost" in last.message for attempt in (1, 2, 3))
    bench.register()
    assert len(bench.leases(job_id)) == limits.MAX_ATTEMPTS


def test_last_words_said_twice_are_answered_alike_and_published_once(bench: Bench) -> None:
    job_id = bench.running()
    assert bench.finish(job_id) == bench.finish(job_id) == [Acknowledged()]
    other = bench.submit("2")
    bench.start(other)
    assert bench.tell(failed(other)) == bench.tell(failed(other)) == [Acknowledged()]
    assert len(bench.events(job_id)) == 4
    bench.restart()
    bench.register()
    assert bench.finish(job_id) == [Acknowledged()]
    assert bench.sent(Discard) == []


def test_an_attempt_ended_by_its_workers_own_word_is_not_to_be_abandoned(bench: Bench) -> None:
    job_id = bench.running()
    bench.finish(job_id)
    assert only(bench.renew(W1, holding(job_id)), Renewed).abandon == ()


def test_a_draining_worker_gets_no_more_but_ends_what_it_has(bench: Bench) -> None:
    job_id = bench.running()
    assert bench.tell(Drain(worker_id=W1)) == [Acknowledged()]
    assert bench.finish(job_id) == [Acknowledged()]
    waiting = bench.submit("2")
    bench.register(W1, peer=b"again")
    assert bench.leases(waiting) == []


def test_a_broker_that_is_going_leases_nothing(bench: Bench) -> None:
    bench.register()
    bench.ledger.stop_leasing()
    job_id = bench.submit()
    assert bench.leases(job_id) == []


def test_a_worker_is_adopted_by_the_next_broker_and_finishes(bench: Bench) -> None:
    job_id = bench.running()
    bench.restart()
    assert only(bench.renew(), Refused).code is Code.REGISTER
    assert bench.register(W1, holding(job_id)) == [Registered(epoch=2, lease_seconds=15.0, renew_seconds=5.0)]
    assert bench.finish(job_id) == [Acknowledged()]
    assert bench.snapshot(job_id).state is State.COMPLETED


def test_a_worker_that_does_not_come_back_to_the_next_broker_loses_its_job(bench: Bench) -> None:
    job_id = bench.running()
    bench.restart()
    bench.register(W2)
    bench.wait(10)
    bench.renew(W2)
    bench.wait(4.9)
    assert bench.snapshot(job_id).attempt == 1
    bench.wait(0.2)
    assert bench.snapshot(job_id).attempt == 2


def test_a_worker_that_ended_its_attempt_while_the_broker_was_away_is_given_the_next_at_once(bench: Bench) -> None:
    job_id = bench.running()
    bench.restart()
    bench.register(W1)
    assert [lease.attempt for lease in bench.leases(job_id)] == [1, 2]
    assert bench.start(job_id, 2) == [Acknowledged()]
    assert bench.finish(job_id) == [Fenced(job_id=job_id, attempt=1)]
    bench.renew(W1)
    assert bench.snapshot(job_id).attempt == 2, "what this broker leased waits for its last word"


def test_a_worker_that_still_ends_its_attempt_when_the_broker_is_back_is_given_the_next_when_it_has(
    bench: Bench,
) -> None:
    job_id = bench.running()
    bench.restart()
    bench.register(W1, holding(job_id))
    bench.renew(W1, holding(job_id))
    assert bench.snapshot(job_id).attempt == 1
    bench.renew(W1)
    assert [lease.attempt for lease in bench.leases(job_id)] == [1, 2]


def test_a_cancel_of_what_a_worker_ended_while_the_broker_was_away_waits_for_the_workers_word(bench: Bench) -> None:
    job_id = bench.running()
    bench.ask(Cancel(job_id=job_id))
    bench.restart()
    registered = only(bench.register(W1), Registered)
    assert [order.job_id for order in registered.cancels] == [job_id]
    assert bench.snapshot(job_id).state is State.CANCELLING


def test_event_numbers_go_on_above_after_a_restart(bench: Bench) -> None:
    job_id = bench.running()
    for progress in range(1, 80):
        bench.progress(job_id, progress)
    before = [event.seq for event in bench.events(job_id)]
    assert before == list(range(1, 81))
    bench.restart()
    bench.register(W1, holding(job_id))
    bench.finish(job_id)
    after = [event.seq for event in bench.events(job_id)][len(before) :]
    assert after[0] > before[-1]
    assert after == list(range(after[0], after[0] + 3))


def test_event_numbers_are_reserved_before_they_are_told() -> None:
    bench = Bench(LedgerSettings(seq_block=8))
    job_id = bench.running()
    for progress in range(1, 90):
        bench.progress(job_id, progress)
        row = bench.store.job(job_id)
        assert row is not None
        assert row.seq_reserved >= bench.events(job_id)[-1].seq


def test_the_depot_is_told_to_keep_what_is_or_may_become_a_bundle(bench: Bench) -> None:
    done = bench.running(key="1")
    bench.finish(done)
    running = bench.submit("2")
    queued = bench.submit("3")
    asked = AskKeep(holding=(*map(holding, (done, running, queued, "e" * 32)), holding(done, 2)))
    said = bench.do(bench.ledger.depot_said(asked, bench.moment))
    assert said == [TellDepot(Keep(holding=(holding(done), holding(running))))]


def test_an_attempt_that_finished_before_it_was_heard_to_begin_is_told_in_order(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    bench.finish(job_id)
    kinds = [type(each.event).__name__ for each in bench.said if isinstance(each, Publish)]
    assert kinds == ["Started", "Progress", "PhaseChanged", "Completed"]
