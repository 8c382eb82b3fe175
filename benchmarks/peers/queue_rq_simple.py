"""RQ with its SimpleWorker, which does the jobs in its own process: faster, and nothing can stop a job."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers import queue_rq
from benchmarks.peers.queue_contract import CannotDo, main


class SimpleQueue(queue_rq.RqQueue):
    def spin(self, _beat: Path) -> Any:
        raise CannotDo("a job runs in the worker's own process")


@contextmanager
def serving(folder: Path) -> Iterator[queue_rq.RqQueue]:
    """Start Redis and two simple workers."""
    with queue_rq.serving(folder, SimpleQueue, "rq.worker.SimpleWorker") as queue:
        yield queue


if __name__ == "__main__":
    main(serving)
