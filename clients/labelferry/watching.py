"""The jobs that one session watches, pure: their streams, the topics subscribed to for them, and the snapshots they ask for. The connection itself: session.py."""

from collections.abc import Callable
from typing import Any

from labelferry.conversation import Question
from labelferry.effects import Effect, Subscribe, Unsubscribe
from labelferry.stream import AskSnapshot, EventStream
from labelferry_protocol import topics
from labelferry_protocol.errors import Code, LabelferryError, Refusal
from labelferry_protocol.events import Beat, EventsLane, Snapshot

MOST_LEFT = 32
"""Topics of ended jobs that are unsubscribed from together."""
TRANSIENT = frozenset({Code.BUSY, Code.STORE, Code.INTERNAL})
"""Refusals of a snapshot after which a stream asks again instead of ending."""


class Watching:
    """The streams of a session. What is to be done goes to `emit`; `ask` asks for the snapshot of a job, `forget` waits for a question no more."""

    def __init__(
        self,
        emit: Callable[[Effect], None],
        ask: Callable[[str], Question[Snapshot]],
        forget: Callable[[Question[Any]], None],
    ) -> None:
        self._emit = emit
        self._ask = ask
        self._forget = forget
        self.due = float("inf")
        """No stream has anything to do before; there may be very many, so they are not all asked each time."""
        self._streams: dict[str, list[EventStream]] = {}
        self._left: dict[str, None] = {}
        """Ended jobs whose topics are still subscribed to: nothing comes on them, and to leave many at once wakes the broker once."""
        self._stirred: set[EventStream] = set()
        self._snapshots: dict[EventStream, Question[Snapshot]] = {}
        self._refused: dict[EventStream, LabelferryError] = {}

    @property
    def active(self) -> bool:
        """Whether there is a stream."""
        return bool(self._streams)

    def all(self) -> list[EventStream]:
        """Return the streams."""
        return [stream for streams in self._streams.values() for stream in streams]

    def watch(self, job_id: str, now: float) -> EventStream:
        """Return a stream of a job's events, its topic subscribed to."""
        if job_id in self._left:
            del self._left[job_id]
            self._emit(Unsubscribe(topics.topic_of(job_id)))
        if job_id not in self._streams:
            self._emit(Subscribe(topics.topic_of(job_id)))
        stream = EventStream(job_id, now)
        self._streams.setdefault(job_id, []).append(stream)
        self._stir(stream)
        return stream

    def unwatch(self, stream: EventStream) -> None:
        """Let go of a stream; its topic is unsubscribed from with the last one: at once, or with others when the job has ended."""
        others = self._streams.get(stream.job_id, [])
        if stream not in others:
            return
        others.remove(stream)
        self._refused.pop(stream, None)
        question = self._snapshots.pop(stream, None)
        if question is not None:
            self._forget(question)
        if not others:
            del self._streams[stream.job_id]
            self._left[stream.job_id] = None
            if not stream.ended or len(self._left) >= MOST_LEFT:
                for each in self._left:
                    self._emit(Unsubscribe(topics.topic_of(each)))
                self._left.clear()

    def resubscribe(self) -> None:
        """Subscribe to everything on a connection that is new."""
        self._left.clear()
        for job_id in self._streams:
            self._emit(Subscribe(topics.topic_of(job_id)))

    def refusal(self, stream: EventStream) -> LabelferryError | None:
        """Return what the broker said to end a stream, if it did."""
        return self._refused.get(stream)

    def pushed(self, message: EventsLane, now: float) -> None:
        """Tell the streams that it concerns of what came on the events lane."""
        for stream in self.all() if isinstance(message, Beat) else self._streams.get(message.job_id, ()):
            stream.pushed(message, now)
            self._stir(stream)

    def paused(self, now: float) -> None:
        """Tell all streams that nobody looked for a while."""
        for stream in self.all():
            stream.paused(now)
            self._stir(stream)

    def tick(self, now: float, heard_at: float) -> None:
        """Do what is due; `heard_at` is when the events lane spoke last."""
        self._take_snapshots(now)
        if now < self.due:
            return
        for stream in self.all():
            stream.lane_spoke(heard_at)
            if now < stream.deadline():
                continue
            for wish in stream.tick(now):
                if isinstance(wish, AskSnapshot):
                    self._snapshots[stream] = self._ask(stream.job_id)
                else:
                    topic = topics.topic_of(stream.job_id)
                    self._emit(Unsubscribe(topic))
                    self._emit(Subscribe(topic))
            self._stirred.add(stream)
        self.due = min((each.deadline() for each in self.all()), default=float("inf"))

    def stirred(self) -> set[EventStream]:
        """Return the streams to which something has happened since the last time."""
        stirred, self._stirred = self._stirred, set()
        return stirred

    def _take_snapshots(self, now: float) -> None:
        for stream, question in list(self._snapshots.items()):
            if question.open:
                continue
            del self._snapshots[stream]
            if question.answer is not None:
                stream.answered(question.answer, now)
            elif question.error is None or (isinstance(question.error, Refusal) and question.error.code in TRANSIENT):
                stream.unanswered(now)
            else:
                self._refused[stream] = question.error
            self._stir(stream)

    def _stir(self, stream: EventStream) -> None:
        """Note that something has happened to a stream: its reader looks again, and it may have something to do sooner."""
        self._stirred.add(stream)
        self.due = min(self.due, stream.deadline())
