"""Whether there is room on the worker's disk for another job. Pure: what is free is measured by the supervisor."""


class Room:
    """Room runs out when a job fails for it, and is back when enough is free again; sizes in bytes, times in steady seconds."""

    def __init__(self, enough: int, least_pause: float) -> None:
        self._enough = enough
        self._least_pause = least_pause
        self._measure_at: float | None = None

    @property
    def out(self) -> bool:
        """Whether no new job should come here now."""
        return self._measure_at is not None

    @property
    def measure_at(self) -> float | None:
        """When to measure next; None while there is room."""
        return self._measure_at

    def ran_out(self, now: float) -> None:
        """Take note that a job failed for lack of room. Others come first for a while, though what it wrote is freed at once."""
        self._measure_at = now + self._least_pause

    def measured(self, free: int, now: float) -> None:
        """Take what is free now."""
        if self._measure_at is not None and now >= self._measure_at:
            self._measure_at = None if free >= self._enough else now + self._least_pause
