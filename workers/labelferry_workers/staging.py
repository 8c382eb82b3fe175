"""Where attempts write: a private directory for each worker process, one below it for each attempt, and how they are removed.

    STAGING/worker-ID.lock     held (flock) by the process as long as it lives
    STAGING/worker-ID/JOB.ATTEMPT/
    STAGING/worker-ID/spare-N/              empty: the next attempt's, for to make and to remove one is much of what a short job costs

What a worker that was killed has left behind is removed by the next one that starts in the same place: its lock is free. What could not be
removed (a disk that does not answer, no descriptors) is tried again as long as the worker lives.
"""

import contextlib
import fcntl
import os
import shutil
import stat
from pathlib import Path

from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.work import Holding
from labelferry_transport.logs import Log

BUNDLE = "bundle.zip"
CACHE = "cache"
"""What all exports of a staging directory share, below it: the engine's, and anybody's to remove at any time."""
_PREFIX = "worker-"
_LOCK = ".lock"
_SPARE = "spare-"
MOST_SPARE = 16
"""Empty directories that are kept for attempts to come."""

AGAIN_SECONDS = 5.0

log = Log("staging")


class Staging:
    """The directory of one worker process; made and locked by the constructor, which raises `Refusal(OUTPUT)` when it cannot."""

    def __init__(self, base: Path, worker_id: str) -> None:
        self._base = base
        self.place = base / f"{_PREFIX}{worker_id}"
        self._lock_file = base / f"{_PREFIX}{worker_id}{_LOCK}"
        self._spare: list[Path] = []
        self._left: set[Holding] = set()
        """Attempts of which something could not be removed."""
        self._again_at = 0.0
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _take_lock(self._lock_file)
            self.place.mkdir(mode=0o700)
        except OSError as error:
            raise Refusal(
                Code.OUTPUT, f"cannot work in {base}: {error.strerror}: name another directory with --staging"
            ) from None

    def sweep(self) -> int:
        """Remove what dead workers have left here; return how many there were."""
        dead = 0
        for lock_file in self._base.glob(f"{_PREFIX}*{_LOCK}"):
            if lock_file == self._lock_file:
                continue
            lock = _take_lock_of_the_dead(lock_file)
            if lock is None:
                continue
            place = lock_file.with_suffix("")
            if remove(place):
                lock_file.unlink(missing_ok=True)
                dead += 1
                log.info("swept what a dead worker left", place=place.name)
            os.close(lock)
        return dead

    def path(self, key: Holding) -> Path:
        """Return the directory of an attempt."""
        return attempt_directory(self.place, key)

    def make(self, key: Holding) -> None:
        """Make the directory of an attempt, empty."""
        place = self.path(key)
        self._left.discard(key)
        if self._spare and _take_over(self._spare.pop(), place):
            return
        remove(place)
        try:
            place.mkdir(mode=0o700)
        except FileNotFoundError:
            self._restore()
            place.mkdir(mode=0o700)

    def clear(self, key: Holding) -> bool:
        """Remove what an attempt wrote; return whether nothing of it is left."""
        place = self.path(key)
        spare = self.place / f"{_SPARE}{len(self._spare)}"
        if len(self._spare) < MOST_SPARE and _empty(place):
            if _take_over(place, spare):
                self._spare.append(spare)
                self._left.discard(key)
                return True
            # A dying process has written to it: moved back, it is found again as long as something is left.
            _take_over(spare, place)
        clean = remove(place) and remove(spare)
        (self._left.discard if clean else self._left.add)(key)
        return clean

    def clear_again(self, now: float) -> None:
        """Remove, now and then, what could not be removed before."""
        if self._left and now >= self._again_at:
            self._again_at = now + AGAIN_SECONDS
            for key in list(self._left):
                self.clear(key)

    def free_bytes(self) -> int:
        """Return how much may still be written here; nothing where that cannot be told."""
        try:
            return shutil.disk_usage(self._base if self._base.exists() else self._base.parent).free
        except OSError:
            return 0

    def _restore(self) -> None:
        """Make this process's directory anew: somebody has removed it, or all of the staging directory, as cleaners of /tmp do."""
        log.warning("somebody has removed the staging directory: it is made anew", place=self.place.name)
        self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._lock_file.exists():
            os.close(self._lock)
            self._lock = _take_lock(self._lock_file)
        self.place.mkdir(mode=0o700, exist_ok=True)
        self._spare.clear()

    def close(self) -> bool:
        """Remove everything, and give the lock back; return whether nothing is left."""
        clean = remove(self.place)
        if clean:
            self._lock_file.unlink(missing_ok=True)
        os.close(self._lock)
        return clean


def _empty(place: Path) -> bool:
    """Remove the bundle from a directory in which nothing else is; return whether it is empty now, and as `make` makes one."""
    try:
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if os.listdir(directory) == [BUNDLE]:  # noqa: PTH208 - of the directory that was opened, not of a name
            os.unlink(BUNDLE, dir_fd=directory)
        return stat.S_IMODE(os.fstat(directory).st_mode) == stat.S_IRWXU and not os.listdir(directory)  # noqa: PTH208
    except OSError:
        return False
    finally:
        os.close(directory)


def _take_over(spare: Path, place: Path) -> bool:
    """Give an empty directory another name; return whether it has it, and is empty still."""
    try:
        spare.rename(place)
        return not os.listdir(place)  # noqa: PTH208 - of names alone, for each job
    except OSError:
        return False


def attempt_directory(place: Path, key: Holding) -> Path:
    """Return where an attempt works, below a worker's `place`."""
    return place / f"{key.job_id}.{key.attempt}"


def remove(place: Path) -> bool:
    """Remove a directory with all that is in it, links not followed; return whether nothing is left."""
    # What was removed is what is looked at, not what `rmtree` says: a dying process may still write.
    shutil.rmtree(place, ignore_errors=True)
    if os.path.lexists(place):
        _open_up(place)
        shutil.rmtree(place, ignore_errors=True)
    if os.path.lexists(place):
        log.warning("could not remove all", place=place.name)
        return False
    return True


def put_beside(bundle: Path, place: Path) -> bool:
    """Give a finished bundle a second name in the depot's folder, which needs no room; return whether that could be done.

    Only where the folder is this user's own: then the depot may take the file over, and could as well have been written to without this.
    """
    try:
        if place.parent.stat().st_uid != os.geteuid():
            return False
        bundle.chmod(0o600)
        place.hardlink_to(bundle)
    except OSError:
        # Another file system, another machine's folder, or a part of it is there already: it is sent.
        return False
    return True


def take_back(bundle: Path, place: Path) -> None:
    """Remove the second name of a bundle, where `place` is that, and nothing else."""
    with contextlib.suppress(OSError):
        if place.samefile(bundle):
            place.unlink()


def _open_up(place: Path) -> None:
    """Give this user back the right to empty directories that were made read-only."""
    if place.is_symlink():
        place.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(place):
        with contextlib.suppress(OSError):
            Path(folder).chmod(stat.S_IRWXU)


def _take_lock(path: Path) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(lock).st_ino == path.stat().st_ino:
                return lock
        # Somebody took it for a dead worker's between the two calls, and removed it.
        os.close(lock)


def _take_lock_of_the_dead(path: Path) -> int | None:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
