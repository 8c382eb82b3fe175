"""When a worker that was told to go may go. Pure."""

from labelferry_workers.instructions import Leave

KILL_SECONDS = 1.0
"""How long killing and clearing may take at the end of the drain time, before the worker leaves without a word."""


class Departure:
    """The end of a worker: take no more, finish within `drain_seconds`, wait `goodbye_seconds` for last answers."""

    def __init__(self, drain_seconds: float, goodbye_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        self._goodbye_seconds = goodbye_seconds
        self._deadline: float | None = None
        self._empty_since: float | None = None
        self._overdue = False
        self.acknowledged = False
        """Whether the broker knows, so that every lease it ever gave has come."""

    def begin(self, now: float) -> bool:
        """Begin to go; return whether that is new."""
        if self._deadline is not None:
            return False
        self._deadline = now + self._drain_seconds
        return True

    def out_of_time(self, now: float) -> bool:
        """Return whether what still runs must be killed."""
        self._overdue = self._deadline is not None and now >= self._deadline
        return self._overdue

    def look(self, now: float, *, busy: bool) -> list[Leave]:
        """Return `[Leave()]` when it is time; `busy` while an attempt is held."""
        if self._deadline is None:
            return []
        self._empty_since = None if busy else (now if self._empty_since is None else self._empty_since)
        said = self._empty_since is not None and (self.acknowledged or now >= self._empty_since + self._goodbye_seconds)
        return [Leave()] if said or now >= self._last_moment else []

    @property
    def next_at(self) -> float | None:
        """When `look` or `out_of_time` will say something else by time alone."""
        if self._deadline is None:
            return None
        if self._empty_since is not None:
            return self._empty_since + self._goodbye_seconds
        return self._last_moment if self._overdue else self._deadline

    @property
    def _last_moment(self) -> float:
        return (self._deadline or 0.0) + KILL_SECONDS + self._goodbye_seconds
