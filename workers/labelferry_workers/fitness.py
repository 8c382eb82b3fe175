"""Whether a child may run another job: nothing of the last one may be left in it, no process and no memory. And how it gets rid of it."""

import contextlib
import ctypes
import gc
import os
import sys
from pathlib import Path

MOST_GROWTH_BYTES = 256 * 1024 * 1024
"""A child that holds so much more than when it was warm is replaced: something in it leaks."""


class Fitness:
    """Of this process, measured against what it was when this was made: warm, before its first job. `growth_bytes` more is too much."""

    def __init__(self, growth_bytes: int = MOST_GROWTH_BYTES) -> None:
        gc.collect()
        # What is there by now stays for ever: no later collection looks at it again.
        gc.freeze()
        self._most = resident_bytes() + growth_bytes

    def fit(self) -> bool:
        """Return whether no process that a job started is left, and no memory that it does not give back."""
        if not _alone():
            return False
        if resident_bytes() > self._most:
            give_back_memory()
        return resident_bytes() <= self._most


def give_back_memory() -> None:
    """Return what a job has freed to the system, so that a child that waits is small."""
    gc.collect()
    if sys.platform.startswith("linux"):
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int:
    """Return how much memory this process takes; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _alone() -> bool:
    """Return whether no process that the job started is left; those that have ended are reaped."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return False
