"""Where finished work of jobs is kept for their later attempts, and how it is removed. What is in it is the export engine's.

STAGING/checkpoints/JOB/    of one job, of all its attempts, on whichever worker process of this staging directory
"""

import contextlib
import os
import re
from pathlib import Path

from labelferry_transport.logs import Log
from labelferry_workers.staging import remove

FOLDER = "checkpoints"
MOST_SECONDS = 24 * 3600.0
"""What nobody has written to for so long is removed: its broker is gone, or its job waits for what will not come."""
MOST_IDLE = 16
"""Of so many jobs that do not run here something is kept at most: beyond, what was written to least recently goes."""
_JOB = re.compile(r"[0-9a-f]{32}")

log = Log("checkpoints")


class Checkpoints:
    """The checkpoints below a staging directory, which several worker processes may share."""

    def __init__(self, staging: Path) -> None:
        self._base = staging / FOLDER

    @property
    def jobs(self) -> list[str]:
        """The jobs of which something is kept, the latest written last."""
        ages = {each.name: _written_at(each) for each in self._folders()}
        return sorted(ages, key=lambda name: (ages[name], name))

    def has(self, job_id: str) -> bool:
        """Whether something is kept of a job."""
        return checkpoints_of(self._base.parent, job_id).exists()

    def remove(self, job_id: str) -> bool:
        """Remove what is kept of a job; return whether nothing is left."""
        place = checkpoints_of(self._base.parent, job_id)
        if not os.path.lexists(place):
            return True
        clean = remove(place)
        with contextlib.suppress(OSError):
            self._base.rmdir()
        return clean

    def sweep(self, now: float, busy: set[str]) -> None:
        """Remove what is too old, or too much, of jobs that do not run here; `now` in s since 1970."""
        idle = [job_id for job_id in self.jobs if job_id not in busy]
        for number, job_id in enumerate(reversed(idle)):
            if number >= MOST_IDLE or now - _written_at(checkpoints_of(self._base.parent, job_id)) > MOST_SECONDS:
                log.info("removed what was kept of a job", job=job_id)
                self.remove(job_id)

    def _folders(self) -> list[Path]:
        try:
            return [each for each in self._base.iterdir() if _JOB.fullmatch(each.name)]
        except OSError:
            return []


def checkpoints_of(staging: Path, job_id: str) -> Path:
    """Return where the finished work of a job is kept."""
    return staging / FOLDER / job_id


def _written_at(folder: Path) -> float:
    """Return when something below a folder was written last, s since 1970; 0 where that cannot be told."""
    moments = [0.0]
    for each in (folder, *folder.glob("*"), *folder.glob("*/*")):
        with contextlib.suppress(OSError):
            moments.append(each.lstat().st_mtime)
    return max(moments)
