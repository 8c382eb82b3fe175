"""Where the annotation files of a COCO project lie, and its images. What is in the files is `coco`'s to read."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.reading.json_stream import first_keys
from labelferry_export.sources.folder_files import read_start
from labelferry_export.sources.labelferry_form import MARK

CONTENTS = ("images", "annotations")
ARRAYS = ("categories", *CONTENTS)
PREFIX = "instances_"
SNIFF_BYTES = 1 << 16
_LIST_OF_OBJECTS = re.compile(rb"\[\s*\{")
MOST_OTHERS = 32
"""Of the json files that happen to lie in a folder, how many are looked into."""


@dataclass(frozen=True)
class CocoFile:
    """One annotation file of a project. `subset` is what its name, or its folder's, says."""

    path: Path
    subset: str | None = None


@dataclass(frozen=True)
class CocoLayout:
    """A project: the folder that holds all files, and its annotation files."""

    root: Path
    files: tuple[CocoFile, ...]


def image_folders(root: Path, file: CocoFile) -> tuple[str, ...]:
    """Return the folders, relative to `root`, that a file's images may lie in."""
    names = ["images/", ""]
    if file.subset is not None:
        names = [f"{file.subset}/", f"images/{file.subset}/", *names]
    return tuple(name for name in names if (root / name).is_dir())


def lay_out(path: Path) -> CocoLayout:
    """Return where the annotation files of a project are; none when it is no COCO project."""
    if path.is_file():
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
        return CocoLayout(
            root, (CocoFile(path, _subset(path)),) if path.suffix.lower() == ".json" and _may_be_coco(path) else ()
        )
    for files in _known_places(path):
        if files:
            return CocoLayout(path, files)
    others = [each for each in islice(sorted(path.glob("*.json")), MOST_OTHERS) if _says_coco(each)]
    return CocoLayout(path, tuple(CocoFile(each) for each in others))


def _known_places(path: Path) -> Iterator[tuple[CocoFile, ...]]:
    for folder in (path, path / "annotations", path / "annotations" / "coco"):
        yield _files(folder.glob("instances.json")) or _files(folder.glob(f"{PREFIX}*.json"))
    yield tuple(
        CocoFile(each, each.parent.name) for each in sorted(path.glob("*/_annotations.coco.json")) if each.is_file()
    )


def _files(found: Iterable[Path]) -> tuple[CocoFile, ...]:
    return tuple(CocoFile(each, _subset(each)) for each in sorted(found) if each.is_file())


def _subset(path: Path) -> str | None:
    return path.stem.removeprefix(PREFIX) or None if path.stem.startswith(PREFIX) else None


def results_in(path: Path) -> str | None:
    """Return, in words, that a json file (or one right in a folder) is a list of COCO's results; None when none is."""
    others = islice(sorted(path.glob("*.json")), MOST_OTHERS) if path.is_dir() else (path,)
    found = next((each for each in others if _are_results(each)), None)
    if found is None:
        return None
    where = f"holds {found.name}, which is" if path.is_dir() else "is"
    return f"{where} a list of COCO results: detections name neither their images nor their classes; put them into an annotation file as its `annotations`"


def _are_results(path: Path) -> bool:
    """Whether a file is a list whose first element is a detection, as far as its beginning tells."""
    try:
        start = read_start(path.parent.resolve(), path.name, SNIFF_BYTES).removeprefix(BOM_UTF8).lstrip()
    except (ExportError, OSError, RuntimeError):
        return False
    return _LIST_OF_OBJECTS.match(start) is not None and all(key in start for key in (b'"image_id"', b'"score"'))


def _may_be_coco(path: Path) -> bool:
    """Whether a json file that somebody names is COCO, or so broken that reading it must say where."""
    if _are_results(path):
        return False
    try:
        keys = first_keys(path, {*ARRAYS, MARK})
    except ExportError:
        return True
    return MARK not in keys and not keys.isdisjoint(ARRAYS)


def _says_coco(path: Path) -> bool:
    """Whether a json file that happens to lie there is COCO: `categories` alone are in the notes that Label Studio puts beside YOLO.

    A link that leads elsewhere is not looked into.
    """
    if not path.resolve().is_relative_to(path.parent.resolve()):
        return False
    try:
        keys = first_keys(path, {*CONTENTS, MARK})
    except ExportError:
        return False
    return MARK not in keys and not keys.isdisjoint(CONTENTS)
