"""ipyparallel: a controller and two engines over ZeroMQ. A running call is interrupted by SIGINT to its engine."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ipyparallel

from benchmarks.peers.queue_contract import CannotDo, beat_for_ever, leave_file, main, places, refuse


def nothing() -> None:
    """Do nothing."""


class IpyparallelQueue:
    def __init__(self, client: ipyparallel.Client) -> None:
        self._client = client
        self._view = client.load_balanced_view()

    def call(self) -> None:
        self._view.apply_async(nothing).get(60)

    def call_many(self, count: int) -> None:
        for result in [self._view.apply_async(nothing) for _ in range(count)]:
            result.get(60)

    def keep_many(self, count: int, folder: Path) -> None:
        for result in [self._view.apply_async(leave_file, place) for place in places(folder, count)]:
            result.get(60)

    def fail_many(self, count: int) -> None:
        for result in [self._view.apply_async(refuse) for _ in range(count)]:
            with suppress(ipyparallel.RemoteError):
                result.get(60)

    def spin(self, beat: Path) -> Any:
        return self._client[0].apply_async(beat_for_ever, str(beat))

    def stop(self, _job: object) -> None:
        raise CannotDo("there is no word to a running call")

    def kill(self, job: Any) -> None:
        self._client.send_signal(signal.SIGINT, targets=[0], block=False)
        with suppress(ipyparallel.RemoteError):
            job.get(60)

    def tell(self, _listeners: int, _count: int, _pause: float) -> list[tuple[float, float]]:
        raise CannotDo("what a call prints comes with its result's metadata: to the client that made it alone")


@contextmanager
def serving(folder: Path) -> Iterator[IpyparallelQueue]:
    """Start a cluster on loopback."""
    with ipyparallel.Cluster(n=2, ipython_dir=str(folder), log_level=40) as client:
        client.wait_for_engines(2, timeout=60)
        yield IpyparallelQueue(client)


if __name__ == "__main__":
    main(serving)
