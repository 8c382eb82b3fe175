"""Who descends from whom and who lives, as the kernel tells it. Linux only; the standard library alone, for it is used where labelferry is not installed."""

from pathlib import Path

_THREADS = 16
"""Where a process's number of threads stands behind its state (proc(5): num_threads)."""


def children_of(pid: int) -> list[int]:
    """Return the pids of the living children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def descendants_of(pid: int) -> list[int]:
    """Return the pids of all processes below one, as far as parentage tells."""
    below = children_of(pid)
    return below + [each for child in below for each in descendants_of(child)]


def lives(pid: int) -> bool:
    """Whether a process is there and not a zombie that can be waited for: its first thread may be one while others still end."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return state != "Z" or int(rest[_THREADS]) > 1
