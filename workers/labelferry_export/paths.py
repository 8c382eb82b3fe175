"""Files of a project, named by hostile input: nothing outside the project's folder is ever opened, nor anything that is no plain file."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_protocol.errors import Code

_PLAIN = re.compile(r"(?:(?!\.\.?(?:/|\Z))[^\\/:\0]+/)*(?!\.\.?\Z)[^\\/:\0]+")
"""Names of folders and of a file that mean the same everywhere."""
DRIVE = re.compile(r"[A-Za-z]:[\\/]|[\\/]{2}")
"""How absolute paths of Windows begin; `a:b.png` alone is a name, as microscopes give them."""


def inside(root: Path, name: str) -> Path:
    """Return the resolved path of the file `name` below `root` (itself resolved), whether it exists or not.

    Raise `ExportError(SOURCE)` when the name leaves `root` (absolute, a drive and a slash, `..`, a symbolic link that leads out) or
    names something else than a plain file. Backslashes separate folders only where a file exists so.
    """
    _check_words(name)
    found = _resolve(root, name)
    if "\\" in name and not found.exists():
        with_slashes = name.replace("\\", "/")
        _check_words(with_slashes)
        other = _resolve(root, with_slashes)
        found = other if other.exists() else found
    return found


def find(root: Path, name: str, folders: Sequence[str] = ("",)) -> Path | None:
    """Return the file `name` below the first of `folders` (below `root`, each empty or with a slash at its end) that has it.

    `None` when none has. Raises as `inside` does.
    """
    _check_words(name)
    for folder in folders:
        path = inside(root, folder + name)
        if path.exists():
            return path
    return None


FOLDERS_KEPT = 1000


class Finder:
    """Finds the files of one project, as `find` does. What each folder resolves to is looked up once, not for every file in it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, str | None] = {}

    def find(self, name: str, folders: Sequence[str] = ("",)) -> Path | None:
        """Return the file `name` below the first of `folders` that has it, None when none has. Raises as `inside` does."""
        for folder in folders:
            whole = folder + name
            place, _, base = whole.rpartition("/")
            resolved = self._resolved(place) if _PLAIN.fullmatch(whole) else None
            if resolved is None:
                break
            try:
                if stat.S_ISREG(os.lstat(path := resolved + base).st_mode):
                    return Path(path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError):
                break
            break
        else:
            return None
        return find(self._root, name, folders)

    def _resolved(self, folder: str) -> str | None:
        """Return the folder below the root that `folder` is, links followed, with a slash at its end; None when it is none."""
        if folder not in self._folders:
            if len(self._folders) >= FOLDERS_KEPT:
                self._folders.clear()
            try:
                path = (self._root / folder).resolve(strict=True)
                fits = path.is_relative_to(self._root) and path.is_dir()
            except (OSError, ValueError, RuntimeError):
                fits = False
            self._folders[folder] = f"{str(path).rstrip('/')}/" if fits else None
        return self._folders[folder]


def open_plain(path: Path) -> int:
    """Open a resolved path for reading and return the descriptor; raise `OSError` when it became a link or is no plain file."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is not a plain file")
    return descriptor


def check_access(path: Path, roots: Sequence[Path], what: str = "project") -> Path:
    """Return the path of a project (or of `what`), resolved; raise `ExportError` when it does not exist, or lies below none of `roots`."""
    try:
        resolved = path.resolve()
        allowed = any(resolved.is_relative_to(root.resolve()) for root in roots)
        exists = allowed and resolved.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise ExportError(Code.SOURCE, f"{path}: {_reason(error)}", path.name) from None
    if not allowed:
        raise ExportError(
            Code.ACCESS,
            f"{path} lies outside the folders that this worker may read: put the {what} below one of its roots, "
            "or start the worker with --root",
            path.name,
        )
    if not exists:
        raise ExportError(Code.SOURCE, f"{path} does not exist: check the path of the {what}", path.name)
    return resolved


def _check_words(name: str) -> None:
    if not name or "\0" in name:
        raise _refuse(name, "is no file name")
    if name.startswith(("/", "\\")) or DRIVE.match(name):
        raise _refuse(name, "is an absolute path; names are relative to the project's folder")
    if ".." in re.split(r"[\\/]", name):
        raise _refuse(name, "leads out of the project's folder")


def _resolve(root: Path, name: str) -> Path:
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise _refuse(name, "is a symbolic link that leads out of the project's folder")
        if path.exists() and not path.is_file():
            raise _refuse(name, "is not a plain file")
    except (OSError, ValueError, RuntimeError) as error:
        raise _refuse(name, f"cannot be looked up: {_reason(error)}") from None
    return path


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _refuse(name: str, why: str) -> ExportError:
    shown = name if len(name) <= 120 else f"{name[:120]}..."
    return ExportError(Code.SOURCE, f"the file name {shown!r} {why}", shown)
