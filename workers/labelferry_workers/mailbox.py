"""Where a job leaves its updates without waiting for anybody: full points, changes of stage and what is notable are kept, of the rest the latest.

Where two kept updates would lie more than a point apart, the last one between them is kept too: so whoever keeps up sees no
step above a point, as long as the job itself makes none.
"""

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

MAX_KEPT = 256
"""Kept updates that may wait; over it the oldest goes, as it is the least wanted."""


class Progressing(Protocol):
    """What the mailbox must know of an update."""

    @property
    def progress(self) -> float:
        """0 to 100."""

    @property
    def stage(self) -> str:
        """The word for what is done now."""

    @property
    def notable(self) -> bool:
        """Whether it is to be told whatever follows it at once."""


U = TypeVar("U", bound=Progressing)


class Mailbox(Generic[U]):
    """From the thread that works to the thread that speaks. `wake` is called when there is something that was not there before."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._kept: deque[U] = deque(maxlen=MAX_KEPT)
        self._latest: U | None = None
        self._point = -1
        self._stage = ""
        self._told = 0.0

    def begin(self) -> None:
        """Forget the job before."""
        with self._lock:
            self._kept.clear()
            self._latest, self._point, self._stage, self._told = None, -1, "", 0.0

    def put(self, update: U) -> None:
        """Leave an update, in a microsecond or so."""
        point = math.floor(update.progress)
        with self._lock:
            wake = True
            if point > self._point or update.stage != self._stage or update.notable:
                self._point, self._stage = max(point, self._point), update.stage
                if self._latest is not None and update.progress - self._told > 1:
                    self._kept.append(self._latest)
                self._kept.append(update)
                self._latest, self._told = None, update.progress
            else:
                wake = self._latest is None
                self._latest = update
        if wake:
            self._wake()

    def take(self, *, latest: bool) -> list[U]:
        """Remove and return what is kept, in order, and behind it the latest, where that is wanted."""
        with self._lock:
            taken = list(self._kept)
            self._kept.clear()
            if latest and self._latest is not None:
                taken.append(self._latest)
                self._told = self._latest.progress
                self._latest = None
        return taken

    @property
    def holds_latest(self) -> bool:
        """Whether an update waits for its turn."""
        return self._latest is not None
