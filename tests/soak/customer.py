"""One customer of a soak: submits an export, perhaps twice, watches it to its end, perhaps cancels it, perhaps fetches the bundle.

What came of it is a `Story`. Nothing is judged here that needs more than one story; `audit` does.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.soak.kinds import Kind
from tests.soak.onlooker import Onlooker, look_on

from labelferry import AsyncClient, Cancelled, Completed, Failed, JobEvent, Started
from labelferry.errors import Unreachable

T = TypeVar("T")
ENDS = (Completed, Failed, Cancelled)
CANCEL_SECONDS = 90.0


@dataclass
class Story:
    """What one customer wanted, and what it was told."""

    number: int
    kind: Kind
    job_id: str = ""
    keep_partial: bool = False
    started_after: float | None = None
    cancelled_in: float | None = None
    """Seconds from the wish to cancel to its confirmation; None when it was not wished, or the job had ended before."""
    end: Completed | Failed | Cancelled | None = None
    onlooker: Onlooker | None = None
    broken: list[str] = field(default_factory=list)
    """Sentences: which promise was not kept."""


class Customer:
    """One customer, with dice of its own so that a seed makes the same wishes whatever happens between."""

    def __init__(
        self, client: AsyncClient, endpoint: str, story: Story, folder: Path, seed: int, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._story = story
        self._folder = folder
        self._dice = random.Random(f"{seed}.{story.number}")
        self._clock = clock

    async def live(self) -> Story:
        """Do all that this customer wishes; return its story."""
        story, dice = self._story, self._dice
        key = f"{dice.getrandbits(128):032x}"
        begun = self._clock()
        story.job_id = await self._submit(key)
        if dice.random() < 0.1 and await self._submit(key) != story.job_id:
            story.broken.append(f"a submit of job {story.job_id} sent again made another job")
        async with asyncio.TaskGroup() as group:
            if dice.random() < 0.15:
                group.create_task(self._bring_an_onlooker())
            watched = group.create_task(self._watch(begun))
            if dice.random() < 0.3:
                story.keep_partial = dice.random() < 0.3
                group.create_task(self._cancel(dice.uniform(0.0, 2.5), watched))
        if isinstance(story.end, Completed) and dice.random() < 0.2:
            await self._fetch(story.end)
        return story

    async def _submit(self, key: str) -> str:
        options = self._story.kind.options
        return (
            await _persistently(lambda: self._client.submit(self._story.kind.project, options, idempotency_key=key))
        ).job_id

    async def _watch(self, begun: float) -> None:
        story = self._story
        last = 0
        async for event in self._client.events(story.job_id):
            if isinstance(event, Started) and story.started_after is None:
                story.started_after = self._clock() - begun
            if event.seq <= last:
                story.broken.append(f"job {story.job_id} was told event {event.seq} after {last}")
            if story.end is not None:
                story.broken.append(f"job {story.job_id} was told {_name(event)} after its end")
            last = event.seq
            if isinstance(event, ENDS):
                story.end = event
        if story.end is None:
            story.broken.append(f"the events of job {story.job_id} ended without an end of the job")

    async def _cancel(self, after: float, watched: "asyncio.Task[None]") -> None:
        story = self._story
        await asyncio.wait([watched], timeout=after)
        wished = self._clock()
        outcome = await _persistently(
            lambda: self._client.cancel(story.job_id, keep_partial=story.keep_partial, timeout=CANCEL_SECONDS)
        )
        took = self._clock() - wished
        await watched
        if outcome != story.end:
            story.broken.append(
                f"job {story.job_id} was told {_name(outcome)} to its canceller and {_name(story.end)} to others"
            )
        if isinstance(outcome, Cancelled):
            story.cancelled_in = took

    async def _bring_an_onlooker(self) -> None:
        self._story.onlooker = await look_on(self._endpoint, self._story.job_id, self._dice)

    async def _fetch(self, end: Completed) -> None:
        target = self._folder / f"{end.job_id}.zip"
        try:
            async for event in self._client.download(end.job_id, target):
                last: JobEvent = event
            assert isinstance(last, Completed), last
            found = hashlib.sha256(target.read_bytes()).hexdigest()
            if found != self._story.kind.sha256:
                self._story.broken.append(f"the downloaded bundle of job {end.job_id} is another one: {found}")
        finally:
            target.unlink(missing_ok=True)


async def _persistently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: while a broker is away, a person would try again."""
    while True:
        try:
            return await ask()
        except Unreachable:
            continue


def _name(event: object) -> str:
    return type(event).__name__.lower()
