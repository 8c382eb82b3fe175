"""What processes take, as the kernel counts it: CPU seconds and memory of a process and all below it. Linux only."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.files import files_below
from tests.support.process_tree import descendants_of

TICKS = os.sysconf("SC_CLK_TCK")
REST_SHARE = 0.05
"""Of a processor: so little is taken by a service that waits."""


def tree_of(pid: int) -> list[int]:
    """Return a process and all that descend from it and live."""
    return [pid, *descendants_of(pid)]


def cpu_seconds(pids: list[int]) -> float:
    """Return what the trees of `pids` have taken so far, user and system, ended and awaited children among them."""
    return sum(_cpu_of(each) for pid in pids for each in tree_of(pid))


def own_cpu_seconds() -> float:
    """Return what this process has taken so far, user and system, and its ended and awaited children; what lives below it not."""
    return sum(os.times()[:4])


def await_rest(pids: list[int], quiet: float = 1.0, patience: float = 30.0) -> None:
    """Wait until the trees of `pids` have done next to nothing for `quiet` seconds: whatever they start beforehand is there then."""
    until = time.monotonic() + patience
    before = cpu_seconds(pids)
    while time.monotonic() < until:
        time.sleep(quiet)
        now = cpu_seconds(pids)
        if now - before < REST_SHARE * quiet:
            return
        before = now


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def megabytes(pids: list[int]) -> float:
    """Return the proportional set size of the trees of `pids`: what pages they share is counted once."""
    return sum(_pss_of(each) for pid in pids for each in tree_of(pid))


def _pss_of(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0.0)


@dataclass
class Watched:
    """The memory of processes over time, MB, a sample every so often; and the most that a folder held, MB."""

    samples: list[float] = field(default_factory=list)
    disk: float = 0.0

    @property
    def peak(self) -> float:
        """The most memory that was seen."""
        return max(self.samples, default=0.0)

    def quarters(self) -> list[float]:
        """Return the greatest sample of each quarter of the time: flat where they are equal."""
        size = max(1, -(-len(self.samples) // 4))
        return [max(self.samples[at : at + size]) for at in range(0, len(self.samples), size)]


@contextmanager
def watched(pids: list[int], folder: Path, every: float = 0.25) -> Iterator[Watched]:
    """Look at the trees of `pids` and at `folder` in a thread, until the block ends."""
    seen, done = Watched(), threading.Event()

    def watch() -> None:
        while not done.wait(every):
            seen.samples.append(megabytes(pids))
            seen.disk = max(seen.disk, _size_of(folder) / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _size_of(folder: Path) -> int:
    found = 0
    for path in files_below(folder):
        with suppress(OSError):
            found += path.stat().st_size
    return found
