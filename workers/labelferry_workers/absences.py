"""Which of a worker's connections were lost and are not back, and when their sockets are to be opened anew for that. Pure.

libzmq makes a lost connection again by itself, but not one that the other end's doorman refused: that ends the socket's
session for good, and the socket waits for ever. One that was never made, because nobody listens, is left to libzmq.
"""

from collections.abc import Callable

from labelferry_protocol.endpoints import Lane

BACK_SECONDS = 2.5
"""What a lost connection is given to come back by itself, from half to one and a half of it."""


class Absences:
    """The lost connections of some lanes. `jitter` returns a number from 0 to 1, so that not all workers come at once."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._until: dict[Lane, float] = {}

    def changed(self, lane: Lane, now: float, *, made: bool) -> None:
        """Take note of what became of a lane's connection: made, or lost."""
        if made:
            self.back(lane)
        else:
            self.lost(lane, now)

    def lost(self, lane: Lane, now: float) -> None:
        """Take note that a lane's connection is lost; that it is lost again changes nothing."""
        self._until.setdefault(lane, now + BACK_SECONDS * (0.5 + self._jitter()))

    def back(self, lane: Lane) -> None:
        """Take note that it is there, or that its socket is another one."""
        self._until.pop(lane, None)

    def over(self, now: float) -> list[Lane]:
        """Return the lanes whose connection has been away for too long."""
        return [lane for lane, until in self._until.items() if now >= until]

    @property
    def next_at(self) -> float | None:
        """When the next lane will be `over`; None while none is lost."""
        return min(self._until.values(), default=None)
