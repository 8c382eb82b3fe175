"""Time and weather of a simulated history: one heap of things to happen, one seed, and a network that loses, doubles and delays."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from labelferry_broker.ledger.settings import Moment

Action = Callable[[], None]


class BrokenPromise(AssertionError):
    """Something happened that the design says never happens."""


@dataclass
class Weather:
    """How bad the network and the machines are: shares of messages, and how often (a second) each kind of disaster comes."""

    lost: float
    doubled: float
    late: float
    broker_dies: float
    worker_dies: float
    worker_stalls: float
    worker_cut_off: float

    @classmethod
    def draw(cls, rng: Random) -> "Weather":
        """Draw the weather of a history: some are calm in some respects, few in all."""

        def some(most: float) -> float:
            return rng.choice((0.0, 0.3, 1.0)) * most

        return cls(some(0.3), some(0.2), some(0.3), some(0.06), some(0.04), some(0.05), some(0.08))


CALM = Weather(0, 0, 0, 0, 0, 0, 0)


class World:
    """The clock and the network. Everything that happens is an action in its heap."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.weather = Weather.draw(self.rng)
        self.now = 0.0
        self._wall_offset = 1_700_000_000.0
        self.clock_turned = False
        """Whether the wall clock has jumped: a broker that starts cannot know then how old anything is."""
        self._heap: list[tuple[float, int, Action]] = []
        self._count = itertools.count()

    @property
    def moment(self) -> Moment:
        """What the two clocks of the broker show."""
        return Moment(self.now, self.now + self._wall_offset)

    def turn_wall_clock(self) -> None:
        """Let the wall clock jump by up to an hour."""
        self.clock_turned = True
        self._wall_offset += self.rng.uniform(-3600, 3600)

    def new_id(self) -> str:
        """Return 32 hexadecimal characters that depend on the seed alone."""
        return f"{self.rng.getrandbits(128):032x}"

    def chance(self, share: float) -> bool:
        """Return True in this share of cases."""
        return self.rng.random() < share

    def after(self, seconds: float, action: Action) -> None:
        """Let something happen later."""
        heapq.heappush(self._heap, (self.now + seconds, next(self._count), action))

    def carry(self, arrive: Action) -> None:
        """Send something over the network: it arrives soon, late, twice or never, and may be overtaken."""
        if self.chance(self.weather.lost):
            return
        for _ in range(2 if self.chance(self.weather.doubled) else 1):
            late = self.rng.expovariate(0.2) if self.chance(self.weather.late) else 0.0
            self.after(self.rng.uniform(0.0005, 0.02) + late, arrive)

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> None:
        """Let things happen until a time, or until `done`."""
        while self._heap and self._heap[0][0] <= until and not done():
            self.now, _, action = heapq.heappop(self._heap)
            action()
        if not done():
            self.now = max(self.now, until)
