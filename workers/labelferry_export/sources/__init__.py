"""Sources: readers of one project form each. This module is their registry: our own, and those of other packages.

Another package adds a source with an entry point of the group `labelferry.sources` that names an object (or a class without
arguments) like `labelferry_export.source.Source`.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import cast

from labelferry_export.errors import ExportError
from labelferry_export.plugins import Brought, Origin, brought
from labelferry_export.selection import listed
from labelferry_export.source import Source
from labelferry_protocol.errors import Code

BUILT_IN: dict[str, str] = {
    "coco": "labelferry_export.sources.coco",
    "labelferry": "labelferry_export.sources.labelferry_json",
    "cvat": "labelferry_export.sources.cvat",
    "geojson": "labelferry_export.sources.geojson",
    "imagej": "labelferry_export.sources.imagej",
    "labelme": "labelferry_export.sources.labelme",
    "masks": "labelferry_export.sources.masks",
    "voc": "labelferry_export.sources.voc",
    "yolo": "labelferry_export.sources.yolo",
}
"""Our own sources: the word users type, and the module, whose `SOURCE` it is."""
GROUP, NOUN = "labelferry.sources", "source format"
ARCHIVES = frozenset([".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"])
"""Suffixes of files that a project may be packed in."""
LOSSLESS, LOSSLESS_PLACE = "labelferry", "annotations/json/annotations.json"


def source_names() -> tuple[str, ...]:
    """Return the names of all sources that can be used, our own first."""
    return (*BUILT_IN, *others().things)


def find_source(name: str) -> Source:
    """Return the source with this name; raise `ExportError(USAGE)` naming the known ones when there is none, or it cannot be used."""
    if name in BUILT_IN:
        return cast("Source", import_module(BUILT_IN[name]).SOURCE)
    return others().find(name, f"there is no source format {name!r}; known are {listed(source_names())}")


def origin(name: str) -> Origin | None:
    """Return the package that brings the source of this name; None where it is ours."""
    return None if name in BUILT_IN else others().origins.get(name)


@cache
def others() -> Brought[Source]:
    """Return the sources of other packages."""
    return brought(GROUP, NOUN, _shaped, frozenset(BUILT_IN))


def _shaped(found: object) -> Source:
    source = found() if isinstance(found, type) else found
    for key in ("name", "title", "looks_for"):
        if not isinstance(getattr(source, key, None), str):
            raise TypeError(f"it has no text {key!r}, as labelferry_export.source.Source has")
    for key in ("recognises", "read"):
        if not callable(getattr(source, key, None)):
            raise TypeError(f"it has no method {key!r}, as labelferry_export.source.Source has")
    return cast("Source", source)


def recognise(path: Path, wanted: str | None = None) -> Source:
    """Return the source that reads the project at `path`: the one that is wanted, else the only one that recognises it."""
    sources = readers_of(path, wanted)
    if len(sources) > 1:
        names = listed([source.name for source in sources])
        raise ExportError(Code.USAGE, f"{path.name} can be read as {names}: say which with --source-format", path.name)
    if not sources:
        raise _unrecognised(path, wanted)
    return sources[0]


def readers_of(path: Path, wanted: str | None = None) -> list[Source]:
    """Return the sources that recognise the project at `path`; none but the one that is wanted, if one is."""
    names = source_names() if wanted is None else [wanted]
    sources = [source for source in map(find_source, names) if _recognises(source, path)]
    if (path / LOSSLESS_PLACE).is_file():
        # An unzipped bundle holds one project in many forms; this one says all of it.
        return [source for source in sources if source.name == LOSSLESS] or sources
    return sources


def _unrecognised(path: Path, wanted: str | None) -> ExportError:
    if wanted is not None:
        source = find_source(wanted)
        why = f"is not a project of the form {source.title}: looked for {source.looks_for}"
    elif path.suffix.lower() in ARCHIVES and path.is_file():
        why = "is an archive: unpack it, and export the folder that comes out of it; only zips are unpacked here"
    else:
        why = why_not(path) or f"is not a project that can be read; looked for {all_looked_for()}"
    return ExportError(Code.SOURCE, f"{path.name} {why}", path.name)


def why_not(path: Path) -> str | None:
    """Return what a source of ours knows of a folder or file that is no project of its form, as the rest of a sentence about it."""
    asked = (getattr(find_source(name), "why_not", None) for name in BUILT_IN)
    return next((why for each in asked if each is not None and (why := each(path)) is not None), None)


def all_looked_for() -> str:
    """Return in words by what each source recognises a project."""
    return "; ".join(f"{each.title}: {each.looks_for}" for each in map(find_source, source_names()))


def _recognises(source: Source, path: Path) -> bool:
    """Ask a source; one of another package that fails, though it must not, does not keep people from the rest."""
    try:
        return source.recognises(path)
    except Exception:
        if source.name in BUILT_IN:
            raise
        return False
