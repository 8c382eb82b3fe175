"""A soak from its first job to its last: customers come and go, processes are killed, and all of it is written down."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.customer import Customer, Story
from tests.soak.gauges import Gauges
from tests.soak.kinds import Kind
from tests.soak.trouble import VICTIMS, Trouble
from tests.support.processes import Service

from labelferry import AsyncClient

CLIENTS = 3
READ_SECONDS = 2.0


@dataclass(frozen=True)
class Weather:
    """How a storm blows: seconds, ranges of seconds, and how many customers there are at most at a time."""

    seconds: float
    seed: int
    calm_seconds: float = 0.0
    """So long jobs go on at the end, while only job children are killed: what grows in the others is seen then."""
    between_kills: tuple[float, float] = (5.0, 20.0)
    between_jobs: tuple[float, float] = (0.2, 1.8)
    customers: int = 12


@dataclass
class Record:
    """All that happened. `calm_from` is of the clock that the readings have."""

    stories: list[Story] = field(default_factory=list)
    gauges: Gauges = field(default_factory=Gauges)
    trouble: Trouble | None = None
    calm_from: float = 0.0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


class Storm:
    """One soak over a running service; `blow` returns when every job has ended."""

    def __init__(
        self,
        service: Service,
        kinds: list[Kind],
        folder: Path,
        weather: Weather,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._kinds = kinds
        self._folder = folder
        self._weather = weather
        self._clock = clock
        self._record = Record()
        workers = tuple(name for name in service.processes if name != "broker")
        self._trouble = Trouble(service, workers, random.Random(f"{weather.seed}.kills"), clock, wall)
        self._record.trouble = self._trouble

    async def blow(self) -> Record:
        """Let it blow and calm down."""
        begun = self._clock()
        self._record.calm_from = begun + self._weather.seconds
        readings = asyncio.create_task(self._read())
        kills = asyncio.create_task(self._kill())
        clients = [AsyncClient(self._service.endpoint) for _ in range(CLIENTS)]
        try:
            await self._serve_customers(clients)
        finally:
            for task in (kills, readings):
                task.cancel()
            await asyncio.gather(kills, readings, return_exceptions=True)
            for client in clients:
                await client.close()
        self._record.seconds = self._clock() - begun
        self._record.broken += self._trouble.broken
        return self._record

    async def _serve_customers(self, clients: list[AsyncClient]) -> None:
        dice = random.Random(f"{self._weather.seed}.customers")
        until = self._record.calm_from + self._weather.calm_seconds
        room = asyncio.Semaphore(self._weather.customers)
        async with asyncio.TaskGroup() as group:
            while self._clock() < until:
                await room.acquire()
                number = len(self._record.stories)
                story = Story(number, dice.choice(self._kinds))
                self._record.stories.append(story)
                task = group.create_task(self._serve(clients[number % CLIENTS], story))
                task.add_done_callback(lambda _: room.release())
                await asyncio.sleep(dice.uniform(*self._weather.between_jobs))

    async def _serve(self, client: AsyncClient, story: Story) -> None:
        customer = Customer(client, self._service.endpoint, story, self._folder, self._weather.seed, self._clock)
        try:
            await customer.live()
        except Exception as error:
            story.broken.append(f"customer {story.number} of job {story.job_id or '(none)'} met {error!r}")

    async def _kill(self) -> None:
        dice = random.Random(f"{self._weather.seed}.moments")
        while True:
            await asyncio.sleep(dice.uniform(*self._weather.between_kills))
            calm = self._clock() >= self._record.calm_from
            try:
                await self._trouble.strike(("child",) if calm else VICTIMS)
            except AssertionError as error:
                self._record.broken.append(f"a process did not come back: {error}")

    async def _read(self) -> None:
        while True:
            self._record.gauges.read(self._service, self._clock())
            await asyncio.sleep(READ_SECONDS)
