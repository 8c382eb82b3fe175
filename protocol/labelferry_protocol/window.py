"""The receiver's side of a transfer, pure: which bytes to ask for next, which have come, and from where to go on after a cut.

The receiver keeps a few requests in flight and writes what comes in order, so what it has is always a prefix: a cut transfer
goes on from the length of the file. Both receivers use it: the client that downloads and the depot that is brought a bundle.

Requests fit the way: two seconds' worth of what comes is in flight, in steps of an eighth of that. What is on its way is not asked for
again, however long it takes: answers come in the order of the requests, so a request is lost when a later one is answered, or when
nothing comes at all for longer than an answer takes. As in TCP that patience is doubled each time, and an answer to what was asked
twice measures nothing, for it may be either's (RFC 6298, 8985).
"""

from dataclasses import dataclass, field

LEAST_STEP_BYTES = 4 * 1024
LEAST_FLIGHT_BYTES = 16 * 1024
"""So much is in flight over the narrowest way, and before anything is known of it."""
FLIGHT_SECONDS = 2.0
"""So much of what comes is in flight: longer than a round trip takes, and short enough to see it move and to turn round."""
PASSED_SECONDS = 0.2
"""How much later than an answer to a later request an answer may come: a peer may read with several hands."""
LONGEST_PATIENCE = 30.0


@dataclass
class _Request:
    length: int
    asked_at: float
    here: int
    """Bytes that had come when it was asked."""
    again: bool
    due_at: float = float("inf")
    """When it is asked again."""


@dataclass
class Window:
    """A transfer of `size` bytes, of which the first `received` are here; at most `width` requests of `chunk` bytes in flight.

    `now` is any steady clock in seconds; `step` is the length of the next request, the first one's to begin with. When nothing has
    come for `patience` seconds, and for two round trips, what is wanted next is asked for again.
    """

    size: int
    chunk: int
    received: int = 0
    width: int = 8
    patience: float = 2.0
    step: int = LEAST_STEP_BYTES
    _asked: dict[int, _Request] = field(default_factory=dict)
    """By offset, in the order of asking."""
    _early: dict[int, bytes] = field(default_factory=dict)
    _next: int = 0
    _here: int = 0
    _rate: float = 0.0
    _wait: float = 0.0
    _stirred_at: float = float("-inf")
    """When something was asked or came."""

    def __post_init__(self) -> None:
        self._next = self.received
        self._wait = self.patience
        self.step = min(self.step, self.chunk)

    @property
    def done(self) -> bool:
        """Whether every byte is here."""
        return self.received == self.size

    @property
    def waits(self) -> bool:
        """Whether anything was asked for that has not come."""
        return bool(self._asked)

    @property
    def step_seconds(self) -> float:
        """How long the way takes for a step (s); 0 before that is known."""
        return self.step / self._rate if self._rate else 0.0

    def ask(self, now: float) -> list[tuple[int, int]]:
        """Return the (offset, length) requests to send now: lost ones again, then new ones while the window has room."""
        if self._asked and now - self._stirred_at >= self._wait:
            self._silence(now)
        again = [offset for offset, request in self._asked.items() if request.due_at <= now]
        requests = [(offset, self._asked.pop(offset).length) for offset in again]
        for offset, length in requests:
            self._asked[offset] = _Request(length, now, self._here, again=True)
        while self._next < self.size and self._has_room():
            length = min(self.step, self.size - self._next)
            requests.append((self._next, length))
            self._asked[self._next] = _Request(length, now, self._here, again=False)
            self._next += length
        if requests:
            self._stirred_at = now
        return requests

    def take(self, offset: int, data: bytes, now: float) -> list[bytes]:
        """Return the pieces that a chunk makes writable, in order; a chunk nobody asked for, or of the wrong length, gives none and is asked for again."""
        self._stirred_at = now
        asked = self._asked.get(offset)
        if asked is None or asked.length != len(data):
            return []
        self._here += len(data)
        if not asked.again:
            self._measure(asked, now)
            self._pass(offset, now)
        del self._asked[offset]
        self._early[offset] = data
        pieces = []
        while self.received in self._early:
            piece = self._early.pop(self.received)
            self.received += len(piece)
            pieces.append(piece)
        return pieces

    def lost(self, asked_until: float) -> None:
        """Take it that nothing comes any more of what was asked for up to this moment: it is due again at once."""
        for request in self._asked.values():
            if request.asked_at <= asked_until:
                request.due_at = float("-inf")

    def reconnected(self) -> None:
        """Forget what was in flight: the other end does not know of it any more."""
        self._asked.clear()
        self._early.clear()
        self._next = self.received
        self._wait = self.patience

    def _has_room(self) -> bool:
        if not self._asked:
            return len(self._early) < self.width
        flight = max(LEAST_FLIGHT_BYTES, self._rate * FLIGHT_SECONDS)
        in_flight = sum(request.length for request in self._asked.values())
        return len(self._asked) + len(self._early) < self.width and in_flight + self.step <= flight

    def _silence(self, now: float) -> None:
        """Ask for the bytes that are wanted next again: an answer to what is asked after them tells whether the others are lost.

        Where nothing is left to ask, all are asked for again.
        """
        self._wait = min(2 * self._wait, LONGEST_PATIENCE)
        for offset, request in self._asked.items():
            if offset == self.received or self._next == self.size:
                request.due_at = now

    def _measure(self, answered: _Request, now: float) -> None:
        seconds = now - answered.asked_at
        self._wait = max(self.patience, 2 * seconds)
        self._rate = (self._here - answered.here) / seconds if seconds > 0 else float("inf")
        share = min(self.chunk, self._rate * FLIGHT_SECONDS / self.width)
        self.step = min(self.chunk, max(LEAST_STEP_BYTES, int(share)))

    def _pass(self, answered: int, now: float) -> None:
        """Take it that what was asked before a request that is answered comes soon, or never."""
        for offset, request in self._asked.items():
            if offset == answered:
                return
            request.due_at = min(request.due_at, now + PASSED_SECONDS)
