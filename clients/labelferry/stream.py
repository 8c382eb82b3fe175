"""One job's events as a subscriber must show them, pure: ordered, nothing doubled, gaps repaired by snapshot, to the terminal event.

What comes in: pushes from the events lane (`pushed`), answers to `get-snapshot` (`answered`), time (`tick`). What goes out:
events (`take`) and two wishes to whoever holds the sockets: `AskSnapshot` and `Resubscribe`. The rules:

- Until a snapshot has said where the job stands, and while `seq` has a gap, events are held back and a snapshot is asked for.
- A new epoch is a restarted broker: the same.
- Progress never falls, whatever attempt it is of.
- Beats and events say that the lane lives; after `SILENCE_SECONDS` without any, snapshots are polled until it lives again.
- A quiet job on a lively lane is looked at now and then, for its last event may be among the lost ones.
- A subscription on which nothing comes, not even its snapshot, was not granted (the job was not there yet): it is renewed.
"""

from collections import deque
from dataclasses import dataclass

import msgspec

from labelferry_protocol import limits
from labelferry_protocol.events import (
    TERMINAL_EVENTS,
    Beat,
    Cancelled,
    Completed,
    Failed,
    JobEvent,
    Progress,
    Snapshot,
)
from labelferry_protocol.words import Phase

FIRST_ASK_SECONDS = 0.2
"""How long the pushed snapshot may take before one is asked for."""
AGAIN_SECONDS = 0.1
"""Between a snapshot that did not close a gap and the next question."""
QUIET_SECONDS = 5.0
"""After so long without news of the job on a lively lane, a snapshot is asked for."""
REPAIR_SECONDS = 3.0
"""How long events are held back for a snapshot that does not come; then they are shown with the gap."""
RENEW_SECONDS = 1.0
MOST_RENEW_SECONDS = 8.0
"""Between two renewals of a subscription on which nothing comes: from the first, doubling, to the second."""
MOST_READY = 1000
"""Events kept for somebody who does not take them; beyond, the oldest progress is dropped."""


@dataclass(frozen=True)
class AskSnapshot:
    """Wish: send `get-snapshot` for this job, and say `answered` with what comes."""

    job_id: str


@dataclass(frozen=True)
class Resubscribe:
    """Wish: unsubscribe from this job's topic and subscribe again."""

    job_id: str


Wish = AskSnapshot | Resubscribe
Terminal = Completed | Failed | Cancelled


class EventStream:
    """The events of one job for one reader. Say that the topic is subscribed to by making one."""

    def __init__(self, job_id: str, now: float) -> None:
        self.job_id = job_id
        self.since = now
        """When somebody began to watch (s)."""
        self.ended = False
        self._ready: deque[JobEvent] = deque()
        self._held: dict[int, JobEvent] = {}
        self._held_since: float | None = None
        self._last: int | None = None
        self._epoch: int | None = None
        self._want_at: float | None = now + FIRST_ASK_SECONDS
        self._asking = False
        self._answered_at = float("-inf")
        self._lane_at = now
        self._news_at = now
        self._reached: dict[Phase, float] = {}
        """The progress that was shown, which never falls."""
        self._granted = False
        self._renew_at = now + RENEW_SECONDS
        self._renew_wait = RENEW_SECONDS

    def take(self) -> JobEvent | None:
        """Return the next event to show; None when there is none now."""
        return self._ready.popleft() if self._ready else None

    def pushed(self, message: JobEvent | Snapshot | Beat, now: float) -> None:
        """Take what the events lane brought: of this job, or a beat."""
        self._lane_at = now
        if self._epoch is not None and message.epoch > self._epoch:
            self._epoch_changed(message.epoch, now)
        if isinstance(message, Beat) or self.ended:
            return
        self._granted = True
        self._renew_wait = RENEW_SECONDS
        self._news_at = now
        if isinstance(message, Snapshot):
            if self._epoch is None or message.epoch >= self._epoch:
                self._learn(message, now)
        else:
            self._order(message, now)

    def lane_spoke(self, now: float) -> None:
        """Take it that something came on the lane at `now`, of whatever job: it lives."""
        self._lane_at = max(self._lane_at, now)

    def answered(self, snapshot: Snapshot, now: float) -> None:
        """Take the answer to an `AskSnapshot`: what the broker that serves now knows of the job."""
        self._asking = False
        self._answered_at = now
        if self.ended:
            return
        if now - self._news_at >= QUIET_SECONDS:
            missed = self._last is not None and snapshot.seq > self._last
            self._granted = self._granted and not missed
            self._news_at = now
        self._learn(snapshot, now)

    def unanswered(self, now: float) -> None:
        """Take it that an `AskSnapshot` will not be answered; another follows."""
        self._asking = False
        self._want(now + AGAIN_SECONDS)

    def settled(self, outcome: Terminal) -> None:
        """Take the end of the job from the answer to a cancel, whichever lane is the faster."""
        self._end(outcome)

    def paused(self, now: float) -> None:
        """Take it that nobody listened for a while: what came meanwhile may be lost."""
        if not self.ended:
            self._want(now)

    def tick(self, now: float) -> list[Wish]:
        """Return what to do now."""
        wishes: list[Wish] = []
        if self.ended:
            return wishes
        if self._held_since is not None and now - self._held_since >= REPAIR_SECONDS:
            self._show_with_gap()
        if not self._asking and now >= self._ask_time():
            self._asking = True
            wishes.append(AskSnapshot(self.job_id))
        if now >= self._renew_time():
            self._renew_at = now + self._renew_wait
            self._renew_wait = min(MOST_RENEW_SECONDS, 2 * self._renew_wait)
            wishes.append(Resubscribe(self.job_id))
        return wishes

    def deadline(self) -> float:
        """Return when `tick` has something to do next; infinity when never."""
        if self.ended:
            return float("inf")
        repair = float("inf") if self._held_since is None else self._held_since + REPAIR_SECONDS
        return min(repair, self._renew_time(), float("inf") if self._asking else self._ask_time())

    def _ask_time(self) -> float:
        if self.ended:
            return float("inf")
        if self._want_at is not None:
            return self._want_at
        silent = self._lane_at + limits.SILENCE_SECONDS
        quiet = self._news_at + QUIET_SECONDS
        return max(min(silent, quiet), self._answered_at + limits.POLL_SECONDS)

    def _renew_time(self) -> float:
        return float("inf") if self._granted or self.ended else self._renew_at

    def _want(self, at: float) -> None:
        at = max(at, self._answered_at + AGAIN_SECONDS)
        self._want_at = at if self._want_at is None else min(self._want_at, at)

    def _epoch_changed(self, epoch: int, now: float) -> None:
        self._epoch = epoch
        self._granted = False
        self._renew_wait = RENEW_SECONDS
        self._renew_at = now + RENEW_SECONDS
        self._want(now)

    def _order(self, event: JobEvent, now: float) -> None:
        if self._last is not None and event.seq <= self._last:
            return
        self._held.setdefault(event.seq, event)
        self._release()
        if self.ended or not self._held:
            return
        if self._held_since is None:
            self._held_since = now
        if self._last is not None:
            self._want(now)

    def _learn(self, snapshot: Snapshot, now: float) -> None:
        self._epoch = snapshot.epoch
        self._want_at = None
        known: dict[int, JobEvent] = dict(self._held)
        for event in (snapshot.started, snapshot.progress, snapshot.terminal):
            if event is not None:
                known[event.seq] = event
        for seq in sorted(known):
            if seq <= snapshot.seq:
                self._show(known[seq])
        if snapshot.terminal is not None:
            self._end(snapshot.terminal)
        self._last = snapshot.seq if self._last is None else max(self._last, snapshot.seq)
        self._release()
        if self._held and not self.ended:
            self._want(now + AGAIN_SECONDS)

    def _release(self) -> None:
        if self._last is None:
            return
        while not self.ended and self._last + 1 in self._held:
            self._show(self._held[self._last + 1])
        self._held = {} if self.ended else {seq: each for seq, each in self._held.items() if seq > self._last}
        if not self._held:
            self._held_since = None

    def _show_with_gap(self) -> None:
        for seq in sorted(self._held):
            self._show(self._held[seq])
        self._held = {}
        self._held_since = None

    def _show(self, event: JobEvent) -> None:
        if self.ended or (self._last is not None and event.seq <= self._last):
            return
        self._last = event.seq
        if isinstance(event, Progress):
            # A broker that was killed may have forgotten the last moment of it, and an attempt after that goes on from less.
            self._reached[event.phase] = max(self._reached.get(event.phase, 0.0), event.progress)
            event = msgspec.structs.replace(event, progress=self._reached[event.phase])
        self.ended = isinstance(event, TERMINAL_EVENTS)
        self._ready.append(event)
        if len(self._ready) > MOST_READY:
            self._drop_oldest_progress()

    def _end(self, terminal: Terminal) -> None:
        """Show the end, also one whose `seq` is not above what was seen (a broker put back from a copy): an ended job has ended."""
        if self.ended:
            return
        if self._last is not None and terminal.seq <= self._last:
            terminal = msgspec.structs.replace(terminal, seq=self._last + 1)
        self._show(terminal)
        self._held = {}

    def _drop_oldest_progress(self) -> None:
        for index, event in enumerate(self._ready):
            if isinstance(event, Progress):
                del self._ready[index]
                return
