"""Of which jobs finished work is kept here for another attempt, as far as this worker knows. Pure; where it lies is `staging`'s."""

from collections.abc import Iterable

from labelferry_protocol.newest import keep_newest
from labelferry_protocol.work import Jobs

MOST_TOLD = 256


class Kept:
    """The jobs, the latest last."""

    def __init__(self) -> None:
        self._jobs: dict[str, None] = {}

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def add(self, jobs: Iterable[str]) -> None:
        """Take note of jobs that something is kept of."""
        for job_id in jobs:
            self._jobs.pop(job_id, None)
            self._jobs[job_id] = None
        # So many are never on the disk (`checkpoints`).
        keep_newest(self._jobs, MOST_TOLD)

    def drop(self, job_id: str) -> bool:
        """Take note that nothing is to be kept of a job any more; return whether something was."""
        if job_id not in self._jobs:
            return False
        del self._jobs[job_id]
        return True

    @property
    def told(self) -> Jobs:
        """What the broker is told: so many as it takes."""
        return tuple(self._jobs)
