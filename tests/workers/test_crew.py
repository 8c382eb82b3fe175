"""The crew, pure: messages, reports and time in, instructions compared."""

from collections.abc import Iterable, Iterator

import msgspec
import pytest

from labelferry_protocol import requests, work
from labelferry_protocol.errors import Code
from labelferry_protocol.events import ExportCounts, StageProgress
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.words import Stage
from labelferry_protocol.work import Holding
from labelferry_workers import instructions as do
from labelferry_workers import reports
from labelferry_workers.attempts import BEGUN_SECONDS, BROUGHT_SECONDS
from labelferry_workers.crew import Crew
from labelferry_workers.membership import Identity
from labelferry_workers.settings import CrewSettings

WORKER, JOB, OTHER = "a" * 32, "b" * 32, "c" * 32
KEY = Holding(job_id=JOB, attempt=1)
BUNDLE = reports.Packed(key=KEY, size=1000, sha256="d" * 64, counts=ExportCounts(images=3))
OPTIONS = ExportOptions()
MOVED = reports.Moved(
    key=KEY, progress=40.0, stage=Stage.IMAGES, message="m", stage_progress=StageProgress(current=1, total=2)
)


class Bench:
    """A crew with what it said, as a supervisor would keep it: clearing succeeds at once unless `dirty`."""

    def __init__(self, slots: int = 1, settings: CrewSettings | None = None, bundles: int = 0) -> None:
        self.crew = Crew(Identity(WORKER, "host", slots, bundles=bundles), settings or CrewSettings())
        self.dirty = False
        self.keeps = False
        self.done: list[do.Instruction] = []
        self.refs: dict[type, str] = {}

    def take(self, decided: Iterable[do.Instruction], now: float) -> list[do.Instruction]:
        """Perform as the supervisor does; return all that was decided."""
        taken = []
        for each in list(decided):
            taken.append(each)
            if isinstance(each, do.Send):
                self.refs[type(each.message)] = each.ref
            if isinstance(each, do.Clear):
                kept = self.keeps and not each.for_good
                taken += self.take(self.crew.cleared(each.key, clean=not self.dirty, now=now, kept=kept), now)
            if isinstance(each, do.Forget) and each.attempt is not None:
                key = Holding(job_id=each.job_id, attempt=each.attempt)
                taken += self.take(self.crew.forgotten(key, clean=not self.dirty, now=now), now)
        self.done += taken
        return taken

    def hear(self, message: work.BrokerTellsWorker, now: float, answers: type | None = None) -> list[do.Instruction]:
        ref = self.refs[answers] if answers is not None else ""
        return self.take(self.crew.broker_said(ref, message, now), now)

    def join(self, now: float = 0.0) -> None:
        self.take(self.crew.connected(now), now)
        self.hear(work.Registered(epoch=1, lease_seconds=15, renew_seconds=5), now, work.Register)

    def lease(self, now: float = 0.0, job_id: str = JOB, attempt: int = 1) -> list[do.Instruction]:
        source = Source(location="/p")
        return self.hear(
            work.Lease(job_id=job_id, attempt=attempt, owner="o", project="p", source=source, options=OPTIONS), now
        )

    def run(self, now: float = 0.0) -> None:
        self.join(now)
        self.lease(now)
        self.report(reports.Begun(key=KEY), now)
        self.tick(now + BEGUN_SECONDS)
        self.hear(work.Acknowledged(), now, work.AttemptStarted)

    def report(self, report: reports.Report, now: float = 0.0) -> list[do.Instruction]:
        return self.take(self.crew.child_said(report, now), now)

    def order(self, now: float = 0.0, *, keep_partial: bool = False) -> list[do.Instruction]:
        return self.take(self.crew.ordered(order(keep_partial=keep_partial), now), now)

    def tick(self, now: float) -> list[do.Instruction]:
        return self.take(self.crew.tick(now), now)

    def died(self, now: float = 0.0) -> list[do.Instruction]:
        return self.take(self.crew.child_died(KEY, "was killed by signal 9", now), now)


def order(*, keep_partial: bool = False) -> work.CancelOrder:
    return work.CancelOrder(job_id=JOB, attempt=1, keep_partial=keep_partial, grace=0.5)


def sent(decided: Iterable[do.Instruction]) -> list[work.WorkerSays]:
    return [each.message for each in decided if isinstance(each, do.Send)]


def began(decided: Iterable[do.Instruction]) -> bool:
    return any(isinstance(each, do.Begin) for each in decided)


def said(
    decided: Iterable[do.Instruction],
) -> Iterator[work.AttemptCancelled | work.AttemptFailed | work.AttemptFinished]:
    for message in sent(decided):
        if isinstance(message, work.AttemptCancelled | work.AttemptFailed | work.AttemptFinished):
            yield message


def brought(bench: Bench, now: float) -> work.AttemptCancelled | work.AttemptFailed | work.AttemptFinished:
    """Let a bundle that was asked about be brought; return the last word on its attempt."""
    bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), now, work.RequestPublish)
    (word,) = said(bench.take(bench.crew.brought(KEY, b"r", now + 0.1), now + 0.1))
    return word


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_worker_registers_on_a_new_connection_and_is_announced_once(bench: Bench) -> None:
    assert sent(bench.take(bench.crew.connected(0.0), 0.0)) == [
        work.Register(worker_id=WORKER, host="host", slots=1, software="", holding=())
    ]
    registered = work.Registered(epoch=1, lease_seconds=15, renew_seconds=5)
    assert do.Announce() in bench.hear(registered, 0.0, work.Register)
    bench.take(bench.crew.connected(1.0), 1.0)
    assert do.Announce() not in bench.hear(registered, 1.0, work.Register)


def test_a_register_without_an_answer_is_repeated_each_second(bench: Bench) -> None:
    bench.take(bench.crew.connected(0.0), 0.0)
    assert not bench.tick(0.9)
    assert isinstance(sent(bench.tick(1.0))[0], work.Register)


def test_a_lease_is_given_to_a_child_and_said_to_have_begun_until_that_is_answered(bench: Bench) -> None:
    bench.join()
    decided = bench.lease()
    assert [type(each) for each in decided] == [do.Begin]
    begun = work.AttemptStarted(worker_id=WORKER, job_id=JOB, attempt=1)
    assert sent(bench.report(reports.Begun(key=KEY))) == [], "what is over at once says it with its next word"
    assert bench.crew.next_at == BEGUN_SECONDS
    assert begun in sent(bench.tick(BEGUN_SECONDS))
    assert begun in sent(bench.tick(1.1))
    bench.hear(work.Acknowledged(), 1.2, work.AttemptStarted)
    assert begun not in sent(bench.tick(3.5))


def test_the_first_progress_of_an_attempt_does_not_come_before_the_word_that_it_has_begun(bench: Bench) -> None:
    bench.join()
    bench.lease()
    bench.report(reports.Begun(key=KEY))
    begun = work.AttemptStarted(worker_id=WORKER, job_id=JOB, attempt=1)
    assert begun in sent(bench.report(MOVED, 0.001))


@pytest.mark.parametrize("seconds", [0.0, BEGUN_SECONDS])
def test_an_attempt_that_breaks_says_that_it_had_begun_unless_that_is_said(bench: Bench, seconds: float) -> None:
    bench.join()
    bench.lease()
    bench.report(reports.Begun(key=KEY))
    bench.tick(seconds)
    broke = reports.Broke(key=KEY, code=Code.SOURCE, message="there is nothing")
    (word,) = said(bench.report(broke, seconds))
    assert isinstance(word, work.AttemptFailed)
    assert word.begun is (seconds == 0.0)


def test_an_attempt_that_is_over_at_once_says_that_it_has_begun_only_if_its_bundle_is_long_on_the_way(
    bench: Bench,
) -> None:
    bench.join()
    bench.lease()
    bench.report(reports.Begun(key=KEY))
    assert [type(each) for each in sent(bench.report(BUNDLE))] == [work.RequestPublish]
    assert bench.crew.next_at == BROUGHT_SECONDS
    assert sent(bench.tick(BEGUN_SECONDS)) == []
    begun = work.AttemptStarted(worker_id=WORKER, job_id=JOB, attempt=1)
    assert sent(bench.tick(BROUGHT_SECONDS)) == [begun]


def test_a_bundle_whose_way_is_shown_does_not_leave_before_the_word_that_its_attempt_has_begun(bench: Bench) -> None:
    bench.join()
    bench.lease()
    bench.report(reports.Begun(key=KEY))
    large = msgspec.structs.replace(BUNDLE, size=2**21)
    assert [type(each) for each in sent(bench.report(large))] == [work.AttemptStarted, work.RequestPublish]


def test_an_attempt_that_does_not_end_at_once_is_watched_on_control(bench: Bench) -> None:
    bench.run()
    assert bench.crew.next_at == 0.25
    assert bench.tick(0.25) == [do.Watch(JOB)]
    assert bench.tick(0.5) == []


def test_a_slot_is_free_while_its_bundle_is_brought_but_only_for_so_many_bundles() -> None:
    bench = Bench(bundles=1)
    bench.run()
    assert not began(bench.lease(job_id=OTHER)), "the slot is taken while the child works"
    bench.report(BUNDLE)
    assert began(bench.lease(job_id=OTHER))
    bench.report(msgspec.structs.replace(BUNDLE, key=Holding(job_id=OTHER, attempt=1)))
    assert not began(bench.lease(job_id="e" * 32)), "two bundles are under way, and one of them takes the slot"
    bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), 0.0)
    bench.take(bench.crew.brought(KEY, b"r", 0.0), 0.0)
    assert began(bench.lease(job_id="e" * 32))


def test_a_lease_told_twice_begins_once(bench: Bench) -> None:
    bench.join()
    bench.lease()
    assert not [each for each in bench.lease() if isinstance(each, do.Begin)]


def test_a_lease_without_a_free_slot_is_left_to_be_told_again(bench: Bench) -> None:
    bench.run()
    assert not [each for each in bench.lease(job_id=OTHER) if isinstance(each, do.Begin)]


def test_a_renewal_lists_what_is_held_and_is_sent_every_renew_seconds(bench: Bench) -> None:
    bench.run()
    assert not sent(bench.tick(4.9))
    assert sent(bench.tick(5.0)) == [work.Renew(worker_id=WORKER, holding=(KEY,))]
    bench.hear(work.Renewed(epoch=1), 5.1, work.Renew)
    assert not sent(bench.tick(9.9))
    assert sent(bench.tick(10.0)) == [work.Renew(worker_id=WORKER, holding=(KEY,))]


def test_without_renewals_the_child_is_killed_before_its_lease_ends_and_no_word_is_said(bench: Bench) -> None:
    bench.run()
    killed_at = next(now / 10 for now in range(200) if do.Kill(KEY) in bench.tick(now / 10))
    assert killed_at == 13.0
    decided = bench.died(13.0)
    assert do.Clear(KEY, for_good=False) in decided, "the next attempt may go on with what is kept"
    assert do.Unwatch(JOB) in decided
    assert not list(said(decided))
    assert bench.crew.holding == ()


def test_a_renewal_counts_from_when_it_was_sent_not_from_when_its_answer_came(bench: Bench) -> None:
    bench.run()
    bench.tick(5.0)
    bench.hear(work.Renewed(epoch=1), 9.0, work.Renew)
    assert do.Kill(KEY) not in bench.tick(17.9)
    assert do.Kill(KEY) in bench.tick(18.0)


def test_a_supervisor_that_slept_past_the_lease_kills_before_it_hears_anything(bench: Bench) -> None:
    bench.run()
    assert bench.tick(60.0)[0] == do.Kill(KEY)


def test_an_order_is_seen_at_once_and_the_child_told_to_stop(bench: Bench) -> None:
    bench.run()
    assert bench.order() == [
        do.Send(work.CancelSeen(worker_id=WORKER, job_id=JOB, attempt=1)),
        do.Stop(order()),
    ]


def test_a_stopped_attempt_is_cleared_then_confirmed_and_the_confirmation_repeated(bench: Bench) -> None:
    bench.run()
    bench.order()
    decided = bench.report(reports.Stopped(key=KEY), 0.01)
    word = work.AttemptCancelled(worker_id=WORKER, job_id=JOB, attempt=1, cleanup_completed=True)
    assert decided[0] == do.Clear(KEY)
    assert list(said(decided)) == [word]
    assert list(said(bench.tick(1.1))) == [word]
    bench.hear(work.Acknowledged(), 1.2, work.AttemptCancelled)
    assert bench.crew.holding == ()
    assert not list(said(bench.tick(9.0)))


def test_a_child_that_does_not_stop_is_killed_after_the_grace(bench: Bench) -> None:
    bench.run()
    bench.order()
    assert do.Kill(KEY) not in bench.tick(0.49)
    assert do.Kill(KEY) in bench.tick(0.5)
    (word,) = said(bench.died(0.51))
    assert isinstance(word, work.AttemptCancelled)
    assert word.forced
    assert word.cleanup_completed


def test_a_cancel_repeated_changes_nothing(bench: Bench) -> None:
    bench.run()
    bench.order(0.0)
    assert not [each for each in bench.order(0.4) if not isinstance(each, do.Send)]
    assert do.Kill(KEY) in bench.tick(0.5)


def test_what_cannot_be_removed_is_tried_again_and_then_said(bench: Bench) -> None:
    bench.run()
    bench.order()
    bench.dirty = True
    assert not list(said(bench.report(reports.Stopped(key=KEY), 0.0)))
    assert do.Clear(KEY) in bench.tick(0.02)
    words = [word for tenth in range(1, 30) for word in said(bench.tick(tenth / 10))]
    assert isinstance(words[0], work.AttemptCancelled)
    assert not words[0].cleanup_completed


def test_an_order_that_overtakes_its_lease_is_confirmed_and_the_lease_never_begun(bench: Bench) -> None:
    bench.join()
    (word,) = said(bench.order())
    assert isinstance(word, work.AttemptCancelled)
    assert bench.lease() == []


def test_a_cancel_while_asking_clears_and_confirms(bench: Bench) -> None:
    bench.run()
    bench.report(BUNDLE)
    (word,) = said(bench.hear(order(), 0.0, work.RequestPublish))
    assert isinstance(word, work.AttemptCancelled)


def test_a_cancel_while_the_bundle_is_brought_abandons_it_first(bench: Bench) -> None:
    bench.run()
    bench.report(BUNDLE)
    bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), 0.0, work.RequestPublish)
    decided = bench.order()
    assert decided.index(do.Abandon(KEY)) < decided.index(do.Clear(KEY))
    assert [type(word) for word in said(decided)] == [work.AttemptCancelled]


def test_a_cancel_that_came_before_the_finish_in_the_ledger_turns_the_last_word(bench: Bench) -> None:
    bench.run()
    publish(bench)
    decided = bench.hear(order(), 0.0, work.AttemptFinished)
    (word,) = said(decided)
    assert isinstance(word, work.AttemptCancelled)
    assert word.receipt is None
    bench.hear(work.Acknowledged(), 0.1, work.AttemptCancelled)
    assert bench.crew.holding == ()


def test_a_finished_part_is_packed_asked_for_brought_and_shown(bench: Bench) -> None:
    bench.run()
    bench.order(keep_partial=True)
    bench.report(reports.Packing(key=KEY), 0.1)
    assert do.Kill(KEY) not in bench.tick(1.0)
    asked = sent(bench.report(msgspec.structs.replace(BUNDLE, partial=True), 2.0))
    assert isinstance(asked[0], work.RequestPublish)
    assert asked[0].partial
    word = brought(bench, 2.0)
    assert isinstance(word, work.AttemptCancelled)
    assert (word.receipt, word.counts.images, word.partial) == (b"r", 3, True)


def test_a_second_cancel_without_the_part_kills_the_packing(bench: Bench) -> None:
    bench.run()
    bench.order(keep_partial=True)
    bench.report(reports.Packing(key=KEY), 0.1)
    assert do.Kill(KEY) in bench.order(0.2)


def test_a_whole_bundle_is_kept_when_the_cancel_keeps_what_is_finished(bench: Bench) -> None:
    bench.run()
    bench.report(BUNDLE)
    asked = sent(bench.order(keep_partial=True))
    assert isinstance(asked[-1], work.RequestPublish)
    assert asked[-1].partial
    word = brought(bench, 0.1)
    assert isinstance(word, work.AttemptCancelled)
    assert (word.receipt, word.partial) == (b"r", False)


def test_a_bundle_that_a_child_has_finished_before_its_order_came_is_kept_and_said_to_be_whole(bench: Bench) -> None:
    bench.run()
    bench.order(keep_partial=True)
    bench.report(BUNDLE, 0.1)
    word = brought(bench, 0.1)
    assert isinstance(word, work.AttemptCancelled)
    assert (word.receipt, word.partial) == (b"r", False)


def test_packing_that_takes_too_long_is_killed_and_said(bench: Bench) -> None:
    bench.run()
    bench.order(keep_partial=True)
    bench.report(reports.Packing(key=KEY), 0.1)
    keep(bench, until=61.0)
    assert do.Kill(KEY) in bench.done
    (word,) = said(bench.died(61.0))
    assert "too long" in word.message if isinstance(word, work.AttemptCancelled) else False


def test_a_bundle_is_asked_for_brought_cleared_and_reported(bench: Bench) -> None:
    bench.run()
    decided = publish(bench)
    clear = decided.index(do.Clear(KEY))
    (word,) = said(decided)
    assert isinstance(word, work.AttemptFinished)
    assert word.receipt == b"r"
    assert clear < [type(each) for each in decided].index(do.Send)
    bench.hear(work.Acknowledged(), 0.1, work.AttemptFinished)
    assert bench.crew.holding == ()


def test_progress_while_the_bundle_is_brought_lies_between_99_and_100(bench: Bench) -> None:
    bench.run()
    bench.report(msgspec.structs.replace(BUNDLE, size=3_000_000))
    bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), 0.0, work.RequestPublish)
    (half,) = bench.crew.bringing(KEY, 1_500_000, 1.0)
    (whole,) = bench.crew.bringing(KEY, 3_000_000, 0.0)
    assert isinstance(half, do.Show)
    assert isinstance(whole, do.Show)
    assert 99 < half.frame.progress < whole.frame.progress < 100
    assert half.frame.message == "Publishing bundle (1.5 of 3.0 MB)"


def test_a_bundle_that_waits_for_room_says_so_however_small_it_is(bench: Bench) -> None:
    bench.run()
    bench.report(BUNDLE)
    bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), 0.0, work.RequestPublish)
    (show,) = bench.crew.bringing(KEY, 0, None, "the depot's disk is full")
    assert isinstance(show, do.Show)
    assert show.frame.message.endswith("): the depot's disk is full")


def test_the_way_of_a_small_bundle_is_not_shown(bench: Bench) -> None:
    bench.run()
    bench.report(BUNDLE)
    bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), 0.0, work.RequestPublish)
    assert list(bench.crew.bringing(KEY, 1000, 0.0)) == []


def test_a_token_that_the_depot_turns_down_is_asked_for_anew_but_not_for_ever(bench: Bench) -> None:
    bench.run()
    bench.report(BUNDLE)
    for _ in range(2):
        bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), 0.0, work.RequestPublish)
        asked = sent(bench.take(bench.crew.not_brought(KEY, Code.ACCESS, "expired", 0.0), 0.0))
        assert isinstance(asked[0], work.RequestPublish)
    bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), 0.0, work.RequestPublish)
    (word,) = said(bench.take(bench.crew.not_brought(KEY, Code.ACCESS, "expired", 0.0), 0.0))
    assert isinstance(word, work.AttemptFailed)


def test_a_fenced_attempt_is_killed_cleared_and_not_spoken_of(bench: Bench) -> None:
    bench.run()
    assert do.Kill(KEY) in bench.hear(work.Fenced(job_id=JOB, attempt=1), 0.0)
    decided = bench.died()
    assert do.Clear(KEY, for_good=False) in decided
    assert not list(said(decided))
    assert bench.crew.holding == ()


def test_what_a_renewal_abandons_is_killed(bench: Bench) -> None:
    bench.run()
    bench.tick(5.0)
    assert do.Kill(KEY) in bench.hear(work.Renewed(epoch=1, abandon=(KEY,)), 5.0, work.Renew)


def test_an_order_inside_a_renewal_is_obeyed(bench: Bench) -> None:
    bench.run()
    bench.tick(5.0)
    assert do.Stop(order()) in bench.hear(work.Renewed(epoch=1, cancels=(order(),)), 5.0, work.Renew)


def test_a_child_that_dies_fails_its_attempt_with_a_sentence_and_may_be_tried_again(bench: Bench) -> None:
    bench.run()
    (word,) = said(bench.died())
    assert word == work.AttemptFailed(
        worker_id=WORKER,
        job_id=JOB,
        attempt=1,
        code=Code.WORKER_LOST,
        message="the export process was killed by signal 9",
        retryable=True,
    )


def test_a_child_that_dies_while_it_is_stopped_is_a_cancel(bench: Bench) -> None:
    bench.run()
    bench.order()
    (word,) = said(bench.died())
    assert isinstance(word, work.AttemptCancelled)
    assert not word.forced


def test_what_waits_for_an_answer_is_said_again_at_once_on_a_new_connection(bench: Bench) -> None:
    bench.run()
    publish(bench)
    bench.crew.disconnected()
    assert not sent(bench.tick(3.0))
    bench.take(bench.crew.connected(4.0), 4.0)
    decided = bench.hear(work.Registered(epoch=2, lease_seconds=15, renew_seconds=5), 4.0, work.Register)
    assert [type(word) for word in said(decided)] == [work.AttemptFinished]


def test_a_finished_word_outlives_its_lease_because_nothing_runs_any_more(bench: Bench) -> None:
    bench.run()
    publish(bench)
    bench.crew.disconnected()
    bench.tick(100.0)
    assert bench.crew.holding == (KEY,)


def test_a_broker_that_does_not_know_us_is_registered_with_before_the_word_is_repeated(bench: Bench) -> None:
    bench.run()
    publish(bench)
    refusal = requests.Refused(code=Code.REGISTER, message="who?")
    decided = bench.hear(refusal, 0.1, work.AttemptFinished)
    assert [type(message) for message in sent(decided)] == [work.Register]
    decided = bench.hear(work.Registered(epoch=2, lease_seconds=15, renew_seconds=5), 0.2, work.Register)
    assert [type(word) for word in said(decided)] == [work.AttemptFinished]


def test_when_answers_stay_away_the_worker_registers_again_and_then_connects_anew(bench: Bench) -> None:
    bench.run()
    seconds = [sent(bench.tick(float(now))) for now in range(5, 16)]
    assert all(isinstance(message, work.Renew) for messages in seconds[:6] for message in messages)
    assert all(isinstance(message, work.Register) for messages in seconds[6:] for message in messages)
    assert do.Reconnect() in bench.tick(15.5)


def test_while_no_broker_knows_it_a_worker_says_so_after_5_seconds_and_then_each_minute(bench: Bench) -> None:
    assert outs(bench, range(5)) == []
    assert outs(bench, range(5, 65)) == [do.StillOut(5.0)]
    assert outs(bench, range(65, 125)) == [do.StillOut(65.0)]
    bench.take(bench.crew.connected(124.0), 124.0)
    assert outs(bench, [125]) == [do.StillOut(125.0)], "connected is not registered"
    bench.hear(work.Registered(epoch=1, lease_seconds=15, renew_seconds=5), 126.0, work.Register)
    keep(bench, 200.0, since=126.0)
    bench.crew.disconnected()
    assert outs(bench, range(200, 205)) == []
    assert outs(bench, range(205, 206)) == [do.StillOut(5.0)]
    assert bench.crew.next_at == 265.0


def outs(bench: Bench, seconds: Iterable[int]) -> list[do.Instruction]:
    return [each for now in seconds for each in bench.tick(float(now)) if isinstance(each, do.StillOut)]


def test_a_refused_registration_ends_the_worker_unless_it_may_ask_again(bench: Bench) -> None:
    bench.take(bench.crew.connected(0.0), 0.0)
    later = requests.Refused(code=Code.BUSY, message="full", retry_after=1.0)
    assert not bench.hear(later, 0.0, work.Register)
    bench.tick(1.0)
    never = requests.Refused(code=Code.ACCESS, message="you may not work here")
    assert bench.hear(never, 1.0, work.Register) == [do.GiveUp(Code.ACCESS, "you may not work here")]


def test_a_drained_worker_leaves_when_it_holds_nothing_and_the_broker_knows(bench: Bench) -> None:
    bench.run()
    assert work.Drain(worker_id=WORKER) in sent(bench.take(bench.crew.drain(1.0), 1.0))
    bench.hear(work.Acknowledged(), 1.1, work.Drain)
    assert bench.lease(1.2, job_id=OTHER) == []
    publish(bench, 1.3)
    assert do.Leave() in bench.hear(work.Acknowledged(), 1.4, work.AttemptFinished)


def test_a_worker_that_goes_removes_first_what_it_keeps_of_jobs_that_have_ended(bench: Bench) -> None:
    bench.keeps = True
    bench.run()
    bench.died(0.5)
    bench.hear(work.Acknowledged(), 0.6, work.AttemptFailed)
    bench.hear(work.Renewed(epoch=1), 0.7, work.Renew)
    asked = sent(bench.take(bench.crew.drain(1.0), 1.0))
    assert asked == [work.Renew(worker_id=WORKER, keeping=(JOB,)), work.Drain(worker_id=WORKER)]
    assert do.Forget(JOB) in bench.hear(work.Renewed(epoch=1, ended=(JOB,)), 1.1, work.Renew)
    assert do.Leave() in bench.hear(work.Acknowledged(), 1.1, work.Drain)


def test_what_still_runs_at_the_end_of_the_drain_time_is_killed_and_given_back(bench: Bench) -> None:
    bench.run()
    bench.take(bench.crew.drain(0.0), 0.0)
    bench.hear(work.Acknowledged(), 0.0, work.Drain)
    keep(bench, until=31.0)
    assert do.Kill(KEY) in bench.done
    (word,) = said(bench.died(31.0))
    assert isinstance(word, work.AttemptFailed)
    assert word.retryable
    assert do.Leave() in bench.hear(work.Acknowledged(), 31.1, work.AttemptFailed)


def test_a_drained_worker_leaves_even_when_nobody_answers(bench: Bench) -> None:
    bench.take(bench.crew.drain(0.0), 0.0)
    assert do.Leave() not in bench.tick(0.9)
    assert do.Leave() in bench.tick(1.0)


def test_a_child_that_dies_before_it_has_begun_costs_no_attempt_unless_others_do_too(bench: Bench) -> None:
    bench.join()
    bench.lease()
    for _ in range(2):
        decided = bench.died()
        assert [type(each) for each in decided] == [do.Begin]
    (word,) = said(bench.died())
    assert isinstance(word, work.AttemptFailed)
    assert (word.code, word.retryable, word.begun) == (Code.WORKER_LOST, True, False)


def test_one_that_was_told_to_stop_before_it_had_begun_is_not_begun_again(bench: Bench) -> None:
    bench.join()
    bench.lease()
    bench.order()
    (word,) = said(bench.died())
    assert isinstance(word, work.AttemptCancelled)


def test_people_are_told_when_nothing_moves_and_again_ever_later(bench: Bench) -> None:
    bench.run()
    bench.report(MOVED)
    keep(bench, until=1000.0)
    frames = dict.fromkeys(each.frame for each in bench.done if isinstance(each, do.Show))
    assert [(frame.message, frame.stalled) for frame in frames] == [
        ("m", False),
        ("No progress for 120 s: m", True),
        ("No progress for 240 s: m", True),
        ("No progress for 480 s: m", True),
        ("No progress for 960 s: m", True),
    ]
    bench.report(MOVED, 1000.0)
    keep(bench, until=1119.0, since=1000.0)
    assert not shown_last(bench).stalled
    keep(bench, until=1121.0, since=1119.0)
    assert shown_last(bench).message == "No progress for 120 s: m"


def test_people_are_told_that_a_bundle_waits_for_the_depot(bench: Bench) -> None:
    bench.run()
    bench.report(MOVED)
    bench.report(BUNDLE)
    keep(bench, until=2.9)
    assert shown_last(bench).message == "m"
    keep(bench, until=60.0, since=2.9)
    frame = shown_last(bench)
    assert frame.message == "Publishing bundle (0.0 of 0.0 MB): waiting for the depot"
    assert (frame.progress, frame.stage_progress) == (99.0, StageProgress(current=0, total=1000))
    assert len({each.frame for each in bench.done if isinstance(each, do.Show)}) == 2, "said once"
    bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), 60.0, work.RequestPublish)
    assert any(isinstance(each, do.Bring) for each in bench.done)


def test_people_are_told_of_an_export_that_never_moved_at_all(bench: Bench) -> None:
    bench.run()
    keep(bench, until=130.0)
    (stalled,) = {each for each in bench.done if isinstance(each, do.Show)}
    assert "No progress for 120 s" in stalled.frame.message


def test_an_export_that_stalls_is_killed_where_that_is_wanted_and_may_be_tried_again() -> None:
    bench = Bench(settings=CrewSettings(stall_kill=200.0))
    bench.run()
    bench.report(MOVED)
    keep(bench, until=199.0)
    assert do.Kill(KEY) not in bench.done
    keep(bench, until=201.0, since=199.0)
    assert do.Kill(KEY) in bench.done
    (word,) = said(bench.died(201.0))
    assert isinstance(word, work.AttemptFailed)
    assert (word.code, word.retryable) == (Code.WORKER_LOST, True)
    assert "nothing had moved for 200 s" in word.message


def test_a_worker_whose_disk_is_full_asks_for_no_more_before_it_says_so_and_for_jobs_again_when_there_is_room(
    bench: Bench,
) -> None:
    bench.run()
    words = sent(bench.report(reports.Broke(key=KEY, code=Code.DISK_FULL, message="full"), 1.0))
    assert [type(word) for word in words] == [work.Renew, work.AttemptFailed]
    assert isinstance(words[0], work.Renew)
    assert words[0].paused
    bench.take(bench.crew.measured(2**40, 2.0), 2.0)
    assert bench.crew.out_of_room
    bench.take(bench.crew.measured(1000, 6.5), 6.5)
    assert bench.crew.out_of_room
    again = sent(bench.take(bench.crew.measured(2**40, 12.0), 12.0))
    assert [word.paused for word in again if isinstance(word, work.Renew | work.Register)] == [False]
    assert not bench.crew.out_of_room


def test_reports_of_an_attempt_that_is_not_held_are_ignored(bench: Bench) -> None:
    bench.join()
    assert not bench.report(BUNDLE)
    assert not bench.report(MOVED)
    assert not bench.died()


def publish(bench: Bench, now: float = 0.0) -> list[do.Instruction]:
    bench.report(BUNDLE, now)
    bench.hear(work.PublishGranted(job_id=JOB, attempt=1, token=b"t"), now, work.RequestPublish)
    return bench.take(bench.crew.brought(KEY, b"r", now), now)


def shown_last(bench: Bench) -> work.ProgressFrame:
    return [each.frame for each in bench.done if isinstance(each, do.Show)][-1]


def keep(bench: Bench, until: float, since: float = 0.0) -> None:
    """Let time pass with a broker that renews."""
    now = since
    while now < until:
        now = min(until, bench.crew.next_at or until)
        if any(isinstance(message, work.Renew) for message in sent(bench.tick(now))):
            bench.hear(work.Renewed(epoch=1), now, work.Renew)


def break_down(bench: Bench, *, retryable: bool = True) -> list[do.Instruction]:
    return bench.report(reports.Broke(key=KEY, code=Code.INTERNAL, message="it broke", retryable=retryable))


def test_what_is_kept_of_an_attempt_that_failed_is_told_and_its_use_asked_about_at_once(bench: Bench) -> None:
    bench.keeps = True
    bench.run()
    decided = break_down(bench)
    assert do.Clear(KEY, for_good=False) in decided
    (word,) = said(decided)
    assert isinstance(word, work.AttemptFailed)
    assert word.kept
    bench.hear(work.Acknowledged(), 0.1, work.AttemptFailed)
    (renewal,) = sent(bench.done)[-1:]
    assert renewal == work.Renew(worker_id=WORKER, keeping=(JOB,))
    assert do.Forget(JOB) not in bench.done
    assert do.Forget(JOB) in bench.hear(work.Renewed(epoch=1, ended=(JOB,)), 0.2, work.Renew)
    assert sent(bench.tick(6.0)) == [work.Renew(worker_id=WORKER)]


def test_where_nothing_is_kept_nothing_is_told(bench: Bench) -> None:
    bench.run()
    (word,) = said(break_down(bench))
    assert isinstance(word, work.AttemptFailed)
    assert not word.kept
    bench.hear(work.Acknowledged(), 0.1, work.AttemptFailed)
    assert sent(bench.tick(5.0)) == [work.Renew(worker_id=WORKER)]


def test_what_cannot_be_done_and_what_is_cancelled_is_cleared_for_good(bench: Bench) -> None:
    bench.keeps = True
    bench.run()
    assert do.Clear(KEY, for_good=True) in break_down(bench, retryable=False)


def test_what_is_kept_is_removed_before_a_late_cancel_is_confirmed(bench: Bench) -> None:
    """The attempt has failed and its last word is on the way when the order comes."""
    bench.keeps = True
    bench.run()
    break_down(bench)
    decided = bench.hear(order(), 0.1, work.AttemptFailed)
    forget = decided.index(do.Forget(JOB, 1))
    (word,) = said(decided)
    assert isinstance(word, work.AttemptCancelled)
    assert word.cleanup_completed
    assert forget < [isinstance(each, do.Send) and each.message == word for each in decided].index(True)


@pytest.mark.parametrize("dirty", [False, True])
def test_a_cancel_of_what_waits_for_another_attempt_removes_what_is_kept_and_says_whether_it_could(
    bench: Bench, dirty: bool
) -> None:
    bench.crew.found([JOB])
    bench.join()
    bench.dirty = dirty
    decided = bench.order()
    (word,) = said(decided)
    assert isinstance(word, work.AttemptCancelled)
    assert word.cleanup_completed is not dirty
    assert decided.index(do.Forget(JOB, 1)) < [isinstance(each, do.Send) for each in decided].index(True)


def test_a_cancel_said_again_meanwhile_is_answered_once(bench: Bench) -> None:
    bench.crew.found([JOB])
    bench.join()
    bench.order()
    assert list(said(bench.order())) == []


def test_a_process_says_for_how_long_a_broker_has_known_it(bench: Bench) -> None:
    bench.take(bench.crew.connected(0.0), 0.0)
    bench.tick(1.0)
    bench.hear(work.Registered(epoch=1, lease_seconds=15, renew_seconds=5), 1.5, work.Register)
    for now in (4.0, 9.0):
        bench.take(bench.crew.connected(now), now)
        bench.hear(work.Registered(epoch=2, lease_seconds=15, renew_seconds=5), now + 0.5, work.Register)
    registers = [message for message in sent(bench.done) if isinstance(message, work.Register)]
    assert [message.here_for for message in registers] == [None, None, 2.5, 7.5]


def test_what_was_found_is_told_when_it_registers_and_a_job_that_runs_here_again_is_not_forgotten(
    bench: Bench,
) -> None:
    bench.crew.found([OTHER, JOB])
    bench.take(bench.crew.connected(0.0), 0.0)
    (register,) = sent(bench.done)
    assert isinstance(register, work.Register)
    assert register.keeping == (OTHER, JOB)
    bench.hear(work.Registered(epoch=1, lease_seconds=15, renew_seconds=5), 0.0, work.Register)
    bench.lease()
    bench.tick(5.0)
    decided = bench.hear(work.Renewed(epoch=1, ended=(JOB, OTHER)), 5.1, work.Renew)
    assert [each for each in decided if isinstance(each, do.Forget)] == [do.Forget(OTHER)]


def shown(taken: Iterable[do.Instruction]) -> list[float]:
    return [each.frame.progress for each in taken if isinstance(each, do.Show)]


def test_what_was_shown_before_the_broker_had_the_beginning_is_shown_again() -> None:
    bench = Bench()
    bench.join()
    bench.lease()
    bench.report(reports.Begun(key=KEY), 0.0)
    bench.report(MOVED, 0.0)
    assert shown(bench.hear(work.Acknowledged(), 0.1, work.AttemptStarted)) == [40.0]


def test_a_frame_that_was_lost_is_shown_again_with_the_renewal_while_its_attempt_is_at_work() -> None:
    bench = Bench()
    bench.run()
    bench.report(MOVED, 1.0)
    bench.tick(6.0)
    assert shown(bench.hear(work.Renewed(epoch=1), 6.0, work.Renew)) == [40.0]
    bench.report(reports.Broke(key=KEY, code=Code.SOURCE, message="no", retryable=False), 7.0)
    bench.tick(12.0)
    assert shown(bench.hear(work.Renewed(epoch=1), 12.0, work.Renew)) == []
