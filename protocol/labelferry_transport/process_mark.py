"""A name for a process that another process on the same machine can check: is it there still? Nothing of it leaves a doubt for later.

A mark is `BOOT:NAMESPACE:PID:START`: the kernel's boot, the pid namespace, the pid, and when the process started (clock ticks since
boot; proc(5), `stat`, field 22), so that a pid that is used again is not taken for the first one.
"""

import os
from pathlib import Path

_STATE, _START = 0, 19
"""Places behind the name in `/proc/PID/stat`: the process's state, and its start."""
_ENDED = "ZX"
"""States of a process that runs no more."""


def own_mark() -> str:
    """Return the mark of this process; empty where the system does not tell."""
    pid = os.getpid()
    start = _start_of(pid)
    place = _place()
    return f"{place}:{pid}:{start}" if start and place else ""


def in_sight(mark: str) -> bool:
    """Return whether the process of this mark is on this machine, can be seen from here, and runs."""
    place, pid, start = _parts(mark)
    return pid is not None and place == _place() and start == _start_of(pid)


def has_ended(mark: str) -> bool:
    """Return whether a process that was in sight runs no more."""
    _, pid, start = _parts(mark)
    return pid is not None and start != _start_of(pid)


def _place() -> str:
    """Name the kernel and the pid namespace that pids are counted in; empty where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - what it leads to is no path
    except OSError:
        return ""
    return f"{boot}:{''.join(filter(str.isdecimal, namespace))}"


def _start_of(pid: int) -> str:
    """Return when a running process started; empty when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[_STATE] in _ENDED else fields[_START]


def _parts(mark: str) -> tuple[str, int | None, str]:
    place, _, rest = mark.rpartition(":")
    place, _, pid = place.rpartition(":")
    return place, int(pid) if pid.isdecimal() and len(pid) < 12 else None, rest
