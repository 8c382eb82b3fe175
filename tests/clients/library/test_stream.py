"""A job's events as a reader sees them, whatever the lanes lose, double or turn around. Pure: time is a number."""

from dataclasses import dataclass, field
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from labelferry.stream import (
    FIRST_ASK_SECONDS,
    MOST_READY,
    QUIET_SECONDS,
    REPAIR_SECONDS,
    AskSnapshot,
    EventStream,
    Resubscribe,
)
from labelferry_protocol import limits
from labelferry_protocol.events import (
    TERMINAL_EVENTS,
    Beat,
    BundleFacts,
    Completed,
    ExportCounts,
    JobEvent,
    PhaseChanged,
    Progress,
    Snapshot,
    StageProgress,
    Started,
)
from labelferry_protocol.words import Phase, Stage, State

JOB = "a" * 32
BUNDLE = BundleFacts(size=10, sha256="0" * 64)


def started(seq: int, epoch: int = 1, attempt: int = 1) -> Started:
    return Started(job_id=JOB, epoch=epoch, attempt=attempt, seq=seq, timestamp=0.0, project="p", worker="w")


def progress(seq: int, epoch: int = 1, attempt: int = 1) -> Progress:
    return Progress(
        job_id=JOB,
        epoch=epoch,
        attempt=attempt,
        seq=seq,
        timestamp=0.0,
        progress=min(seq, 100),
        phase=Phase.PROCESSING,
        stage=Stage.IMAGES,
        message="",
        stage_progress=StageProgress(current=0, total=1),
    )


def at(seq: int, percent: float, attempt: int = 1, epoch: int = 1) -> Progress:
    return msgspec.structs.replace(progress(seq, epoch, attempt), progress=percent)


def phase_changed(seq: int, epoch: int = 1) -> PhaseChanged:
    return PhaseChanged(
        job_id=JOB, epoch=epoch, attempt=1, seq=seq, timestamp=0.0, previous=Phase.PROCESSING, phase=Phase.DOWNLOADING
    )


def completed(seq: int, epoch: int = 1) -> Completed:
    return Completed(
        job_id=JOB, epoch=epoch, attempt=1, seq=seq, timestamp=0.0, project="p", bundle=BUNDLE, counts=ExportCounts()
    )


def snapshot(*events: JobEvent, seq: int | None = None, epoch: int = 1) -> Snapshot:
    """What a broker that has said `events` knows."""
    last = {type(event): event for event in events}
    terminal = events[-1] if events and isinstance(events[-1], TERMINAL_EVENTS) else None
    begun, progressed = last.get(Started), last.get(Progress)
    assert begun is None or isinstance(begun, Started)
    assert progressed is None or isinstance(progressed, Progress)
    return Snapshot(
        job_id=JOB,
        epoch=epoch,
        attempt=1,
        seq=max([0, *(event.seq for event in events)]) if seq is None else seq,
        timestamp=0.0,
        project="p",
        owner="local",
        state=State.COMPLETED if terminal else State.RUNNING,
        created_at=0.0,
        started=begun,
        progress=progressed,
        terminal=terminal,
    )


def seqs(stream: EventStream) -> list[int]:
    """Take all that is ready."""
    taken = []
    while (event := stream.take()) is not None:
        taken.append(event.seq)
    return taken


def begun(*events: JobEvent, now: float = 0.0) -> EventStream:
    """A stream that has had its first snapshot pushed."""
    stream = EventStream(JOB, 0.0)
    stream.pushed(snapshot(*events), now)
    return stream


def test_a_late_joiner_is_told_what_the_snapshot_knows_and_then_what_follows() -> None:
    stream = begun(started(1), progress(2), progress(3))
    assert seqs(stream) == [1, 3]
    stream.pushed(progress(4), 0.1)
    assert seqs(stream) == [4]


def test_whoever_joins_after_the_end_is_told_the_end_and_the_stream_has_ended() -> None:
    stream = begun(started(1), progress(2), completed(3))
    assert seqs(stream) == [1, 2, 3]
    assert stream.ended
    assert stream.deadline() == float("inf")


def test_nothing_is_shown_before_a_snapshot_has_said_where_the_job_stands() -> None:
    stream = EventStream(JOB, 0.0)
    stream.pushed(progress(7), 0.1)
    assert seqs(stream) == []
    stream.answered(snapshot(started(1), progress(6)), 0.2)
    assert seqs(stream) == [1, 6, 7]


def test_a_snapshot_is_asked_for_when_none_is_pushed() -> None:
    stream = EventStream(JOB, 0.0)
    assert stream.tick(FIRST_ASK_SECONDS - 0.01) == []
    assert stream.tick(FIRST_ASK_SECONDS) == [AskSnapshot(JOB)]
    assert stream.tick(FIRST_ASK_SECONDS + 0.1) == []


def test_no_snapshot_is_asked_for_when_one_was_pushed() -> None:
    assert begun(started(1)).tick(FIRST_ASK_SECONDS) == []


def test_a_doubled_event_is_shown_once() -> None:
    stream = begun(started(1))
    for event in (progress(2), progress(2), started(1), progress(3)):
        stream.pushed(event, 0.1)
    assert seqs(stream) == [1, 2, 3]


def test_events_behind_a_gap_wait_for_the_snapshot_that_is_asked_for_at_once() -> None:
    stream = begun(started(1))
    stream.pushed(progress(4), 1.0)
    assert seqs(stream) == [1]
    assert stream.tick(1.0) == [AskSnapshot(JOB)]
    stream.answered(snapshot(started(1), progress(5)), 1.1)
    assert seqs(stream) == [4, 5]


def test_a_gap_that_closes_by_itself_needs_no_snapshot_to_go_on() -> None:
    stream = begun(started(1))
    stream.pushed(progress(3), 1.0)
    stream.pushed(progress(2), 1.0)
    assert seqs(stream) == [1, 2, 3]


def test_a_snapshot_that_is_older_than_the_gap_is_asked_for_again() -> None:
    stream = begun(started(1))
    stream.pushed(progress(4), 1.0)
    stream.tick(1.0)
    stream.answered(snapshot(started(1), progress(2)), 1.1)
    assert stream.tick(1.1) == []
    assert stream.tick(1.3) == [AskSnapshot(JOB)]
    stream.answered(snapshot(started(1), progress(3)), 1.4)
    assert seqs(stream) == [1, 2, 3, 4]


def test_a_gap_that_nobody_repairs_is_shown_in_the_end() -> None:
    stream = begun(started(1))
    stream.pushed(progress(4), 1.0)
    stream.pushed(completed(6), 1.1)
    stream.tick(1.0 + REPAIR_SECONDS)
    assert seqs(stream) == [1, 4, 6]
    assert stream.ended


def test_a_beat_of_a_new_epoch_asks_for_a_snapshot_and_renews_a_subscription_that_stays_mute() -> None:
    stream = begun(started(1))
    stream.pushed(Beat(epoch=2, timestamp=0.0), 1.0)
    assert stream.tick(1.0) == [AskSnapshot(JOB)]
    stream.answered(snapshot(started(1), progress(1025, epoch=2), epoch=2), 1.1)
    assert seqs(stream) == [1, 1025]
    assert stream.tick(2.1) == [Resubscribe(JOB)]
    stream.pushed(snapshot(started(1), progress(1026, epoch=2), epoch=2), 2.2)
    assert seqs(stream) == [1026]
    assert stream.tick(4.2) == []


def test_an_event_of_a_new_epoch_waits_for_the_snapshot_of_that_epoch() -> None:
    stream = begun(started(1), progress(2))
    seqs(stream)
    stream.pushed(progress(1030, epoch=2), 1.0)
    assert seqs(stream) == []
    assert stream.tick(1.0) == [AskSnapshot(JOB)]
    stream.answered(snapshot(started(1029, epoch=2, attempt=2), progress(1030, epoch=2), epoch=2), 1.1)
    assert seqs(stream) == [1029, 1030]


def test_a_pushed_snapshot_of_an_older_epoch_is_passed_over() -> None:
    stream = begun(started(1))
    stream.pushed(Beat(epoch=3, timestamp=0.0), 1.0)
    stream.pushed(snapshot(started(1), progress(9), epoch=2), 1.0)
    assert seqs(stream) == [1]


def test_silence_is_polled_through_until_the_lane_lives_again() -> None:
    stream = begun(started(1))
    asked = []
    now = 0.0
    while now < 6.0:
        now += 0.1
        for _ in stream.tick(now):
            asked.append(round(now, 1))
            stream.answered(snapshot(started(1)), now)
    assert asked[0] >= limits.SILENCE_SECONDS
    assert asked[0] <= limits.SILENCE_SECONDS + 0.2
    assert 3 <= len([at for at in asked if at < 6.0]) <= 5
    stream.pushed(Beat(epoch=1, timestamp=0.0), now)
    stream.pushed(progress(2), now)
    assert stream.tick(now + limits.POLL_SECONDS + 0.5) == []


def test_a_job_that_is_quiet_on_a_lively_lane_is_looked_at_for_its_end_may_be_lost() -> None:
    stream = begun(started(1))
    now = 0.0
    wishes: list[AskSnapshot | Resubscribe] = []
    while not wishes:
        now += 1.0
        stream.pushed(Beat(epoch=1, timestamp=now), now)
        wishes = stream.tick(now)
    assert now == QUIET_SECONDS
    stream.answered(snapshot(started(1), completed(2)), now)
    assert seqs(stream) == [1, 2]


def test_a_subscription_on_which_news_was_missed_is_renewed() -> None:
    stream = begun(started(1))
    stream.pushed(Beat(epoch=1, timestamp=4.0), 4.9)
    assert stream.tick(5.0) == [AskSnapshot(JOB)]
    stream.answered(snapshot(started(1), progress(9)), 5.1)
    assert Resubscribe(JOB) in stream.tick(5.2)


def test_a_subscription_on_which_nothing_comes_is_renewed_ever_more_rarely() -> None:
    stream = EventStream(JOB, 0.0)
    renewed = []
    for tenth in range(1, 300):
        now = tenth / 10
        stream.pushed(Beat(epoch=1, timestamp=now), now)
        for wish in stream.tick(now):
            if isinstance(wish, Resubscribe):
                renewed.append(now)
            else:
                stream.answered(snapshot(started(1)), now)
    assert renewed == [1.0, 2.0, 4.0, 8.0, 16.0, 24.0]


def test_whoever_was_stopped_asks_what_was_missed() -> None:
    stream = begun(started(1))
    stream.paused(10.0)
    assert stream.tick(10.0) == [AskSnapshot(JOB)]


def test_a_question_that_failed_is_asked_again() -> None:
    stream = EventStream(JOB, 0.0)
    assert stream.tick(1.0)[0] == AskSnapshot(JOB)
    stream.unanswered(2.0)
    assert AskSnapshot(JOB) in stream.tick(2.2)


def test_the_answer_to_a_cancel_ends_the_stream_before_the_event_comes() -> None:
    stream = begun(started(1), progress(2))
    stream.settled(completed(5))
    stream.pushed(completed(5), 1.0)
    assert seqs(stream) == [1, 2, 5]
    assert stream.ended


def test_an_end_with_a_seq_that_was_seen_is_shown_all_the_same() -> None:
    stream = begun(started(1), progress(9))
    stream.answered(snapshot(completed(4)), 1.0)
    assert seqs(stream) == [1, 9, 10]


def test_nothing_follows_the_end() -> None:
    stream = begun(started(1), completed(2))
    stream.pushed(progress(3), 1.0)
    stream.answered(snapshot(started(1), progress(4)), 1.1)
    assert seqs(stream) == [1, 2]


def test_a_reader_that_never_takes_loses_old_progress_and_nothing_else() -> None:
    stream = begun(started(1))
    for seq in range(2, MOST_READY + 500):
        stream.pushed(progress(seq), 0.0)
    stream.pushed(completed(MOST_READY + 500), 0.0)
    taken = seqs(stream)
    assert len(taken) == MOST_READY
    assert (taken[0], taken[-1]) == (1, MOST_READY + 500)
    assert taken == sorted(set(taken))


@dataclass
class Road:
    """A pretended broker and the road from it: it loses, doubles, delays and turns around, as a seed says."""

    stream: EventStream
    chance: Random
    said: list[JobEvent] = field(default_factory=list)
    under_way: list[JobEvent | Snapshot] = field(default_factory=list)
    epoch: int = 1
    seq: int = 0

    def say(self, event: JobEvent) -> None:
        self.seq += 1
        event = msgspec.structs.replace(event, seq=self.seq, epoch=self.epoch)
        self.said.append(event)
        self.under_way += [event] * self.chance.choice([0, 1, 1, 1, 2])

    def deliver(self, now: float) -> None:
        """Bring some of what is under way, in any order."""
        for _ in range(self.chance.randint(0, len(self.under_way))):
            self.stream.pushed(self.under_way.pop(self.chance.randrange(len(self.under_way))), now)

    def answer(self, now: float) -> None:
        """Answer what the stream wishes for, or lose the answer."""
        for wish in self.stream.tick(now):
            current = snapshot(*self.said, seq=self.seq, epoch=self.epoch)
            if isinstance(wish, Resubscribe):
                self.under_way.append(current)
            elif self.chance.random() < 0.6:
                self.stream.answered(current, now)
            else:
                self.stream.unanswered(now)

    def restart(self) -> None:
        self.epoch += 1
        self.seq += self.chance.randint(0, 50)


@settings(max_examples=500)
@given(st.integers(0, 2**32), st.integers(0, 30), st.sampled_from([0.0, 0.2]))
def test_whatever_the_road_does_the_stream_is_ordered_single_and_ends(seed: int, steps: int, restarts: float) -> None:
    chance = Random(seed)
    stream = EventStream(JOB, 0.0)
    road = Road(stream, chance)
    now = 0.0
    road.say(started(0))
    for _ in range(steps):
        now += chance.choice([0.01, 0.2, 1.5])
        road.say(progress(0))
        if chance.random() < restarts:
            road.restart()
        road.deliver(now)
        road.answer(now)
    road.say(completed(0))
    taken: list[JobEvent] = []
    while not stream.ended:
        now += 0.1
        assert now < steps * 1.5 + 60, "the stream never ends"
        road.deliver(now)
        if chance.random() < 0.5:
            stream.pushed(Beat(epoch=road.epoch, timestamp=now), now)
        road.answer(now)
    while (event := stream.take()) is not None:
        taken.append(event)
    order = [event.seq for event in taken]
    assert order == sorted(set(order))
    assert [type(event) for event in taken].count(Completed) == 1
    assert isinstance(taken[-1], Completed)
    assert all(event in road.said for event in taken)


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_on_a_lossless_road_every_event_is_shown_whatever_the_order_of_snapshot_and_events(
    seed: int, steps: int
) -> None:
    chance = Random(seed)
    stream = EventStream(JOB, 0.0)
    said: list[JobEvent] = [started(1), *(progress(seq) for seq in range(2, steps + 2)), completed(steps + 2)]
    seen_first = chance.randrange(len(said) + 1)
    deliveries: list[JobEvent | Snapshot] = [*said[seen_first:], snapshot(*said[:seen_first])]
    chance.shuffle(deliveries)
    for message in deliveries:
        stream.pushed(message, 0.0)
    known = {event.seq for event in said[:seen_first] if not isinstance(event, Progress)}
    taken = seqs(stream)
    assert taken == sorted(set(taken))
    assert known <= set(taken)
    assert set(range(seen_first + 1, steps + 3)) <= set(taken)


def test_progress_never_falls_though_a_broker_that_was_killed_has_forgotten_some_of_it() -> None:
    stream = EventStream(JOB, 0.0)
    stream.pushed(snapshot(started(1), at(2, 60.0)), 0.0)
    for event in (at(3, 61.5), started(4, attempt=2), at(5, 60.0, attempt=2), at(6, 63.0, attempt=2)):
        stream.pushed(event, 0.1)
    shown = []
    while (taken := stream.take()) is not None:
        shown.append(taken)
    assert [each.progress for each in shown if isinstance(each, Progress)] == [60.0, 61.5, 61.5, 63.0]
