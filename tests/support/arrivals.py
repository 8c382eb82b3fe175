"""How fast connections come to a process, from outside: its descriptors, counted again and again in a thread."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

PAUSE_SECONDS = 0.02


class Arrivals:
    """Counts while it is entered. `rush` is the most that came within a time."""

    def __init__(self, pid: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = f"/proc/{pid}/fd"
        self._clock = clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="arrivals", daemon=True)
        self.counts: list[tuple[float, int]] = []
        """When (s), and how many descriptors were open then."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def rush(self, seconds: float) -> int:
        """Return by how many the descriptors grew at most within `seconds`."""
        most, window = 0, deque[tuple[float, int]]()
        for at, count in self.counts:
            window.append((at, count))
            while at - window[0][0] > seconds:
                window.popleft()
            most = max(most, count - min(before for _, before in window))
        return most

    def _watch(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            try:
                self.counts.append((self._clock(), len(os.listdir(self._folder))))  # noqa: PTH208 - only their number is wanted
            except OSError:
                return
