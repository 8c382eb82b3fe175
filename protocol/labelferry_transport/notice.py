"""What a service tells systemd, if that is what started it: ready, alive, stopping (sd_notify's protocol, over its datagram socket).

Without NOTIFY_SOCKET every call does nothing. The variables are taken out of the environment, so that children stay silent.
"""

import os
import socket
from collections.abc import MutableMapping
from typing import Self


class Notice:
    """One process's line to its service manager. To be used by one thread, the one whose life `alive` vouches for."""

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self._address = address
        self._gap = None if watchdog_seconds is None else watchdog_seconds / 3
        self._alive_at = float("-inf")

    @classmethod
    def take(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """Return the line that the environment names, and take it out of there."""
        address = environment.pop("NOTIFY_SOCKET", None)
        microseconds = environment.pop("WATCHDOG_USEC", "")
        meant_for = environment.pop("WATCHDOG_PID", "")
        ours = meant_for in ("", str(os.getpid())) and microseconds.isdecimal() and int(microseconds) > 0
        return cls(address, int(microseconds) / 1e6 if ours else None)

    def ready(self) -> None:
        """Say that the service serves."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Say that the service is about to end."""
        self._send("STOPPING=1")

    def alive(self, now: float) -> None:
        """Say that the loop turns; called each turn, said three times in the watchdog's time. `now` is steady seconds."""
        if self._gap is not None and now - self._alive_at >= self._gap:
            self._alive_at = now
            self._send("WATCHDOG=1")

    def _send(self, word: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)
                line.sendto(word.encode(), address)
        except OSError:
            # A manager that does not listen is no reason to fail: it will say so itself.
            return
