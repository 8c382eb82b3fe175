"""How many files a process may have open, and has: each connection of a ZeroMQ socket is one."""

import errno
import os
import resource

from labelferry_protocol.errors import Code, Refusal

UNLIMITED = 1 << 20
"""What is taken for a limit where there is none."""
OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
NO_DESCRIPTOR_SECONDS = 1.0
"""Before whoever found none for a socket tries again."""


class NoDescriptor(Refusal):
    """This process, or its machine, cannot open one more file now. It may be able to a moment later."""

    def __init__(self) -> None:
        super().__init__(Code.INTERNAL, f"no more files can be opened now ({_how_to_raise()})")


def allow_many_connections() -> None:
    """Raise this process's limit of open files as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # Some systems name a higher limit than they grant; what there was is still there.
        return


def descriptor_limit() -> int:
    """Return how many descriptors this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else UNLIMITED


def open_descriptors() -> int:
    """Return how many descriptors this process has open; where that cannot be seen, a number that is not below it."""
    try:
        # Since Linux 6.2 the folder's size is the number of its entries; to look takes no descriptor then.
        return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))  # noqa: PTH116, PTH208 - called for each connection
    except FileNotFoundError:
        return _highest()
    except OSError:
        return descriptor_limit()


def ensure_room(needed: int) -> None:
    """Raise `Refusal` with what to do unless this process may open so many more files: libzmq ends a process where it finds none."""
    limit, opened = descriptor_limit(), open_descriptors()
    if limit - opened < needed:
        raise Refusal(
            Code.INTERNAL,
            f"this process has {opened} files open and needs {needed} more ({_how_to_raise()})",
        )


def _how_to_raise() -> str:
    return f"its limit is {descriptor_limit()}: raise it with `ulimit -n`, or LimitNOFILE= of a systemd unit"


def _highest() -> int:
    try:
        probe = os.dup(0)
    except OSError:
        return descriptor_limit()
    os.close(probe)
    return probe
