"""What the ledger can say of itself in numbers, for whoever watches the service. Pure; nothing of it decides anything."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from labelferry_protocol.words import State

CANCEL_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
"""Upper bounds of the classes of a cancel's latency, in seconds; what is above all of them is a class of its own."""


class Histogram:
    """Counts of measured seconds by upper bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, seconds: float) -> None:
        """Count one measurement."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._total += seconds

    def read(self) -> "Reading":
        """Return what was counted so far."""
        return Reading(self._bounds, tuple(self._counts), self._total)


@dataclass(frozen=True, slots=True)
class Reading:
    """A histogram at one moment: `counts` has one entry more than `bounds`, `total` is the sum of all seconds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class Tally:
    """What the ledger counts as it goes, since this ledger was made."""

    def __init__(self) -> None:
        self.states: Counter[State] = Counter()
        """Live jobs by state; of the terminal states, jobs that came to them."""
        self.frames = 0
        self.cancels = Histogram(CANCEL_BOUNDS)


@dataclass(frozen=True, slots=True)
class Figures:
    """The ledger in numbers at one moment; ages in seconds, 0 where there is nothing to be old."""

    states: Mapping[State, int]
    queue_age: float
    lease_age: float
    workers: int
    slots: int
    busy: int
    frames: int
    cancels: Reading
    bundles: int
    bundle_bytes: int
    depot_ready: bool
    stalled: int = 0
    """Running jobs in which nothing has moved for long."""
