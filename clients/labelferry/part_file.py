"""A bundle on its way to its place: `.NAME.part` and a note beside it, so that a download goes on after a cut or in a new process.

Kept: when the connection is lost or the process dies. Removed: when the bundle is in its place, when the download is cancelled,
when the disk fails or is full, and when what came is not what was published. One process at a time writes it (a lock on it).
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from labelferry.behind import Behind
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import BundleFacts

_READ_BYTES = 8 * 1024 * 1024
_LONGEST_NAME = 240
"""Bytes of a target's name that leave room for what is put around it."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a part file: which bundle's beginning it is."""

    job_id: str
    transfer_id: str
    sha256: str
    size: int


def check_target(target: Path, *, overwrite: bool) -> Path:
    """Return `target` as an absolute path; raise `Refusal(OUTPUT)` when a bundle cannot be put there, `Refusal(USAGE)` on a device or a pipe.

    Looks at paths with `os.path`, which takes one that is too long, may not be looked at or begins in nobody's home for one that is not there.
    """
    target = Path(os.path.abspath(os.path.expanduser(target)))  # noqa: PTH100, PTH111 - resolve() would follow a link at the target
    folder = target.parent
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise Refusal(Code.OUTPUT, f"the name {target.name[:32]!r}... is too long for a file: choose a shorter one")
    if os.path.isdir(target):  # noqa: PTH112
        raise Refusal(Code.OUTPUT, f"{target} is a directory: name a file in it")
    if os.path.exists(target) and not os.path.isfile(target):  # noqa: PTH110, PTH113
        raise Refusal(Code.USAGE, f"{target} is no file but a device or a pipe: name a file")
    if not overwrite and os.path.lexists(target):
        raise Refusal(
            Code.OUTPUT,
            f"{target} exists already: choose another name, or allow writing over it (--force, overwrite=True)",
        )
    if not os.path.isdir(folder):  # noqa: PTH112
        raise Refusal(Code.OUTPUT, f"there is no directory {folder}: make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refusal(Code.OUTPUT, f"{folder} is not writable: choose another directory")
    return target


class PartFile:
    """The part file of one target, locked. `received` bytes of the bundle are in it."""

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        self.target = check_target(target, overwrite=overwrite)
        self.received = 0
        self._overwrite = overwrite
        self._path = self.target.with_name(f".{self.target.name}.part")
        self._note_path = self.target.with_name(f".{self.target.name}.part.json")
        self._behind = Behind()
        self._file = self._open_locked()
        self.note = self._read_note()

    def prepare(self, note: Note) -> None:
        """Keep what is here if it is the beginning of this bundle, else begin anew; raise `Refusal(DISK_FULL)` when the rest has no room."""
        old = self.note
        with self._explained():
            length = os.fstat(self._file).st_size
            same = old is not None and (old.job_id, old.sha256, old.size) == (note.job_id, note.sha256, note.size)
            if not same or length > note.size:
                os.ftruncate(self._file, 0)
            self._digest_what_is_here()
            self._note_path.write_bytes(msgspec.json.encode(note))
            free = shutil.disk_usage(self.target.parent).free
        self.note = note
        if free < note.size - self.received:
            raise Refusal(
                Code.DISK_FULL,
                f"{self.target.parent} has {_megabytes(free)} free and the bundle needs {_megabytes(note.size - self.received)}: make room, or choose another place",
            )

    def write(self, piece: bytes) -> None:
        """Add the next bytes."""
        view = memoryview(piece)
        with self._explained():
            while view:
                view = view[os.write(self._file, view) :]
            self._behind.add(piece, self._file)
        self.received += len(piece)

    def is_right(self, bundle: BundleFacts) -> bool:
        """Whether all of the bundle is here, byte for byte."""
        return self.received == bundle.size and self._behind.hexdigest() == bundle.sha256

    def restart(self) -> None:
        """Throw away what is here and begin at the first byte."""
        with self._explained():
            os.ftruncate(self._file, 0)
            self._digest_what_is_here()

    def put_in_place(self) -> Path:
        """Bring it to the disk and to its name, at once or not at all; return the target."""
        with self._explained():
            self._behind.settle()
            os.fsync(self._file)
            self._note_path.unlink(missing_ok=True)  # first: nobody would remove it afterwards
            if self._overwrite:
                self._path.replace(self.target)
            else:
                self._move_without_overwriting()
            _sync_folder(self.target.parent)
        self.close()
        return self.target

    def discard(self) -> bool:
        """Remove it; return whether nothing is left."""
        if self._file < 0:
            return True
        try:
            self._note_path.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)
        except OSError:
            return False
        finally:
            self.close()
        return True

    def close(self) -> None:
        """Leave it as it is, for the next time; an empty one is removed. May be called again."""
        if self._file < 0:
            return
        self._behind.close()
        if self.received == 0 and os.fstat(self._file).st_size == 0:
            self._path.unlink(missing_ok=True)
            self._note_path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1

    def _open_locked(self) -> int:
        while True:
            with self._explained():
                handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                with self._explained():
                    self._lock(handle)
                    if self._may_be_written(handle):
                        return handle
            except Refusal:
                os.close(handle)
                raise
            os.close(handle)

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(
                Code.OUTPUT, f"another download is writing {self.target}: wait for it, or choose another name"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP):  # a file system without locks
                raise

    def _may_be_written(self, handle: int) -> bool:
        """Whether the part file is this one, and has no other name; one that has another is a finished bundle, and loses this name."""
        try:
            there = self._path.lstat()
        except FileNotFoundError:  # whoever held the lock has just put it in its place
            return False
        if not os.path.samestat(os.fstat(handle), there):
            return False
        if there.st_nlink > 1:  # whoever gave it its name died before it took this one away
            self._path.unlink(missing_ok=True)
            return False
        return True

    def _read_note(self) -> Note | None:
        try:
            return msgspec.json.decode(self._note_path.read_bytes(), type=Note)
        except (OSError, msgspec.DecodeError):
            return None

    def _digest_what_is_here(self) -> None:
        self._behind.close()
        self._behind = Behind()
        self.received = 0
        os.lseek(self._file, 0, os.SEEK_SET)
        while piece := os.read(self._file, _READ_BYTES):
            self._behind.add(piece, self._file)
            self.received += len(piece)

    def _move_without_overwriting(self) -> None:
        try:
            os.link(self._path, self.target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if self.target.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            self._path.replace(self.target)
        else:
            self._path.unlink()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: OSError) -> Refusal:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Refusal(
                Code.DISK_FULL, f"no room is left to write {self.target}: make room, or choose another place"
            )
        if error.errno == errno.EEXIST:
            return Refusal(
                Code.OUTPUT,
                f"{self.target} exists already: choose another name, or allow writing over it (--force, overwrite=True)",
            )
        return Refusal(Code.OUTPUT, f"cannot write {self.target}: {error.strerror}")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
