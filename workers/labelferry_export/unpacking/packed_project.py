"""A packed project, from the zip to the folder in which a source recognises it."""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from labelferry_export import costs
from labelferry_export.errors import ExportError
from labelferry_export.names import safe_name
from labelferry_export.paths import open_plain
from labelferry_export.sources import ARCHIVES, all_looked_for, find_source, readers_of, why_not
from labelferry_export.sources.folder_files import IMAGE_SUFFIXES
from labelferry_export.unpacking.directory import SIGNATURE, entries_of, opened, refuse
from labelferry_export.unpacking.unpack import Unpacked, check_room, unpack

SUFFIX = ".zip"


class PackedProject:
    """An open zip whose directory is checked. `files`, and `size`, the bytes of all of them unpacked, are as it says."""

    def __init__(self, archive: ZipFile, path: Path) -> None:
        self._archive = archive
        self._path = path
        self._entries = entries_of(archive, path)
        self.files = len(self._entries)
        self.size = sum(entry.info.file_size for entry in self._entries)

    @property
    def taken_for(self) -> costs.Totals:
        """What the project in it is taken for until it is read: of typical images, but as many as there are files called so."""
        suffixes = (PurePosixPath(entry.parts[-1]).suffix.lower() for entry in self._entries)
        images = max(sum(suffix in IMAGE_SUFFIXES for suffix in suffixes), 1)
        typical, megabytes = costs.TYPICAL, self.size / 1e6
        megapixels = typical.megapixels * megabytes / typical.megabytes
        return costs.Totals(images, typical.objects * images // typical.images, megapixels, megabytes, megapixels)

    def folder_in(self, place: Path) -> Path:
        """Return the folder below `place` that it is unpacked to: called as the zip is, for sources call a project by its folder."""
        return place / safe_name(self._path.stem, "")

    def unpack(self, place: Path) -> Generator[Unpacked, None, None]:
        """Unpack all below `place`, in steps of some milliseconds; raise `ExportError`, and `OSError` where it cannot be written."""
        check_room(self.size, self._path, place)
        yield from unpack(self._archive, self._entries, self._path, self.folder_in(place))


@contextmanager
def opened_project(path: Path) -> Iterator[PackedProject]:
    """Open the zip at a resolved path; raise `ExportError(SOURCE)` when it is not to be unpacked."""
    with opened(path) as archive:
        yield PackedProject(archive, path)


def is_packed(path: Path, wanted: str | None = None) -> bool:
    """Whether a project at a resolved path is to be unpacked: a zip, by its name or first bytes, that no source reads as it is."""
    if not path.is_file() or (path.suffix.lower() != SUFFIX and not _begins_as_zip(path)):
        return False
    return not readers_of(path, wanted)


def find_project(folder: Path, path: Path, wanted: str | None = None) -> Path:
    """Return the folder that is the project: the unpacked one, or what lies in its one top folder.

    Raise `ExportError(SOURCE)` when none is, which names the zip at `path` and what is in it.
    """
    levels = [folder.resolve()]
    while (only := _only_folder(levels[-1])) is not None:
        levels.append(only)
    for level in reversed(levels):
        if readers_of(level, wanted):
            return level
    if wanted is None:
        raise _no_project(levels[-1], path)
    source = find_source(wanted)
    raise refuse(path, f"holds no project of the form {source.title}: looked for {source.looks_for}")


def _no_project(folder: Path, path: Path) -> ExportError:
    suffixes = {PurePosixPath(name).suffix.lower() for _, _, names in os.walk(folder) for name in names}
    if suffixes == {".roi"}:
        why = "is a set of ImageJ ROIs and no project: lay it beside its image (a.png, a_RoiSet.zip), and export the folder"
    elif suffixes & ARCHIVES:
        why = "holds archives, which are not unpacked, and nothing else that can be read: unpack it yourself"
    elif (known := why_not(folder)) is not None:
        why = known
    else:
        why = f"holds no project that can be read; looked for {all_looked_for()}"
    return refuse(path, why)


def _only_folder(folder: Path) -> Path | None:
    """Return the folder that is alone in another; None where there is more, or a file."""
    with os.scandir(folder) as entries:
        found = [entry for _, entry in zip(range(2), entries, strict=False)]
    return Path(found[0].path) if len(found) == 1 and found[0].is_dir(follow_symlinks=False) else None


def _begins_as_zip(path: Path) -> bool:
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False
