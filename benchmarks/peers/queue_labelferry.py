"""labelferry: broker, depot and one worker of two slots. A job of no work makes and publishes the smallest zip there is; everything is durable."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.errands import Errands
from tests.support.processes import Service, running_service

from benchmarks.peers.queue_contract import main, send_frames
from benchmarks.talker import Talker
from labelferry import AsyncClient, Cancelled, Completed, Failed, Progress

AT_ONCE = 100


class LabelferryQueue:
    """Our client, in a loop in a thread of its own, so that its calls can block as those of the others do."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._client = AsyncClient(endpoint)

    def call(self) -> None:
        self._do(self._one("nothing", Completed))

    def call_many(self, count: int) -> None:
        self._do(self._many(count, "nothing", Completed))

    def keep_many(self, count: int, _folder: Path) -> None:
        self.call_many(count)  # every job of ours that succeeds leaves its bundle in the depot

    def fail_many(self, count: int) -> None:
        self._do(self._many(count, "refuse", Failed))

    def spin(self, beat: Path) -> Any:
        return self._do(self._submit(f"spin{beat}" if beat.name.startswith("stop") else f"deaf{beat}"))

    def stop(self, job: Any) -> None:
        outcome = self._do(self._client.cancel(str(job)))
        assert isinstance(outcome, Cancelled), outcome
        assert outcome.cleanup_completed, outcome

    kill = stop

    def tell(self, listeners: int, count: int, pause: float) -> list[tuple[float, float]]:
        """Listen with a client each, to a broker of its own whose worker says as much as it is asked to."""
        with running_service(Path(tempfile.mkdtemp(dir=self._folder))) as service:
            work = self._listen(service.endpoint, listeners, lambda send: send_frames(count, pause, send))
            return list(self._do(work))

    async def _listen(
        self, endpoint: str, listeners: int, talk: "Callable[[Callable[[str], None]], None]"
    ) -> list[tuple[float, float]]:
        clients = [AsyncClient(endpoint) for _ in range(listeners)]
        job_id = (await clients[0].submit("/talk")).job_id
        talker = Talker(endpoint, talk)
        talker.start()
        await asyncio.to_thread(talker.ready.wait)
        heard: list[tuple[float, float]] = []

        async def listen(client: AsyncClient, begun: asyncio.Event) -> None:
            async for event in client.events(job_id):
                begun.set()
                if isinstance(event, Progress):
                    heard.append((float(event.message), time.monotonic()))

        begun = [asyncio.Event() for _ in clients]
        ears = [asyncio.create_task(listen(*pair)) for pair in zip(clients, begun, strict=True)]
        await asyncio.gather(*(each.wait() for each in begun))
        talker.go.set()
        await asyncio.gather(*ears)
        for client in clients:
            await client.close()
        return heard

    def close(self) -> None:
        self._do(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _submit(self, what: str) -> str:
        return (await self._client.submit(f"/errand/{what}")).job_id

    async def _one(self, what: str, expected: type[Completed | Failed]) -> None:
        job_id = await self._submit(what)
        async for event in self._client.events(job_id):
            last = event
        assert isinstance(last, expected), last

    async def _many(self, count: int, what: str, expected: type[Completed | Failed]) -> None:
        room = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            async with room:
                await self._one(what, expected)

        await asyncio.gather(*(one() for _ in range(count)))

    def _do(self, work: "Coroutine[Any, Any, Any]") -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)


@contextmanager
def serving(folder: Path) -> Iterator[LabelferryQueue]:
    """Start a broker and a worker whose children run errands."""

    def prepare(service: Service) -> None:
        service.world = Errands.make(folder / "world")

    with running_service(Path(tempfile.mkdtemp(dir=folder)), "worker", slots=2, prepare=prepare) as service:
        queue = LabelferryQueue(service.endpoint, folder)
        try:
            yield queue
        finally:
            queue.close()


if __name__ == "__main__":
    main(serving)
