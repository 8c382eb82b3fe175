"""Dask distributed: a scheduler and two worker processes of one thread. Nothing stops a running function but an Event that it looks at."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from distributed import Client, Event, LocalCluster, get_worker

from benchmarks.peers import queue_contract
from benchmarks.peers.queue_contract import BEAT, QUIET_SECONDS, CannotDo, main, send_frames


def nothing(number: int) -> int:
    """Do nothing."""
    return number


def refuse(_number: int) -> None:
    """Fail at once."""
    queue_contract.refuse()


def beat_until_told(beat: str) -> None:
    """Beat, and look at the event named like the file after each beat."""
    event = Event(beat)
    with Path(beat).open("wb", buffering=0) as file:
        while not event.is_set():
            os.pwrite(file.fileno(), BEAT.pack(time.monotonic()), 0)


def talk(topic: str, count: int, pause: float) -> None:
    """Tell how far it is."""
    worker = get_worker()
    send_frames(count, pause, lambda word: worker.log_event(topic, word))


class DaskQueue:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._number = 0

    def call(self) -> None:
        self._number += 1
        self._client.submit(nothing, self._number).result(timeout=60)

    def call_many(self, count: int) -> None:
        numbers = range(self._number + 1, self._number + 1 + count)
        self._number += count
        self._client.gather(self._client.map(nothing, numbers))

    def keep_many(self, count: int, folder: Path) -> None:
        self._client.gather(
            self._client.map(queue_contract.leave_file, queue_contract.places(folder, count), pure=False)
        )

    def fail_many(self, count: int) -> None:
        self._number += count
        futures = self._client.map(refuse, range(self._number - count, self._number), key="refuse", pure=False)
        for future in futures:
            future.exception(timeout=60)

    def spin(self, beat: Path) -> Any:
        # From its module, not from `__main__`: what is there is sent by value, with all that it names.
        from benchmarks.peers.queue_dask import beat_until_told as task

        return self._client.submit(task, str(beat), pure=False), str(beat)

    def stop(self, job: Any) -> None:
        future, name = job
        Event(name, client=self._client).set()
        future.result(timeout=60)

    def kill(self, job: Any) -> None:
        future, name = job
        Event(name, client=self._client).set()
        future.result(timeout=60)
        raise CannotDo("a running function is never stopped; `cancel` forgets it and lets it run")

    def tell(self, listeners: int, count: int, pause: float) -> list[tuple[float, float]]:
        """Listen to a topic of the scheduler's event log, each listener with a client of its own."""
        from benchmarks.peers.queue_dask import talk as task

        self._number += 1
        topic, heard = f"talk-{self._number}", []
        address = self._client.scheduler.address

        def hear(event: tuple[float, str]) -> None:
            heard.append((float(event[1]), time.monotonic()))

        with ExitStack() as closing:
            for _ in range(listeners):
                listener = closing.enter_context(Client(address, set_as_default=False))
                listener.subscribe_topic(topic, hear)
                listener.run_on_scheduler(int)
            self._client.submit(task, topic, count, pause, pure=False).result(timeout=120)
            before = -1
            while len(heard) != before and len(heard) < count * listeners:
                before = len(heard)
                time.sleep(QUIET_SECONDS)
        return heard


@contextmanager
def serving(folder: Path) -> Iterator[DaskQueue]:
    """Start a cluster on loopback."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(folder)) as cluster,
        Client(cluster) as client,
    ):
        yield DaskQueue(client)


if __name__ == "__main__":
    main(serving)
