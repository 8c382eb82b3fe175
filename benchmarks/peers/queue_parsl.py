"""Parsl's HighThroughputExecutor: an interchange and two worker processes over ZeroMQ."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parsl import Config, DataFlowKernel, python_app
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

from benchmarks.peers.queue_contract import CannotDo, leave_file, main, places, refuse


def nothing() -> None:
    """Do nothing."""


class ParslQueue:
    def __init__(self, kernel: DataFlowKernel) -> None:
        self._refuse = python_app(refuse, data_flow_kernel=kernel, cache=False)
        self._keep = python_app(leave_file, data_flow_kernel=kernel, cache=False)
        self._nothing = python_app(nothing, data_flow_kernel=kernel, cache=False)

    def call(self) -> None:
        self._nothing().result(60)

    def call_many(self, count: int) -> None:
        wait([self._nothing() for _ in range(count)])

    def keep_many(self, count: int, folder: Path) -> None:
        wait([self._keep(place) for place in places(folder, count)])

    def fail_many(self, count: int) -> None:
        for future in [self._refuse() for _ in range(count)]:
            future.exception(60)

    def spin(self, _beat: Path) -> Any:
        raise CannotDo("a running app is not stopped; only its whole block of workers is")

    def stop(self, _job: object) -> None:
        """Never comes to this."""

    def kill(self, _job: object) -> None:
        """Never comes to this."""

    def tell(self, _listeners: int, _count: int, _pause: float) -> list[tuple[float, float]]:
        raise CannotDo("there is no word from a running app")


@contextmanager
def serving(folder: Path) -> Iterator[ParslQueue]:
    """Start an executor with two workers on loopback."""
    # It starts programs of its own by their bare names.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    executor = HighThroughputExecutor(
        address="127.0.0.1",
        max_workers_per_node=2,
        provider=LocalProvider(init_blocks=1, max_blocks=1),
        encrypted=False,
    )
    kernel = DataFlowKernel(Config(executors=[executor], run_dir=str(folder / "runs"), strategy="none"))
    try:
        yield ParslQueue(kernel)
    finally:
        kernel.cleanup()


if __name__ == "__main__":
    main(serving)
