"""The receiver's side of a transfer, pure: which bytes to ask for next, which have come, and from where to go on after a cut.

The receiver keeps a few requests in flight and writes what comes in order, so what it has is always a prefix: a cut transfer
goes on from the length of the file. Both receivers use it: the client that downloads and the depot that is brought a bundle.
"""

from dataclasses import dataclass, field


@dataclass
class Window:
    """A transfer of `size` bytes, of which the first `received` are here; `width` requests of `chunk` bytes in flight.

    `now` is any steady clock in seconds; a request unanswered for `patience` seconds is asked again.
    """

    size: int
    chunk: int
    received: int = 0
    width: int = 8
    patience: float = 2.0
    _asked: dict[int, tuple[int, float]] = field(default_factory=dict)
    _early: dict[int, bytes] = field(default_factory=dict)
    _next: int = 0

    def __post_init__(self) -> None:
        self._next = self.received

    @property
    def done(self) -> bool:
        """Whether every byte is here."""
        return self.received == self.size

    def ask(self, now: float) -> list[tuple[int, int]]:
        """Return the (offset, length) requests to send now: overdue ones again, then new ones while the window has room."""
        requests = []
        for offset, (length, asked_at) in self._asked.items():
            if now - asked_at >= self.patience:
                requests.append((offset, length))
        while self._next < self.size and len(self._asked) + len(self._early) < self.width:
            length = min(self.chunk, self.size - self._next)
            requests.append((self._next, length))
            self._asked[self._next] = (length, now)
            self._next += length
        for offset, length in requests:
            self._asked[offset] = (length, now)
        return requests

    def take(self, offset: int, data: bytes) -> list[bytes]:
        """Return the pieces that a chunk makes writable, in order; a chunk nobody asked for, or of the wrong length, gives none and is asked for again."""
        asked = self._asked.get(offset)
        if asked is None or asked[0] != len(data):
            return []
        del self._asked[offset]
        self._early[offset] = data
        pieces = []
        while self.received in self._early:
            piece = self._early.pop(self.received)
            self.received += len(piece)
            pieces.append(piece)
        return pieces

    @property
    def waits(self) -> bool:
        """Whether anything was asked for that has not come."""
        return bool(self._asked)

    def lost(self, asked_until: float) -> None:
        """Take it that nothing comes any more of what was asked for up to this moment: it is due again at once."""
        for offset, (length, asked_at) in self._asked.items():
            if asked_at <= asked_until:
                self._asked[offset] = (length, float("-inf"))

    def reconnected(self) -> None:
        """Forget what was in flight: the other end does not know of it any more."""
        self._asked.clear()
        self._early.clear()
        self._next = self.received
