"""The files of a project's folder: which there are, their bytes up to a limit, images found by their stem. No form is known here."""

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from labelferry_export.errors import ExportError
from labelferry_export.paths import inside, open_plain
from labelferry_export.reading.json_cursor import Cursor, Element
from labelferry_protocol.errors import Code

IMAGE_SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".mpo",
        ".tif",
        ".tiff",
        ".bmp",
        ".dib",
        ".webp",
        ".gif",
        ".jp2",
        ".j2k",
        ".pgm",
        ".ppm",
        ".pnm",
        ".avif",
    ]
)
DEEPEST = 8
"""Folders inside one another that are looked into."""
MAX_FILE_BYTES = 256 << 20
"""A larger annotation file of one image is refused: it is held in memory as a whole."""
_NOT_OURS = ("._",)
"""How the files begin that macOS leaves beside others in archives."""


def files_below(root: Path, folder: str, suffixes: Collection[str], deepest: int = DEEPEST) -> Iterator[str]:
    """Yield the files below `folder` (relative to `root`, empty or with a slash at its end), by name, folders after files.

    The names are relative to `root`, with forward slashes. Links to folders are not followed. Raise `ExportError` when a
    folder cannot be listed; one that does not exist holds nothing.
    """
    try:
        with os.scandir(root / folder) as entries:
            found = sorted((entry for entry in entries), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        message = f"the folder {folder or '.'!r} of the project cannot be listed: {error}"
        raise ExportError(Code.SOURCE, message, folder) from None
    for entry in found:
        wanted = os.path.splitext(entry.name)[1].lower() in suffixes  # noqa: PTH122 - of 100,000 names
        if wanted and not entry.name.startswith(_NOT_OURS) and not _is_folder(entry):
            yield f"{folder}{entry.name}"
    for entry in found if deepest > 1 else ():
        if _is_folder(entry) and entry.name != "__MACOSX":
            yield from files_below(root, f"{folder}{entry.name}/", suffixes, deepest - 1)


def read_bytes(root: Path, name: str, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a file inside `root`; raise `ExportError` when it leads out, cannot be read, or has more than `limit`."""
    data = read_start(root, name, limit + 1)
    if len(data) > limit:
        raise ExportError(Code.SOURCE, f"{name} has more than {limit >> 20} MB, which no such file needs", name)
    return data


def read_start(root: Path, name: str, count: int) -> bytes:
    """Return the first `count` bytes of a file inside `root`; raise `ExportError` when it leads out or cannot be read."""
    try:
        with os.fdopen(open_plain(inside(root, name)), "rb") as file:
            return file.read(count)
    except OSError as error:
        raise ExportError(Code.SOURCE, f"{name} cannot be opened: {error.strerror or error}", name) from None


def read_json(root: Path, name: str) -> Element:
    """Return the one json value that a file inside `root` is, not decoded yet; raise `ExportError` as a sentence."""
    path = inside(root, name)
    try:
        descriptor = open_plain(path)
    except OSError as error:
        raise ExportError(Code.SOURCE, f"{name} cannot be opened: {error.strerror or error}", name) from None
    try:
        cursor = Cursor(descriptor, 0, name)
        cursor.skip_byte_order_mark()
        return cursor.take()
    finally:
        os.close(descriptor)


def first_byte(root: Path, name: str) -> tuple[int, bytes]:
    """Return where in a json file inside `root` its value begins, and with which byte: empty for an empty file."""
    try:
        descriptor = open_plain(inside(root, name))
    except OSError as error:
        raise ExportError(Code.SOURCE, f"{name} cannot be opened: {error.strerror or error}", name) from None
    try:
        cursor = Cursor(descriptor, 0, name)
        cursor.skip_byte_order_mark()
        byte = cursor.peek()
        return cursor.offset, byte
    finally:
        os.close(descriptor)


class ImageFiles:
    """The image files of a project, found by name or by stem: those below `folders`, then those right in one of `beside`."""

    def __init__(self, root: Path, folders: Sequence[str], beside: Sequence[str] = ()) -> None:
        self._by_stem: dict[str, list[str]] = {}
        self._folder: dict[str, str] = {}
        for folder, deepest in (*((each, DEEPEST) for each in folders), *((each, 1) for each in beside)):
            for name in files_below(root, folder, IMAGE_SUFFIXES, deepest):
                if name not in self._folder:
                    self._folder[name] = folder
                    self._remember(name.removeprefix(folder), name)

    def __iter__(self) -> Iterator[str]:
        """Yield the names, relative to the project's root."""
        return iter(self._folder)

    def find(self, name: str) -> list[str]:
        """Return the images that `name` means: by its path below their folder, else by its last part; with suffix or without.

        Where several folders have one, those of the first folder count.
        """
        base = PurePosixPath(name).name
        for each in (name, os.path.splitext(name)[0], base, os.path.splitext(base)[0]):  # noqa: PTH122
            if found := self._by_stem.get(each):
                first = self._folder[found[0]]
                return [each for each in found if self._folder[each] == first]
        return []

    def shown(self, name: str) -> str:
        """Return what an image is called in the project: its path below the folder of images it lies in."""
        return name.removeprefix(self._folder.get(name, ""))

    def _remember(self, below: str, name: str) -> None:
        base = PurePosixPath(below).name
        for key in dict.fromkeys((below, os.path.splitext(below)[0], base, os.path.splitext(base)[0])):  # noqa: PTH122
            self._by_stem.setdefault(key, []).append(name)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
