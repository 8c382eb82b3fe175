"""One bundle's way from the depot, pure: shows the token, asks for chunks, hands out the bytes in order. Sockets and files are elsewhere.

`Pace` beside it turns what has come into the percent, the words and the time left of a progress event.
"""

from collections import deque
from dataclasses import dataclass, field

from labelferry.conversation import unsent_delay
from labelferry_protocol import limits
from labelferry_protocol.depot import BundleOpened, Chunk, CloseBundle, OpenBundle, RequestChunk
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.message import Message
from labelferry_protocol.requests import DownloadOpened, Refused
from labelferry_protocol.window import Window

REPEAT_SECONDS = 1.0
"""Between two showings of the token while the depot does not answer."""
QUIET_SECONDS = 0.2
"""Without a word from the depot for so much longer than a chunk takes, though chunks are asked for, it is shown the token again: a connection
that was cut and made anew under us knows nothing of what was asked on the old one. The depot answers in order, so its answer also says
that what was asked before is lost: before that showing, which its `ref` names. Twice as long each time."""
STALL_SECONDS = 3.0
"""Without a word from the depot for so long, the connection is made anew. Each one that brings nothing is given twice as long as the one before,
for on a far or a bad way it takes seconds to come to be."""
MOST_STALL_SECONDS = 12.0
"""The most that one is given."""
LEAST_CHUNK_BYTES = 16 * 1024
"""Chunks are asked for no smaller than this, after they came too slowly: then one may arrive before the connection is given up again."""
MOST_PIECES = 16
"""Chunks kept for somebody who does not take them; no more are asked for then."""
BUSY_SECONDS = 1.0
"""Until a busy depot is asked again, where it does not say."""


class Fetch:
    """A download of the bundle in `opened`, of which the first `received` bytes are here."""

    def __init__(self, opened: DownloadOpened, received: int, now: float) -> None:
        self.opened = opened
        self.received = received
        self.error: Refusal | None = None
        self.heard_at = now
        """When the depot last said something (s): patience is the caller's. That it opens the bundle again, and nothing of it came since, is no news."""
        self.ref = "0"
        """The correlation id of what `turn` returned last: the count of the token's showings."""
        self._window: Window | None = None
        self._pieces: deque[bytes] = deque()
        self._show_at = now
        self._unsent = 0
        self._stalled_at = now
        self._stall = STALL_SECONDS
        self._brought = True
        """Whether any of the bundle has come since the depot opened it last."""
        self._step = limits.MAX_CHUNK_BYTES
        self._quiet = QUIET_SECONDS
        self._probe_at = now
        self._shown: dict[str, float] = {}
        """When the token was shown on this connection, by `ref`; what is answered, and what came before it, is gone."""

    @property
    def done(self) -> bool:
        """Whether every byte has been handed out."""
        return self.received == self.opened.bundle.size and not self._pieces

    def take(self) -> bytes | None:
        """Return the next bytes to write; None when there are none now."""
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        self.received += len(piece)
        return piece

    def turn(self, now: float) -> list[Message]:
        """Return what to send now."""
        if self.error is not None or self._complete:
            return []
        if self._window is not None:
            return [*self._ask(self._window, now), *self._probe(self._window, now)]
        if now < self._show_at:
            return []
        self._show_at = now + REPEAT_SECONDS
        return [self._show(now)]

    def not_sent(self, now: float) -> None:
        """Note that there was no connection to send on; chunks are asked for again by themselves."""
        if self._window is None:
            self._show_at = now + unsent_delay(self._unsent)
        else:
            self._probe_at = now + unsent_delay(self._unsent)
        self._unsent += 1

    def heard(
        self, message: BundleOpened | Chunk | Refused | Message, payload: bytes, now: float, ref: str = ""
    ) -> None:
        """Take what the depot said; what makes no sense here is passed over. `ref` tells which showing of the token is answered."""
        if self._brought or not isinstance(message, BundleOpened):
            self.heard_at = now
        self._brought = isinstance(message, Chunk) or (self._brought and not isinstance(message, BundleOpened))
        self._stalled_at = now
        self._stall = STALL_SECONDS
        self._unsent = 0
        if isinstance(message, BundleOpened):
            self._opened(message, ref)
        elif isinstance(message, Chunk) and self._window is not None and message.job_id == self.opened.job_id:
            self._pieces.extend(self._window.take(message.offset, payload, now))
        elif isinstance(message, Refused):
            self._refused(message, now)
        self._quiet = QUIET_SECONDS + (0.0 if self._window is None else self._window.step_seconds)
        self._probe_at = now + self._quiet

    def stalled(self, now: float) -> bool:
        """Whether the connection should be made anew; say `stumbled` when it is."""
        return self.error is None and not self._complete and now - self._stalled_at >= self._stall

    def reconnected(self, now: float) -> None:
        """Begin again on a new connection, from the byte that is wanted next."""
        self._stalled_at = now
        self._show_at = now
        self._unsent = 0
        self._shown.clear()
        if self._window is not None:
            self._step = max(LEAST_CHUNK_BYTES, self._window.step)
        self._window = None

    def stumbled(self, now: float) -> None:
        """Begin again on a new connection after a stall, in smaller steps: perhaps the way is not broken but narrow."""
        if self._window is not None:
            self._window.step //= 4
        self._stall = min(MOST_STALL_SECONDS, 2 * self._stall)
        self.reconnected(now)

    def renewed(self, opened: DownloadOpened, now: float) -> None:
        """Go on with a new token for the same bundle."""
        self.opened = opened
        self.error = None
        self.reconnected(now)

    def goodbye(self) -> list[Message]:
        """Return what to say when no more is wanted."""
        return [] if self._window is None else [CloseBundle(job_id=self.opened.job_id)]

    def deadline(self) -> float:
        """Return when `turn` or `stalled` has something to do next."""
        if self.error is not None or self._complete:
            return float("inf")
        stall = self._stalled_at + self._stall
        if self._window is None:
            return min(stall, self._show_at)
        return min(stall, self._probe_at) if self._window.waits else stall

    @property
    def _here(self) -> int:
        return self.received + sum(map(len, self._pieces))

    @property
    def _complete(self) -> bool:
        return self._here == self.opened.bundle.size

    def _opened(self, message: BundleOpened, ref: str) -> None:
        bundle = self.opened.bundle
        if (message.size, message.sha256) != (bundle.size, bundle.sha256):
            self.error = Refusal(
                Code.GONE, "the depot holds another bundle than the one that was published: run the job again"
            )
        elif self._window is None:
            self._window = Window(bundle.size, message.chunk_bytes, received=self._here, step=self._step)
        elif ref in self._shown:
            shown_at = self._shown[ref]
            self._window.lost(shown_at)
            self._shown = {other: at for other, at in self._shown.items() if at > shown_at}

    def _probe(self, window: Window, now: float) -> list[Message]:
        """Return the token once more when it has been quiet for too long."""
        if not window.waits or now < self._probe_at:
            return []
        self._quiet *= 2
        self._probe_at = now + self._quiet
        return [self._show(now)]

    def _show(self, now: float) -> Message:
        self.ref = str(int(self.ref) + 1)
        self._shown[self.ref] = now
        return OpenBundle(token=self.opened.token)

    def _ask(self, window: Window, now: float) -> list[Message]:
        if len(self._pieces) >= MOST_PIECES:
            return []
        job_id = self.opened.job_id
        return [RequestChunk(job_id=job_id, offset=offset, length=length) for offset, length in window.ask(now)]

    def _refused(self, message: Refused, now: float) -> None:
        if message.code is Code.REGISTER:
            self.reconnected(now)
        elif message.code is Code.BUSY:
            self.reconnected(now)
            self._show_at = now + (message.retry_after or BUSY_SECONDS)
            self._stalled_at = self._show_at
        else:
            self.error = Refusal(message.code, message.message, message.retry_after)


RATE_SECONDS = 5.0
"""What the rate is taken over."""
FIRST_RATE_SECONDS = 0.2
"""How long bytes must have flowed before a time left is told."""
EVENT_SECONDS = 0.05
"""Between two progress events within one full point."""

SMALL_STEP = 0.5
"""Points of progress that may go untold; with chunks of under half a point, a step stays below one."""


@dataclass
class Pace:
    """How fast a download of `size` bytes goes, and when it is worth telling."""

    size: int
    _marks: deque[tuple[float, int]] = field(default_factory=deque)
    _told_at: float = float("-inf")
    _told_percent: float = -1.0

    def worth_telling(self, received: int, now: float) -> bool:
        """Note what has come, and return whether to tell: at each full point, soon enough that no step is over one, else 20 times a second."""
        if not self._marks or now > self._marks[-1][0]:
            self._marks.append((now, received))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_SECONDS:
            self._marks.popleft()
        percent, told = self.percent(received), self._told_percent
        if int(percent) == int(told) and percent - told < SMALL_STEP and now - self._told_at < EVENT_SECONDS:
            return False
        self._told_percent, self._told_at = percent, now
        return True

    def percent(self, received: int) -> float:
        """Return how far it is (0-100)."""
        return 100.0 * received / self.size if self.size else 100.0

    def seconds_left(self, received: int) -> float | None:
        """Return the time it still takes at the rate of the last seconds; None until there is one."""
        if not self._marks:
            return None
        (since, before), (until, _) = self._marks[0], self._marks[-1]
        if until - since < FIRST_RATE_SECONDS or received <= before:
            return None
        return round((self.size - received) * (until - since) / (received - before), 1)


def words_of(received: int, size: int) -> str:
    """Return what a person reads while a bundle comes: `Downloading bundle (3 of 40 MB)`."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            digits = 1 if size < 10 * factor else 0
            return f"Downloading bundle ({received / factor:.{digits}f} of {size / factor:.{digits}f} {unit})"
    return f"Downloading bundle ({received} of {size} bytes)"
