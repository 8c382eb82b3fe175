"""Sources: readers of one project form each. This module is their registry: our own, and those of other packages.

Another package adds a source with an entry point of the group `labelferry.sources` that names an object (or a class without
arguments) like `labelferry_export.source.Source`.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from labelferry_export.errors import ExportError
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
GROUP = "labelferry.sources"
LOSSLESS, LOSSLESS_PLACE = "labelferry", "annotations/json/annotations.json"


def source_names() -> tuple[str, ...]:
    """Return the names of all sources, our own first."""
    others = {entry.name for entry in entry_points(group=GROUP)} - set(BUILT_IN)
    return (*BUILT_IN, *sorted(others))


@cache
def find_source(name: str) -> Source:
    """Return the source with this name; raise `ExportError(USAGE)` naming the known ones when there is none, or it does not load."""
    if name in BUILT_IN:
        return cast("Source", import_module(BUILT_IN[name]).SOURCE)
    for entry in entry_points(group=GROUP, name=name):
        try:
            loaded = entry.load()
            return cast("Source", loaded() if isinstance(loaded, type) else loaded)
        except Exception as error:  # noqa: BLE001 - another package's code
            message = f"the source format {name!r} of the package {entry.value.split('.')[0]!r} does not load: {error}"
            raise ExportError(Code.USAGE, message, name) from None
    raise ExportError(Code.USAGE, f"there is no source format {name!r}; known are {listed(source_names())}", name)


def recognise(path: Path, wanted: str | None = None) -> Source:
    """Return the source that reads the project at `path`: the one that is wanted, else the only one that recognises it."""
    if wanted is not None:
        source = find_source(wanted)
        if not source.recognises(path):
            raise ExportError(
                Code.SOURCE,
                f"{path.name} is not a project of the form {source.title}: looked for {source.looks_for}",
                path.name,
            )
        return source
    sources = [source for source in _loadable() if source.recognises(path)]
    if (path / LOSSLESS_PLACE).is_file():
        # An unzipped bundle holds one project in many forms; this one says all of it.
        sources = [source for source in sources if source.name == LOSSLESS] or sources
    if len(sources) > 1:
        names = listed([source.name for source in sources])
        raise ExportError(Code.USAGE, f"{path.name} can be read as {names}: say which with --source-format", path.name)
    if not sources:
        looked = "; ".join(f"{source.title}: {source.looks_for}" for source in _loadable())
        raise ExportError(Code.SOURCE, f"{path.name} is not a project that can be read; looked for {looked}", path.name)
    return sources[0]


def _loadable() -> list[Source]:
    """Return all sources but those of other packages that do not load: they must not keep people from the rest."""
    found = []
    for name in source_names():
        try:
            found.append(find_source(name))
        except ExportError:
            continue
    return found
