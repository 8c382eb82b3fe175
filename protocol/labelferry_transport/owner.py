"""Whether the process that started this one is still there: it holds our standard input, which ends with it."""

import os
import select

STDIN = 0


def owner_gone() -> bool:
    """Return whether standard input has ended; what comes on it otherwise is read and forgotten. Never blocks."""
    look = select.poll()
    look.register(STDIN, select.POLLIN)
    while look.poll(0):
        try:
            if not os.read(STDIN, 4096):
                return True
        except OSError:
            return True
    return False
