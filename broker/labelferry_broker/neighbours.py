"""Workers on the broker's own machine: whether the process behind a connection that went has ended can be seen, not guessed.

A worker names its process when it registers. Only one that was seen alive then is believed to have ended when it is gone; of a
worker on another machine, or one whose process cannot be looked at from here, nothing is said.
"""

from collections.abc import Iterator

from labelferry_transport.process_mark import has_ended, in_sight

LOOK_SECONDS = 0.005
"""Between two looks at a process whose connection has gone: it closes its sockets a moment before it has ended."""
WATCH_SECONDS = 2.0
"""How long it is looked at so often; after that with whatever else the broker does."""


class Neighbours:
    """Processes of registered workers by connection. `now` is a steady clock, in seconds."""

    def __init__(self) -> None:
        self._marks: dict[bytes, str] = {}
        self._left: dict[bytes, tuple[str, float]] = {}

    def registered(self, peer: bytes, mark: str) -> None:
        """Note which process registers on a connection."""
        self._left = {each: left for each, left in self._left.items() if left[0] != mark}
        if mark and in_sight(mark):
            self._marks[peer] = mark

    def knows(self, peer: bytes) -> bool:
        """Return whether the worker of a connection is on this machine."""
        return peer in self._marks

    def left(self, peer: bytes, now: float) -> bool:
        """Take note that a connection has gone; return whether its process can be watched."""
        mark = self._marks.pop(peer, None)
        if mark is not None:
            self._left[peer] = (mark, now)
        return mark is not None

    def ended(self) -> Iterator[bytes]:
        """Yield the connections that went and whose process has ended since; each once."""
        for peer, (mark, _) in list(self._left.items()):
            if has_ended(mark):
                del self._left[peer]
                yield peer

    def next_at(self, now: float) -> float | None:
        """When to look again; None when there is nobody to look at closely."""
        fresh = any(now - since < WATCH_SECONDS for _, since in self._left.values())
        return now + LOOK_SECONDS if fresh else None
