"""What goes wrong in a soak: every few seconds one process of the service is killed, and started again where nobody else does it."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.support.process_tree import descendants_of, lives
from tests.support.processes import Service

VICTIMS = ("worker", "child", "broker", "depot")
"""A `child` is any process below a worker: what keeps a job child, the job child, and what that has started."""
ORPHAN_SECONDS = 5.0
LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Kill:
    """One kill. `at` is UTC; `back_after` when the one that was started again said ready (s), None where nobody says so."""

    victim: str
    at: float
    back_after: float | None = None
    orphans_after: float = 0.0
    """Seconds until all below it had gone too."""


@dataclass
class Trouble:
    """The killer of one soak."""

    service: Service
    workers: tuple[str, ...]
    dice: random.Random
    clock: Callable[[], float]
    wall: Callable[[], float]
    kills: list[Kill] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    async def strike(self, victims: tuple[str, ...]) -> None:
        """Kill one of `victims`, and go on when it is back."""
        victim = self.dice.choice(victims)
        worker = self.dice.choice(self.workers)
        match victim:
            case "worker":
                await self._strike_named(victim, worker)
            case "broker":
                await self._strike_named(victim, "broker")
            case "child":
                self._strike_below(victim, worker)
            case "depot":
                self._strike_below(victim, "broker")

    async def _strike_named(self, victim: str, name: str) -> None:
        below = descendants_of(self.service.processes[name].pid)
        at, begun = self.wall(), self.clock()
        self.service.kill(name)
        self.service.start(name, wait=False)
        orphans = asyncio.create_task(self._end_of(victim, below))
        await asyncio.to_thread(self.service.await_ready, name)
        self.kills.append(Kill(victim, at, self.clock() - begun, await orphans))

    def _strike_below(self, victim: str, name: str) -> None:
        below = descendants_of(self.service.processes[name].pid)
        if below:
            with suppress(ProcessLookupError):
                os.kill(self.dice.choice(below), signal.SIGKILL)
                self.kills.append(Kill(victim, self.wall()))

    async def _end_of(self, victim: str, pids: list[int]) -> float:
        begun = self.clock()
        while any(map(lives, pids)):
            if self.clock() - begun > ORPHAN_SECONDS:
                self.broken.append(
                    f"{ORPHAN_SECONDS:.0f} s after the {victim} was killed, these below it still live: {pids}"
                )
                break
            await asyncio.sleep(LOOK_SECONDS)
        return self.clock() - begun
