"""What Linux does for parents and children: a child that dies with its parent, and a parent that is given all orphans below it.

Elsewhere the calls do nothing: there the end of a pipe and process groups must do.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int) -> bool:
    """Have the kernel kill this process when the thread that started it ends; return whether `parent` is still there."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def adopt_orphans() -> None:
    """Have every process below this one that loses its parent become a child of this one, whatever session it has made for itself."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children() -> set[int]:
    """Return the pids of this process's children, adopted ones and zombies too; none where the system does not tell."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found.update(map(int, task.read_text(encoding="ascii").split()))
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process; to one that has ended it is nothing."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def kill_group(group: int) -> None:
    """Kill a process group; where there is none any more it is nothing."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(option, value)
