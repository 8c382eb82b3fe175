"""How a process of the broker hears that it shall end: SIGTERM, SIGINT, or the end of its standard input, as file descriptors to poll.

Nothing is decided in a signal handler: a signal writes a byte, the actor's loop reads it.
"""

import ctypes
import os
import resource
import signal
import sys

from labelferry_transport.owner import STDIN, owner_gone

_PR_SET_PDEATHSIG = 1


class Lifeline:
    """The end of a process, told once. Made in the main thread, for a process that has only one.

    `until_eof`: standard input closed means the owner is gone. Then SIGINT is left to the owner too: a Ctrl-C at a terminal
    reaches the whole foreground, and the owner still needs its services to cancel in order.
    """

    def __init__(self, *, until_eof: bool) -> None:
        self._until_eof = until_eof
        self._told, self._tell = os.pipe()
        os.set_blocking(self._told, False)
        os.set_blocking(self._tell, False)
        signal.signal(signal.SIGTERM, _say_nothing)
        signal.signal(signal.SIGINT, signal.SIG_IGN if until_eof else _say_nothing)
        signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)

    @property
    def descriptors(self) -> list[int]:
        """What to poll for reading."""
        return [self._told, STDIN] if self._until_eof else [self._told]

    def ended(self) -> bool:
        """Return whether the process was asked to end since the last look. Never blocks."""
        try:
            if os.read(self._told, 64):
                return True
        except BlockingIOError:
            pass
        return self._until_eof and owner_gone()

    def close(self) -> None:
        """Give the descriptors back."""
        signal.set_wakeup_fd(-1)
        os.close(self._told)
        os.close(self._tell)


def allow_many_connections() -> None:
    """Raise this process's limit of open files as far as it may be: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # Some systems name a higher limit than they grant; what there was is still there.
        return


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; where it cannot, the closed standard input does it a little later."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It died before we asked.
        sys.exit(1)


def _say_nothing(signum: int, frame: object) -> None:
    """Let the wakeup descriptor speak."""
