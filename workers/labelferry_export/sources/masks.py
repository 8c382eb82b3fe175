"""Instance masks: a label mask an image (each number an object), or a binary mask an object, as the 2018 Data Science Bowl has them.

Label masks: `images/` with `masks/`, `labels/`, `instances/` or `instance_masks/` beside it, equal stems (a mask's may end with `_mask`
or `_label`); palette, 8 or 16 bits, or more. Masks of objects: `<id>/images/<id>.png` with `<id>/masks/*.png`. Every object is traced along the edges
of its pixels. There is one class, `object`, or the one name that `classes.txt` holds; in a bundle, `annotations/instance_masks/`
says what each number is. The masks were made for images of exactly their size. Images without a mask have no objects, with a note.
"""

import itertools
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.shape import Shape
from labelferry_export.selection import listed
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_export.sources.bowl import BundleReading, FolderReading, holds_folders, holds_objects, said_why, sized
from labelferry_export.sources.class_list import read_class_list
from labelferry_export.sources.folder_files import IMAGE_SUFFIXES, ImageFiles, files_below
from labelferry_export.sources.label_pixels import MASK_SUFFIXES, read_labels, regions
from labelferry_export.sources.mask_table import BUNDLE, TABLE, Said, classes_in_table, said_in_table
from labelferry_export.sources.outlines import Unusable
from labelferry_export.sources.pairing import find_image

MASK_FOLDERS = ("masks/", "labels/", "instances/", "instance_masks/")
ENDINGS = ("", "_mask", "_masks", "_label", "_labels")
CLASS = "object"
MOST_SNIFFED = 8
OBJECTS_AT_ONCE = 50


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
            return path.is_dir() and (_mask_folder(path) is not None or holds_objects(path) or holds_folders(path))
        except (OSError, ExportError):
            return False

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        sink.begin(FoundProject(path.name, path))
        folder = _mask_folder(path)
        if folder is not None:
            yield from _Reading(path, sink).label_masks(folder)
        elif holds_objects(path):
            yield from BundleReading(path, sink).run()
        else:
            yield from FolderReading(path, sink, one_class(path, sink)).run()


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
            self._class = one_class(self._root, self._sink)
        for name in classes_in_table(self._root) if has_table else [self._class]:
            self._sink.add_category(FoundCategory(name, name))
        pages: dict[str, _Page] = {}
        for file in files_below(self._root, folder, MASK_SUFFIXES):
            image = find_image(self._sink, images, file, (folder,), ENDINGS)
            if image is not None:
                pages[file] = _Page(file, sized(self._root, image, file))
                self._sink.add_image(pages[file].image)
                yield 0.0
        for _ in self._add_others(images, {page.image.file for page in pages.values()}, folder):
            yield 0.0
        done = 0
        for file, said in said_in_table(self._root) if has_table else ():
            page = pages.pop(file, None)
            if page is not None:
                done += 1
                for _ in self._tell_labels(page, said):
                    yield done / (done + len(pages))
        for page in pages.values():
            done += 1
            for _ in self._tell_labels(page, {} if has_table else None):
                yield done / (done + len(pages))

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
            self._sink.complain(Finding.OBJECT_DROPPED, said_why(page.file, error), page.image.name)
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


def one_class(root: Path, sink: Sink) -> str:
    """Return the class of all objects where masks do not say one: that of classes.txt, if it holds just one."""
    names = read_class_list(root, ("classes.txt",))
    if len(names) > 1:
        message = f"classes.txt holds {len(names)} classes, but the masks do not say which object is of which"
        sink.note(Finding.OTHER, f"{message}: all are of the class {CLASS!r}")
    return names[0] if len(names) == 1 else CLASS


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
