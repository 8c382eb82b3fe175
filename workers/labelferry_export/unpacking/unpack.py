"""Unpacks the files of a checked zip below a folder, block by block, so that it can be stopped at any time."""

import errno
import os
import shutil
import zipfile
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.unpacking.directory import BROKEN, PackedEntry, damaged, refuse
from labelferry_protocol.errors import Code

BLOCK_BYTES = 1 << 20
RESERVE_BYTES = 64 << 20
"""What must be free besides, for what the export makes."""


@dataclass(frozen=True)
class Unpacked:
    """A piece of unpacking that was done: so many bytes of a file, and whether that was the rest of it."""

    name: str
    size: int
    whole: bool


def check_room(size: int, path: Path, folder: Path) -> None:
    """Raise `ExportError(DISK_FULL)` when so many bytes, which the zip at `path` unpacks to, have no room beside `folder`."""
    free = shutil.disk_usage(folder.parent).free
    if size + RESERVE_BYTES > free:
        raise ExportError(
            Code.DISK_FULL,
            f"{path.name} unpacks to {size / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free where the worker keeps its files",
            path.name,
        )


def unpack(
    archive: zipfile.ZipFile, entries: Sequence[PackedEntry], path: Path, folder: Path
) -> Generator[Unpacked, None, None]:
    """Unpack the entries of the zip at `path` below `folder`, which is made; raise `ExportError(SOURCE)` for a damaged one."""
    folder.mkdir(mode=0o700, parents=True)
    made = {folder}
    for entry in entries:
        target = folder.joinpath(*entry.parts)
        try:
            if target.parent not in made:
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                made.add(target.parent)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except (FileExistsError, NotADirectoryError):
            raise refuse(path, f"holds two files of one name: {entry.info.filename[:120]!r}") from None
        except (UnicodeError, ValueError):
            raise refuse(path, f"names a file as none can be called here: {entry.info.filename[:120]!r}") from None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise refuse(path, f"names a file longer than any may be here: {entry.info.filename[:120]!r}") from None
        yield from _copied(archive, entry, path, descriptor)


def _copied(
    archive: zipfile.ZipFile, entry: PackedEntry, path: Path, descriptor: int
) -> Generator[Unpacked, None, None]:
    name = entry.parts[-1]
    with os.fdopen(descriptor, "wb", buffering=0) as file, closing(_blocks(archive, entry, path)) as blocks:
        for block in blocks:
            file.write(block)
            yield Unpacked(name, len(block), whole=False)
    yield Unpacked(name, 0, whole=True)


def _blocks(archive: zipfile.ZipFile, entry: PackedEntry, path: Path) -> Generator[bytes, None, None]:
    try:
        with archive.open(entry.info) as packed:
            while block := packed.read(BLOCK_BYTES):
                yield block
    except (*BROKEN, OSError) as error:
        raise damaged(path, error, entry.info.filename) from None
