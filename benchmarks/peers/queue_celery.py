"""Celery with Redis: one worker, two processes. A running task is stopped by killing its process."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
from celery import Celery, uuid
from celery.exceptions import TaskRevokedError

from benchmarks.peers import queue_contract
from benchmarks.peers.queue_contract import QUIET_SECONDS, CannotDo, beat_for_ever, main, send_frames
from benchmarks.peers.redis_server import ENDPOINT, redis_server

KEEPING = "PEER_KEEPS_RUNNING"
"""In the environment: a task is acknowledged when it has ended, so that a running one is not lost with its worker."""

place = os.environ.get(ENDPOINT, "redis://")
app = Celery("peer", broker=place, backend=place)
if os.environ.get(KEEPING):
    app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)


@app.task(name="nothing")  # type: ignore[untyped-decorator]  # Celery has no types
def nothing() -> None:
    """Do nothing."""


@app.task(name="keep")  # type: ignore[untyped-decorator]  # Celery has no types
def keep(place: str) -> None:
    """Leave a file."""
    queue_contract.leave_file(place)


@app.task(name="refuse")  # type: ignore[untyped-decorator]  # Celery has no types
def refuse() -> None:
    """Fail at once."""
    queue_contract.refuse()


@app.task(name="spin")  # type: ignore[untyped-decorator]  # Celery has no types
def spin(beat: str) -> None:
    """Beat until killed."""
    beat_for_ever(beat)


@app.task(name="talk", bind=True)  # type: ignore[untyped-decorator]  # Celery has no types
def talk(self: Any, count: int, pause: float) -> None:
    """Tell how far it is."""
    send_frames(count, pause, lambda word: self.update_state(state="PROGRESS", meta=word))


class CeleryQueue:
    def call(self) -> None:
        nothing.delay().get(timeout=60)

    def call_many(self, count: int) -> None:
        for result in [nothing.delay() for _ in range(count)]:
            result.get(timeout=60)

    def keep_many(self, count: int, folder: Path) -> None:
        for result in [keep.delay(place) for place in queue_contract.places(folder, count)]:
            result.get(timeout=60)

    def fail_many(self, count: int) -> None:
        for result in [refuse.delay() for _ in range(count)]:
            result.get(timeout=60, propagate=False)

    def spin(self, beat: Path) -> Any:
        return spin.delay(str(beat))

    def stop(self, _job: object) -> None:
        raise CannotDo("by a flag in Redis that the task must look at itself (AbortableTask)")

    def kill(self, job: Any) -> None:
        job.revoke(terminate=True, signal="SIGTERM")
        try:
            job.get(timeout=60)
        except TaskRevokedError:
            return

    def tell(self, listeners: int, count: int, pause: float) -> list[tuple[float, float]]:
        """Listen where its own client does: on the channel of the result in Redis."""
        name = uuid()
        with ExitStack() as closing, selectors.DefaultSelector() as look:
            for _ in range(listeners):
                ear = redis.Redis.from_url(os.environ[ENDPOINT]).pubsub(ignore_subscribe_messages=True)
                closing.callback(ear.close)
                ear.subscribe(f"celery-task-meta-{name}")
                ear.get_message(timeout=5)
                look.register(ear.connection._sock, selectors.EVENT_READ, ear)  # noqa: SLF001 - it tells nobody else when to read
            talk.apply_async((count, pause), task_id=name)
            heard: list[tuple[float, float]] = []
            while ready := look.select(QUIET_SECONDS):
                for key, _ in ready:
                    while key.data.connection.can_read(0):
                        said = key.data.get_message(timeout=0)
                        body = json.loads(said["data"]) if said else {}
                        if body.get("status") == "PROGRESS":
                            heard.append((float(body["result"]), time.monotonic()))
        return heard


@contextmanager
def serving(folder: Path) -> Iterator[CeleryQueue]:
    """Start Redis and a worker."""
    with redis_server(folder) as url:
        app.conf.update(broker_url=url, result_backend=url)
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.peers.queue_celery", "worker", "-c", "2"]
        command += ["--without-gossip", "--without-mingle", "-l", "ERROR"]
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield CeleryQueue()
        finally:
            worker.terminate()
            worker.wait()


if __name__ == "__main__":
    main(serving)
