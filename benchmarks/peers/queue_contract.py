"""What is asked of a job queue, ours and others, and how it is timed. Standard library only: it runs where labelferry is not installed.

A queue is a module with `serving(folder)`, which starts its server and two worker processes and gives a `Queue`. Run as a
program it prints one line of JSON: the figures of `measure`.
"""

import json
import os
import struct
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Protocol

from benchmarks.processes import await_rest

PAUSE_SECONDS = 0.001
WARM_CALLS = 20
LISTENERS = (1, 10, 50)
FLOOD_FRAMES = 1000
PACED_FRAMES = 100
PACE_SECONDS = 0.01
QUIET_SECONDS = 2.0
"""After so long without a frame, those that have not come are lost."""
BEAT = struct.Struct("d")
RESULT = b"PK\x05\x06" + bytes(18)
"""What a job leaves that leaves something: an empty zip, as ours does."""
REST_SECONDS, LONGEST_REST_SECONDS = 0.5, 5.0


class CannotDo(Exception):
    """This queue has no such thing; the sentence says why."""


class Queue(Protocol):
    """A queue that serves. Every method returns when the client has been told."""

    def call(self) -> None:
        """Have nothing done, and wait for that."""

    def call_many(self, count: int) -> None:
        """Submit so many such jobs, and wait for all."""

    def fail_many(self, count: int) -> None:
        """Submit so many jobs that fail at once, and wait until the client is told of each."""

    def keep_many(self, count: int, folder: Path, /) -> None:
        """Submit so many jobs that each leave a file (`RESULT`) that outlives a power cut, and wait for all."""

    def spin(self, beat: Path, /) -> Any:
        """Submit a job that beats until it is stopped; return what names it."""

    def stop(self, job: Any, /) -> None:
        """Have it stop, as gently as the queue can, and wait until the client is told. `CannotDo`."""

    def kill(self, job: Any, /) -> None:
        """Have a job stop that will not by itself, and wait until the client is told. `CannotDo`."""

    def tell(self, listeners: int, count: int, pause: float, /) -> list[tuple[float, float]]:
        """Have one job send so many frames, with a pause (s) between two, to so many listeners; return when each that arrived was sent, and came. `CannotDo`."""


def refuse() -> None:
    """Fail at once: what a job does that is to fail."""
    raise ValueError("there is nothing to do")


def leave_file(place: str) -> None:
    """Publish a file by a rename that comes after its bytes are on the disk, and is there itself: what ours does with a bundle."""
    path = Path(place)
    part = path.with_suffix(".part")
    part.write_bytes(RESULT)
    _sync(part)
    part.rename(path)
    _sync(path.parent)


def places(folder: Path, count: int) -> list[str]:
    """Return where so many jobs leave their files."""
    return [str(folder / f"{number}.zip") for number in range(count)]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beat_for_ever(beat: str) -> None:
    """Write the machine's monotonic time to a file each millisecond: what a job does that is to be stopped."""
    with Path(beat).open("wb", buffering=0) as file:
        while True:
            os.pwrite(file.fileno(), BEAT.pack(time.monotonic()), 0)
            time.sleep(PAUSE_SECONDS)


def last_beat(beat: Path) -> float | None:
    """Return when the job beat last; None before it began."""
    try:
        return float(BEAT.unpack(beat.read_bytes())[0])
    except (OSError, struct.error):
        return None


def send_frames(count: int, pause: float, send: Callable[[str], object]) -> None:
    """Send so many frames, each with the machine's monotonic time, none before its turn."""
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begun + number * pause - time.monotonic()))
        send(f"{time.monotonic():.6f}")


def measure(queue: Queue, folder: Path, calls: int, jobs: int, stops: int) -> dict[str, object]:
    """Return the figures of one queue: seconds of single calls, jobs a second, those that leave a file, the same of jobs that fail at once, seconds from a stop to the last beat and to being told, frames."""
    kept = folder / "kept"
    kept.mkdir()
    for _ in range(WARM_CALLS):
        queue.call()
    # Whatever is started beforehand, as a spare process, is there then.
    await_rest([os.getpid()], REST_SECONDS, LONGEST_REST_SECONDS)
    latencies = [_timed(queue.call) for _ in range(calls)]
    queue.call_many(min(jobs, 50))
    rate = jobs / _timed(lambda: queue.call_many(jobs))
    return {
        "latencies": latencies,
        "rate": rate,
        "keeping_rate": jobs / _timed(lambda: queue.keep_many(jobs, kept)),
        "failing": [_timed(lambda: queue.fail_many(1)) for _ in range(calls)],
        "failing_rate": jobs / _timed(lambda: queue.fail_many(jobs)),
        "stops": _stopped(queue, queue.stop, folder / "stop", stops),
        "kills": _stopped(queue, queue.kill, folder / "kill", stops),
        "frames": _told(queue),
    }


def _told(queue: Queue) -> dict[int, tuple[float, float, list[float]]] | str:
    """Return for each number of listeners: arrivals a second in a flood, the share that was lost of it, and how late (s) paced frames come."""
    found = {}
    for listeners in LISTENERS:
        try:
            flood = queue.tell(listeners, FLOOD_FRAMES, 0.0)
            paced = queue.tell(listeners, PACED_FRAMES, PACE_SECONDS)
        except CannotDo as reason:
            return str(reason)
        seconds = max(came for _, came in flood) - min(sent for sent, _ in flood)
        lost = 1 - len(flood) / (FLOOD_FRAMES * listeners)
        found[listeners] = (len(flood) / seconds, lost, [came - sent for sent, came in paced])
    return found


def _timed(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


def _stopped(queue: Queue, end: Callable[[Any], None], beats: Path, times: int) -> list[tuple[float, float]] | str:
    """Return for each try how long the job went on after the wish, and when the client was told; or why that cannot be."""
    found = []
    for number in range(times):
        beat = beats.with_name(f"{beats.name}-{number}")
        try:
            job = queue.spin(beat)
        except CannotDo as reason:
            return str(reason)
        while last_beat(beat) is None:
            time.sleep(PAUSE_SECONDS)
        time.sleep(0.05)
        wished = time.monotonic()
        try:
            end(job)
        except CannotDo as reason:
            with suppress(CannotDo):
                queue.kill(job)
            return str(reason)
        told = time.monotonic() - wished
        found.append((max(0.0, (last_beat(beat) or wished) - wished), told))
    return found


def main(serving: Callable[[Path], AbstractContextManager[Queue]]) -> None:
    """Serve, measure, print: `FOLDER CALLS JOBS STOPS` are the arguments."""
    folder = Path(sys.argv[1])
    calls, jobs, stops = map(int, sys.argv[2:5])
    with serving(folder) as queue:
        figures = measure(queue, folder, calls, jobs, stops)
    print(json.dumps(figures), flush=True)
