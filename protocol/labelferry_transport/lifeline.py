"""How a service hears what the system tells it: signals, and the end of standard input, as descriptors to poll.

Nothing is decided in a signal handler: a signal writes its number, the actor's loop reads it.
"""

import os
import signal

from labelferry_transport.owner import STDIN, owner_gone

_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class Lifeline:
    """Made in the main thread, for a process that has only one. `until_eof`: the end of standard input means the owner is gone.

    With an owner SIGINT is left to it: a Ctrl-C at a terminal reaches the whole foreground, and the owner still needs its
    services to cancel in order. The end of a child wakes whoever polls, and no more.
    """

    def __init__(self, *, until_eof: bool) -> None:
        self._told, self._tell = os.pipe()
        for end in (self._told, self._tell):
            os.set_blocking(end, False)
        for number in _HEARD:
            signal.signal(number, _say_nothing)
        if until_eof:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)
        self.descriptors = [self._told, STDIN] if until_eof else [self._told]
        """What to poll for reading."""

    def requests(self) -> int:
        """Return how often the process was asked to go since the last look. Never blocks."""
        try:
            told = os.read(self._told, 4096)
        except BlockingIOError:
            return 0
        return sum(1 for number in told if number in (signal.SIGTERM, signal.SIGINT))

    def owner_gone(self) -> bool:
        """Return whether standard input has ended; without an owner never. Never blocks."""
        return STDIN in self.descriptors and owner_gone()

    def ended(self) -> bool:
        """Return whether the process was asked to go, or its owner is gone, since the last look. Never blocks."""
        return self.requests() > 0 or self.owner_gone()

    def close(self) -> None:
        """Give the descriptors back; signals do what they did before there was anybody to hear them, but SIGINT is passed over."""
        for number in _HEARD:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(self._told)
        os.close(self._tell)


def _say_nothing(signum: int, frame: object) -> None:
    """Let the wakeup descriptor speak."""
