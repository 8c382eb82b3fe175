"""Instance masks: a label mask an image (each number an object), or a binary mask an object, as the 2018 Data Science Bowl has them.

Label masks: `images/` with `masks/`, `labels/`, `instances/` or `instance_masks/` beside it, equal stems (a mask's may end with `_mask`
or `_label`); palette, 8 or 16 bits, or more. Masks of objects: `<id>/images/<id>.png` with `<id>/masks/*.png`. Every object is traced along the edges
of its pixels. There is one class, `object`, or the one name that `classes.txt` holds; in a bundle, `annotations/instance_masks/`
says what each number is. The masks were made for images of exactly their size. Images without a mask have no objects, with a note.
"""

import csv
import itertools
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.shape import Shape
from labelferry_export.paths import inside, open_plain
from labelferry_export.picture import read_header
from labelferry_export.selection import listed
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_export.sources.class_list import read_class_list
from labelferry_export.sources.folder_files import IMAGE_SUFFIXES, ImageFiles, files_below
from labelferry_export.sources.label_pixels import MASK_SUFFIXES, read_labels, read_mask, regions, traced
from labelferry_export.sources.outlines import Unusable
from labelferry_export.sources.pairing import find_image
from labelferry_protocol.errors import Code

MASK_FOLDERS = ("masks/", "labels/", "instances/", "instance_masks/")
BUNDLE = "annotations/instance_masks/"
TABLE = f"{BUNDLE}objects.csv"
COLUMNS = ("file", "value", "object_id", "category_id", "category")
"""Of the table in a bundle: which object each number of a mask is."""
ENDINGS = ("", "_mask", "_masks", "_label", "_labels")
CLASS = "object"
MOST_SNIFFED = 8
OBJECTS_AT_ONCE = 50
MAX_LINE = 1 << 20

Said = dict[int, tuple[int, str]]
"""What the numbers of a mask are: an object's id, and its class."""


class MasksSource:
    """See the module."""

    name = "masks"
    title = "instance masks"
    looks_for = "images/ with masks of the same stems in masks/ (or labels/), or <id>/images/ with <id>/masks/"
    reads = Reads(
        holes="in pixels",
        parts="in pixels",
        crowds="no",
        attributes="no",
        subsets="of a bundle",
        ids="of a bundle, else new",
    )

    def recognises(self, path: Path) -> bool:
        """As `Source.recognises`."""
        try:
            return path.is_dir() and (_mask_folder(path) is not None or next(_bowl_ids(path), None) is not None)
        except (OSError, ExportError):
            return False

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        sink.begin(FoundProject(path.name, path))
        folder = _mask_folder(path)
        reading = _Reading(path, sink)
        yield from reading.label_masks(folder) if folder is not None else reading.bowl()


SOURCE = MasksSource()


@dataclass(frozen=True)
class _Page:
    """A mask and its image."""

    file: str
    image: FoundImage


class _Reading:
    def __init__(self, root: Path, sink: Sink) -> None:
        self._root = root
        self._sink = sink
        self._numbers = itertools.count(1)
        self._class = CLASS

    def label_masks(self, folder: str) -> Iterator[float]:
        """Tell of the label masks in a folder; yield how far it is."""
        images = ImageFiles(self._root, ["images/"])
        has_table = folder.startswith(BUNDLE) and (self._root / TABLE).is_file()
        if not has_table:
            self._class = self._one_class()
        for name in _classes(self._root) if has_table else [self._class]:
            self._sink.add_category(FoundCategory(name, name))
        pages: dict[str, _Page] = {}
        for file in files_below(self._root, folder, MASK_SUFFIXES):
            image = find_image(self._sink, images, file, (folder,), ENDINGS)
            if image is not None:
                pages[file] = _Page(file, _sized(self._root, image, file))
                self._sink.add_image(pages[file].image)
                yield 0.0
        for _ in self._add_others(images, {page.image.file for page in pages.values()}, folder):
            yield 0.0
        done = 0
        for file, said in _said(self._root) if has_table else ():
            page = pages.pop(file, None)
            if page is not None:
                done += 1
                for _ in self._tell_labels(page, said):
                    yield done / (done + len(pages))
        for page in pages.values():
            done += 1
            for _ in self._tell_labels(page, {} if has_table else None):
                yield done / (done + len(pages))

    def bowl(self) -> Iterator[float]:
        """Tell of a project with a folder an image; yield how far it is."""
        self._class = self._one_class()
        self._sink.add_category(FoundCategory(self._class, self._class))
        pages: list[FoundImage] = []
        for number in _bowl_ids(self._root):
            found = list(ImageFiles(self._root, [f"{number}/images/"]))
            first = next(files_below(self._root, f"{number}/masks/", MASK_SUFFIXES), None)
            if len(found) != 1:
                message = f"the folder {number}/images holds {len(found)} images, and not one"
                self._sink.complain(Finding.IMAGE_MISSING, message, number)
                continue
            image = FoundImage(key=number, name=posixpath.basename(found[0]), file=found[0])
            pages.append(_sized(self._root, image, first))
            self._sink.add_image(pages[-1])
            yield 0.0
        for turn, page in enumerate(pages):
            for file in files_below(self._root, f"{page.key}/masks/", MASK_SUFFIXES):
                self._tell_mask(page, file)
                yield turn / len(pages)

    def _one_class(self) -> str:
        names = read_class_list(self._root, ("classes.txt",))
        if len(names) > 1:
            message = f"classes.txt holds {len(names)} classes, but the masks do not say which object is of which"
            self._sink.note(Finding.OTHER, f"{message}: all are of the class {CLASS!r}")
        return names[0] if len(names) == 1 else CLASS

    def _add_others(self, images: ImageFiles, taken: set[str | None], folder: str) -> Iterator[None]:
        others = [each for each in images if each not in taken]
        for name in others:
            self._sink.add_image(FoundImage(key=f"images:{name}", name=images.shown(name), file=name))
            yield
        if others:
            message = (
                f"{len(others)} images have no mask in {folder}: they are exported without objects, {listed(others, 4)}"
            )
            self._sink.note(Finding.OTHER, message)

    def _tell_labels(self, page: _Page, said: Said | None) -> Iterator[None]:
        """Tell of the objects in a label mask; `said` is what a table says of them, None when there is no table."""
        yield
        found: list[int] = []
        pieces = 0
        try:
            objects = regions(read_labels(self._root, page.file))
        except (Unusable, ExportError) as error:
            self._sink.complain(Finding.OBJECT_DROPPED, _said_why(page.file, error), page.image.name)
            return
        for value, shape in objects:
            self._tell_label(page, value, shape, said)
            found = [*found[:1], value]
            pieces = len(shape.parts)
            if value % OBJECTS_AT_ONCE == 0:
                yield
        if said is None and found in ([1], [255]) and pieces > 1:
            message = f"{page.file} has one number, on {pieces} separate pieces: they are taken as one object"
            self._sink.note(Finding.OTHER, message, page.image.name)

    def _tell_label(self, page: _Page, value: int, shape: Shape, said: Said | None) -> None:
        label = f"the number {value} of {page.file}"
        number, category = (0, self._class) if said is None else said.get(value, (0, ""))
        if said is not None and not number:
            message = f"{label} cannot be exported: {TABLE} does not say what it is"
            self._sink.complain(Finding.REFERENCE_BROKEN, message, page.image.name)
            return
        self._sink.add_object(FoundObject(page.image.key, category, shape, label, id=number or next(self._numbers)))

    def _tell_mask(self, image: FoundImage, file: str) -> None:
        number = next(self._numbers)
        try:
            mask = read_mask(self._root, file)
            shape = traced(mask)
        except (Unusable, ExportError) as error:
            self._sink.complain(Finding.OBJECT_DROPPED, _said_why(file, error), image.name, number)
            return
        canvas = (mask.shape[1], mask.shape[0])
        self._sink.add_object(FoundObject(image.key, self._class, shape, file, id=number, canvas=canvas))


def _said_why(file: str, error: Exception) -> str:
    return error.message if isinstance(error, ExportError) else f"{file} cannot be exported: {error}"


def _sized(root: Path, image: FoundImage, mask: str | None) -> FoundImage:
    """Return an image with the size of its mask, which is the one that its objects were drawn on."""
    if mask is None:
        return image
    try:
        header = read_header(inside(root, mask), mask)
    except ExportError:
        return image
    return replace(image, width=header.width, height=header.height)


def _mask_folder(path: Path) -> str | None:
    """Return the folder with the label masks of a project's images, None when there is none."""
    if not (path / "images").is_dir():
        return None
    for folder in (f"{BUNDLE}masks/", *MASK_FOLDERS):
        some = itertools.islice(files_below(path, folder, MASK_SUFFIXES), MOST_SNIFFED)
        if any(_has_image(path, each.removeprefix(folder)) for each in some):
            return folder
    return None


def _has_image(path: Path, mask: str) -> bool:
    stem = posixpath.splitext(mask)[0]
    stems = [stem.removesuffix(each) for each in ENDINGS]
    return any((path / "images" / f"{each}{suffix}").is_file() for each in stems for suffix in IMAGE_SUFFIXES)


def _bowl_ids(path: Path) -> Iterator[str]:
    """Yield the folders, by name, that hold an image and the masks of its objects."""
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for name in names:
        if (path / name / "images").is_dir() and (path / name / "masks").is_dir():
            yield name


def _rows(root: Path) -> Iterator[tuple[str, int, int, str]]:
    """Yield file, value, object id and class from the table of a bundle; raise `ExportError` for a row that is none."""
    try:
        with os.fdopen(open_plain(inside(root, TABLE)), encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(iter(lambda: file.readline(MAX_LINE), ""))
            if tuple(next(rows, ())) != COLUMNS:
                raise ExportError(Code.SOURCE, f"{TABLE} has not the columns {', '.join(COLUMNS)}", TABLE)
            for name, value, number, _, category in rows:
                yield f"{BUNDLE}{name}", int(value), int(number), category
    except (csv.Error, ValueError, OSError) as error:
        raise ExportError(Code.SOURCE, f"{TABLE} cannot be read: {error}", TABLE) from None


def _classes(root: Path) -> list[str]:
    return sorted({category for _, _, _, category in _rows(root)})


def _said(root: Path) -> Iterator[tuple[str, Said]]:
    """Yield what the table says of each mask, mask by mask as they come."""
    for file, rows in itertools.groupby(_rows(root), key=lambda row: row[0]):
        yield file, {value: (number, category) for _, value, number, category in rows}
