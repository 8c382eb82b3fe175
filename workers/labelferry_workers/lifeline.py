"""How a supervisor hears what the system tells it: signals, the end of standard input, as descriptors to poll.

Nothing is decided in a signal handler: a signal writes its number, the supervisor's loop reads it.
"""

import os
import signal

from labelferry_transport.owner import STDIN, owner_gone


class Lifeline:
    """Made in the main thread, for a process that has only one. `until_eof`: the end of standard input means the owner is gone.

    With an owner SIGINT is left to it: a Ctrl-C at a terminal reaches the whole foreground, and the owner still needs its
    workers to cancel in order.
    """

    def __init__(self, *, until_eof: bool) -> None:
        self._told, self._tell = os.pipe()
        for end in (self._told, self._tell):
            os.set_blocking(end, False)
        signal.signal(signal.SIGTERM, _say_nothing)
        signal.signal(signal.SIGCHLD, _say_nothing)
        signal.signal(signal.SIGINT, signal.SIG_IGN if until_eof else _say_nothing)
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

    def close(self) -> None:
        """Give the descriptors back; signals do what they did before there was anybody to hear them."""
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(self._told)
        os.close(self._tell)


def _say_nothing(signum: int, frame: object) -> None:
    """Let the wakeup descriptor speak."""
