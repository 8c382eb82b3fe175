"""What waits for time: one alarm a purpose and thing, by the steady clock."""

import heapq
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

SLACK = 1024
"""Entries of alarms that ring no more which are always borne with."""


class Purpose(StrEnum):
    """What is due when an alarm rings; beside each, what its identity names."""

    LEASE = "lease"
    """job: its lease runs out"""
    RETRY = "retry"
    """job: it may be leased again"""
    TIMEOUT = "timeout"
    """job: its `timeout` option"""
    ORDER = "order"
    """job: its cancel order is repeated"""
    CLEARING = "clearing"
    """job: workers were told to remove what they keep of it"""
    SILENCE = "silence"
    """worker: nothing was heard of it for a lease's time"""
    RETURN = "return"
    """worker: its connection has gone and it has not come back"""
    RETENTION = "retention"
    """nothing: bundles that are too old or too many go"""
    PROGRESS = "progress"
    """nothing: progress of all jobs is saved"""


class Alarm(NamedTuple):
    """One thing that waits for time."""

    purpose: Purpose
    identity: str = ""


class Alarms:
    """A heap of alarms; setting one again moves it."""

    def __init__(self) -> None:
        self._at: dict[Alarm, float] = {}
        self._heap: list[tuple[float, Alarm]] = []

    def set(self, at: float, purpose: Purpose, identity: str = "") -> None:
        """Let an alarm ring at `at` (steady seconds), and not when it would have before."""
        alarm = Alarm(purpose, identity)
        if self._at.get(alarm) != at:
            self._at[alarm] = at
            heapq.heappush(self._heap, (at, alarm))
            self._tidy()

    def set_earliest(self, at: float, purpose: Purpose, identity: str = "") -> None:
        """Let an alarm ring at `at` unless it is set already."""
        if Alarm(purpose, identity) not in self._at:
            self.set(at, purpose, identity)

    def drop(self, purpose: Purpose, identity: str = "") -> None:
        """Let an alarm not ring; one that is not set is none."""
        self._at.pop(Alarm(purpose, identity), None)

    def at(self, purpose: Purpose, identity: str = "") -> float | None:
        """Return when an alarm rings; None when it is not set."""
        return self._at.get(Alarm(purpose, identity))

    @property
    def next(self) -> float | None:
        """When the next alarm rings; None when there is none."""
        self._forget_moved()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[Alarm]:
        """Yield the alarms that ring by now, the earliest first; each is over when it is yielded, and may be set again."""
        while (at := self.next) is not None and at <= now:
            alarm = heapq.heappop(self._heap)[1]
            del self._at[alarm]
            yield alarm

    def _tidy(self) -> None:
        """Let go of alarms that were dropped, or moved, long before their time: so there are never many more than are set."""
        if len(self._heap) > 2 * len(self._at) + SLACK:
            self._heap = [(at, alarm) for alarm, at in self._at.items()]
            heapq.heapify(self._heap)

    def _forget_moved(self) -> None:
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
