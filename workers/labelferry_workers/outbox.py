"""What was said to the broker and not answered yet: repeated, with the same correlation id, until it is. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from labelferry_protocol.work import Holding, WorkerSays
from labelferry_workers.instructions import Send

FIRST_REPEAT_SECONDS = 1.0
LAST_REPEAT_SECONDS = 5.0


@dataclass
class Entry:
    """A message under its correlation id; `key` is the attempt it is about, None for a drain."""

    ref: str
    message: WorkerSays
    key: Holding | None
    next_at: float
    pause: float = FIRST_REPEAT_SECONDS


class Outbox:
    """Messages in the order they were said. Nothing is sent from here: `due` says what to send."""

    def __init__(self, new_ref: Callable[[], str]) -> None:
        self._new_ref = new_ref
        self._entries: dict[str, Entry] = {}

    def put(self, message: WorkerSays, key: Holding | None, now: float) -> None:
        """Keep a message; it is due at once."""
        ref = self._new_ref()
        self._entries[ref] = Entry(ref, message, key, now)

    def take(self, ref: str) -> Entry | None:
        """Remove and return what was answered; None when it is not waited for (any more)."""
        return self._entries.pop(ref, None)

    def about(self, ref: str) -> Holding | None:
        """Return the attempt that a message which waits for its answer is about."""
        entry = self._entries.get(ref)
        return None if entry is None else entry.key

    def put_off(self, ref: str, until: float) -> None:
        """Say it again at `until`, not before."""
        if ref in self._entries:
            self._entries[ref].next_at = until

    def holds(self, key: Holding) -> bool:
        """Return whether anything about an attempt waits for its answer."""
        return any(entry.key == key for entry in self._entries.values())

    def drop(self, key: Holding) -> None:
        """Forget all that was said about an attempt."""
        self._entries = {ref: entry for ref, entry in self._entries.items() if entry.key != key}

    def hurry(self, now: float) -> None:
        """Say everything again at once: the one who hears it may be a new one."""
        for entry in self._entries.values():
            entry.next_at, entry.pause = now, FIRST_REPEAT_SECONDS

    def due(self, now: float) -> Iterator[Send]:
        """Yield what is to be sent now."""
        for entry in self._entries.values():
            if now >= entry.next_at:
                entry.next_at = now + entry.pause
                entry.pause = min(entry.pause * 2, LAST_REPEAT_SECONDS)
                yield Send(entry.message, entry.ref)

    @property
    def next_at(self) -> float | None:
        """When something is due; None when nothing waits."""
        return min((entry.next_at for entry in self._entries.values()), default=None)
