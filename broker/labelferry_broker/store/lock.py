"""One broker a state directory: an advisory lock on a file in it, which the system lets go of when its holder dies."""

import fcntl
import os
from pathlib import Path

from labelferry_protocol.errors import Code, Refusal

NAME = "broker.lock"


class Lock:
    """The right to a state directory, from its making until `release`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            said = f" (process {holder})" if holder.isdecimal() else ""
            raise Refusal(
                Code.STORE, f"another broker{said} uses {directory}: stop it, or choose another --state directory"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others have the directory; may be repeated."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
