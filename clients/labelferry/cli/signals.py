"""What a signal means to the command line while no command has made it its own. Read before all else, from the standard library alone.

What comes before this is read is Python's: some hundredths of a second in which a Ctrl-C is a traceback and a SIGTERM ends it.
"""

import os
import signal
import sys
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CANCELLED = ("Cancelled.", 3)
INTERRUPTED = ("Interrupted.", 130)
STOPPED = ("Stopped.", 0)
_OTHERS = {"watch": INTERRUPTED, "cancel": INTERRUPTED, "up": STOPPED, "broker": STOPPED, "worker": STOPPED}


def ending() -> tuple[str, int]:
    """Return what this process says, and its exit code, when a signal ends its command before its end."""
    return _OTHERS.get("".join(sys.argv[1:2]), CANCELLED)


def stops(*, hangup: bool) -> list[signal.Signals]:
    """Return the signals that a command takes for a wish to stop; SIGHUP is one with `hangup`, unless it is passed over (nohup)."""
    heard = hangup and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if heard else [])]


def leave_on_signals() -> None:
    """From now on a signal ends the process at once: for as long as there is nothing that must be tidied up.

    No `KeyboardInterrupt`: raised in a callback of the garbage collector, as modules are imported, it is lost.
    What was ignored when the process was started (nohup) stays ignored.
    """
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


def raise_on_signals() -> None:
    """From now on a signal that would end the process at once raises `KeyboardInterrupt` instead: something must be tidied up."""
    for number in NUMBERS:
        if signal.getsignal(number) is _leave:
            signal.signal(number, signal.default_int_handler)


def ignore_signals() -> None:
    """From now on no signal changes how this process ends: for when that is known."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sentence, code = ending()
    try:
        if sys.stderr is not None:
            os.write(sys.stderr.fileno(), f"{sentence}\n".encode())
    finally:
        os._exit(code)
