"""A way of a given width, length and loss, as events in pretended time: what is sent on it comes later, in order, or never. No socket, no sleep."""

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeVar

from labelferry_protocol import limits

T = TypeVar("T")

WAYS = {64e3: 2_000_000, 1e6: 9_000_000, 8e6: 90_000_000, 1e9: 200_000_000}
"""Bits a second, and bytes to bring over them: so many that eight of the largest chunks take more than two seconds on all but the widest."""


def least_seconds(bits: float, latency: float) -> float:
    """Return how long a way of `WAYS` takes for its bytes at best: eight chunks a round trip is all that the widest is given."""
    size = WAYS[bits]
    return max(8 * size / bits, 2 * latency * size / (8 * limits.chunk_bytes_for(size)))


@dataclass
class Link(Generic[T]):
    """One direction: so many `bytes_per_second`, `latency` seconds long; of all that is sent on it a share, `loss`, is lost on the way."""

    bytes_per_second: float
    latency: float
    loss: float = 0.0
    chance: Random = field(default_factory=lambda: Random(0))
    _free_at: float = 0.0
    _under_way: deque[tuple[float, T]] = field(default_factory=deque)

    def send(self, thing: T, size: int, now: float) -> None:
        """Put a thing of so many bytes on the way, behind what is there."""
        self._free_at = max(self._free_at, now) + size / self.bytes_per_second
        if self.chance.random() >= self.loss:
            self._under_way.append((self._free_at + self.latency, thing))

    def come(self, now: float) -> list[T]:
        """Take what has come."""
        come = []
        while self._under_way and self._under_way[0][0] <= now:
            come.append(self._under_way.popleft()[1])
        return come

    @property
    def next_at(self) -> float:
        """When the next thing comes."""
        return self._under_way[0][0] if self._under_way else float("inf")

    def queued(self, now: float) -> float:
        """How long something sent now waits for what was sent before (s)."""
        return max(0.0, self._free_at - now)

    def cut(self, now: float) -> None:
        """Lose all that is on the way."""
        self._under_way.clear()
        self._free_at = now
