"""The directory of a zip with a project, checked before anything is unpacked: names, kinds, sizes, and how much all of it is.

A zip is taken as a whole or not at all: one name that leads out, or one entry too many, is the end of it, in one sentence.
"""

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import error as StructError  # noqa: N812 - an exception's name

from labelferry_export.errors import ExportError
from labelferry_export.paths import DRIVE, open_plain
from labelferry_protocol.errors import Code

MOST_ENTRIES = 400_000
MAX_DIRECTORY_BYTES = 48 << 20
"""Of a zip's list of its entries, which is held in memory."""
MAX_BYTES = 256 << 30
"""Of all files together, unpacked."""
MAX_RATIO = 200
"""So many times its own size a zip may unpack to; counted from `RATIO_BYTES` on, for small things of one colour pack better."""
RATIO_BYTES = 1 << 30
MAX_DEPTH = 32
MAX_NAME = 1024
SIGNATURE = b"PK\x03\x04"
_METHODS = frozenset([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UNIX = frozenset([3, 19])
"""Systems that write the kind of a file into a zip."""
_LITTER = frozenset([".ds_store", "thumbs.db", "desktop.ini"])
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    StructError,
    LookupError,
    OverflowError,
)
"""What `zipfile` raises of a zip that is damaged."""


@dataclass(frozen=True)
class PackedEntry:
    """A file in a zip, and the folders and the name that it is unpacked to."""

    info: zipfile.ZipInfo
    parts: tuple[str, ...]


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the zip at a resolved path; raise `ExportError(SOURCE)` for one that is none, is damaged, or is too large to list."""
    try:
        file = _Limited(open_plain(path))
    except OSError as error:
        raise refuse(path, f"cannot be opened: {error.strerror or error}") from None
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except _TooLarge:
            raise refuse(path, f"says it has a directory of more than {MAX_DIRECTORY_BYTES >> 20} MB") from None
        except (*BROKEN, OSError) as error:
            raise damaged(path, error) from None
        with archive:
            yield archive


def entries_of(archive: zipfile.ZipFile, path: Path) -> list[PackedEntry]:
    """Return the files that are to be unpacked; raise `ExportError(SOURCE)` when one of them must not be, or they are too many."""
    if len(archive.infolist()) > MOST_ENTRIES:
        raise refuse(path, f"has more than {MOST_ENTRIES:,} entries: export it in parts")
    found: list[PackedEntry] = []
    for info in archive.infolist():
        parts = _parts(info, path)
        if parts and not info.is_dir() and not info.filename.endswith("\\") and not _is_litter(parts):
            _check(info, path)
            found.append(PackedEntry(info, parts))
    _check_places(found, path)
    _check_sizes(found, path)
    if not found:
        raise refuse(path, "holds no files")
    return found


def refuse(path: Path, why: str) -> ExportError:
    """Return the error that says why a zip is not taken."""
    return ExportError(Code.SOURCE, f"{path.name} {why}", path.name)


def damaged(path: Path, error: Exception, name: str | None = None) -> ExportError:
    """Return the error for a zip that cannot be read to its end; `name` is the file in it at which that was seen."""
    where = f" at {_shown(name)}" if name else ""
    return refuse(
        path, f"is damaged{where}, or did not arrive whole ({str(error) or type(error).__name__}): fetch it again"
    )


class _TooLarge(Exception):
    """More was to be read at once than a zip's directory may have."""


class _Limited(io.FileIO):
    """A file of which nobody reads more at once than a directory may have, whatever the zip says of its directory's size."""

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = os.fstat(self.fileno()).st_size - self.tell() if size is None or size < 0 else size
        if wanted > MAX_DIRECTORY_BYTES:
            raise _TooLarge
        return super().read(wanted) or b""


def _parts(info: zipfile.ZipInfo, path: Path) -> tuple[str, ...]:
    """Return the folders and the name of an entry; backslashes, which some programs write, separate folders too."""
    if "\0" in info.orig_filename or "\0" in info.filename:
        raise refuse(path, f"names a file with a NUL in it: {_shown(info.filename)}")
    name = info.filename.replace("\\", "/")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or DRIVE.match(name) or ".." in parts:
        raise refuse(path, f"names a file outside of it: {_shown(info.filename)}")
    if len(parts) > MAX_DEPTH or len(name) > MAX_NAME:
        raise refuse(path, f"has folders too deep inside one another: {_shown(info.filename)}")
    return parts


def _check(info: zipfile.ZipInfo, path: Path) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system in _UNIX else 0
    if kind == stat.S_IFLNK:
        raise refuse(path, f"holds a symbolic link, which is not followed: {_shown(info.filename)}")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise refuse(path, f"holds something that is no plain file: {_shown(info.filename)}")
    if info.flag_bits & _ENCRYPTED:
        raise refuse(path, "is encrypted: unpack it with its password, and export the folder that comes out of it")
    if info.compress_type not in _METHODS:
        raise refuse(path, f"is packed by a method that is not known ({info.compress_type}): pack it as a plain zip")


def _check_places(entries: list[PackedEntry], path: Path) -> None:
    """Raise where two entries would lie at one place, or there would be more folders than entries may be."""
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for entry in entries:
        if entry.parts in files:
            raise refuse(path, f"holds two files of one name: {_shown(entry.info.filename)}")
        files.add(entry.parts)
        depth = len(entry.parts) - 1
        while depth and entry.parts[:depth] not in folders:
            folders.add(entry.parts[:depth])
            depth -= 1
    if len(folders) > MOST_ENTRIES:
        raise refuse(path, f"has more than {MOST_ENTRIES:,} folders: export it in parts")
    if both := files & folders:
        raise refuse(path, f"holds a file and a folder of one name: {_shown('/'.join(min(both)))}")


def _check_sizes(entries: list[PackedEntry], path: Path) -> None:
    """Raise where too much would come out; a zip's reader gives no more of an entry than is said here."""
    total = sum(entry.info.file_size for entry in entries)
    if total > MAX_BYTES:
        raise refuse(path, f"unpacks to {total / 1e9:,.0f} GB, more than {MAX_BYTES / 1e9:,.0f}: export it in parts")
    size = path.stat().st_size
    if total > RATIO_BYTES and total > MAX_RATIO * size:
        raise refuse(path, f"unpacks to {total / max(size, 1):,.0f} times its size, which no project does")


def _is_litter(parts: tuple[str, ...]) -> bool:
    """Whether a file is what a desktop left in a folder, and no part of the project."""
    return parts[0] == "__MACOSX" or parts[-1].lower() in _LITTER


def _shown(name: str) -> str:
    return repr(name if len(name) <= 120 else f"{name[:120]}...")
