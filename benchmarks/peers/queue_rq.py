"""RQ with Redis: two workers, each of which forks for every job. A running job is stopped by killing that fork."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import rq
from rq.command import send_stop_job_command

from benchmarks.peers import queue_contract
from benchmarks.peers.queue_contract import CannotDo, main
from benchmarks.peers.redis_server import redis_server


def nothing() -> None:
    """Do nothing."""


class RqQueue:
    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url)
        self._queue = rq.Queue(connection=self._redis)

    def call(self) -> None:
        self._queue.enqueue("benchmarks.peers.queue_rq.nothing").latest_result(timeout=60)

    def call_many(self, count: int) -> None:
        for job in [self._queue.enqueue("benchmarks.peers.queue_rq.nothing") for _ in range(count)]:
            job.latest_result(timeout=60)

    def keep_many(self, count: int, folder: Path) -> None:
        places = queue_contract.places(folder, count)
        for job in [self._queue.enqueue(queue_contract.leave_file, place) for place in places]:
            job.latest_result(timeout=60)

    def fail_many(self, count: int) -> None:
        for job in [self._queue.enqueue(queue_contract.refuse) for _ in range(count)]:
            job.latest_result(timeout=60)

    def spin(self, beat: Path) -> Any:
        return self._queue.enqueue(queue_contract.beat_for_ever, str(beat), job_timeout=600)

    def stop(self, _job: object) -> None:
        raise CannotDo("there is no word to a running job")

    def kill(self, job: Any) -> None:
        send_stop_job_command(self._redis, job.id)
        while job.get_status(refresh=True) not in ("stopped", "failed"):
            time.sleep(0.0005)

    def tell(self, _listeners: int, _count: int, _pause: float) -> list[tuple[float, float]]:
        raise CannotDo("what a job says of itself (`meta`) must be polled")


@contextmanager
def serving(
    folder: Path, made: Callable[[str], RqQueue] = RqQueue, worker_class: str = "rq.worker.Worker"
) -> Iterator[RqQueue]:
    """Start Redis and two workers."""
    with redis_server(folder) as url:
        command = [sys.executable, "-m", "rq.cli", "worker", "--url", url, "-q", "--worker-class", worker_class]
        workers = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
        try:
            yield made(url)
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait()


if __name__ == "__main__":
    main(serving)
