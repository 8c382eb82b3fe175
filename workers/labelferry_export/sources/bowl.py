"""Masks of single objects, as the 2018 Data Science Bowl has them: `<id>/images/<id>.png` with `<id>/masks/*.png`, a binary mask an object.

In a bundle such folders are in `annotations/instance_masks/objects/` (with splits one deeper), the images may be in `images/` alone, and
a table says which object a mask is.
"""

import itertools
import os
import posixpath
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.paths import inside
from labelferry_export.picture import read_header
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, Sink
from labelferry_export.sources.folder_files import ImageFiles, files_below
from labelferry_export.sources.label_pixels import MASK_SUFFIXES, read_mask, traced
from labelferry_export.sources.mask_table import BUNDLE, TABLE, Said, classes_in_table, said_in_table
from labelferry_export.sources.outlines import Unusable

OBJECTS = f"{BUNDLE}objects/"
"""Where the folders are in a bundle."""


def holds_folders(root: Path) -> bool:
    """Whether a folder holds such folders of its own."""
    return next(_folders(root, ""), None) is not None


def holds_objects(root: Path) -> bool:
    """Whether a folder is a bundle with masks of single objects."""
    return (root / OBJECTS).is_dir() and (root / TABLE).is_file()


class FolderReading:
    """The reading of a project with a folder an image, all of one class."""

    def __init__(self, root: Path, sink: Sink, category: str) -> None:
        self._root = root
        self._sink = sink
        self._class = category
        self._numbers = itertools.count(1)

    def run(self) -> Iterator[float]:
        """Tell the sink all of it; yield how far it is."""
        self._sink.add_category(FoundCategory(self._class, self._class))
        pages: list[FoundImage] = []
        for folder in _folders(self._root, ""):
            image = self._image(folder)
            if image is not None:
                pages.append(sized(self._root, image, next(self._masks(folder), None)))
                self._sink.add_image(pages[-1])
            yield 0.0
        for turn, page in enumerate(pages):
            for file in self._masks(str(page.key)):
                tell_mask(self._root, self._sink, page, (file, next(self._numbers), self._class))
                yield turn / len(pages)

    def _image(self, folder: str) -> FoundImage | None:
        found = list(ImageFiles(self._root, [f"{folder}/images/"]))
        if len(found) == 1:
            return FoundImage(key=folder, name=posixpath.basename(found[0]), file=found[0])
        message = f"the folder {folder}/images holds {len(found)} images, and not one"
        self._sink.complain(Finding.IMAGE_MISSING, message, folder)
        return None

    def _masks(self, folder: str) -> Iterator[str]:
        return files_below(self._root, f"{folder}/masks/", MASK_SUFFIXES)


class BundleReading:
    """The reading of a bundle with masks of single objects."""

    def __init__(self, root: Path, sink: Sink) -> None:
        self._root = root
        self._sink = sink

    def run(self) -> Iterator[float]:
        """Tell the sink all of it; yield how far it is."""
        for name in classes_in_table(self._root):
            self._sink.add_category(FoundCategory(name, name))
        images = ImageFiles(self._root, ["images/"])
        pages: dict[str, FoundImage] = {}
        for name in images:
            pages[_stem(images.shown(name))] = FoundImage(key=name, name=images.shown(name), file=name)
        for folder in () if pages else _folders(self._root, OBJECTS):
            copies = ImageFiles(self._root, [f"{OBJECTS}{folder}/images/"])
            for name in copies:
                shown = posixpath.join(posixpath.dirname(folder), copies.shown(name))
                pages[folder] = FoundImage(key=name, name=shown, file=name)
        for folder, page in pages.items():
            first = next(files_below(self._root, f"{OBJECTS}{folder}/masks/", MASK_SUFFIXES), None)
            pages[folder] = sized(self._root, page, first)
            self._sink.add_image(pages[folder])
            yield 0.0
        yield from self._tell(pages)

    def _tell(self, pages: dict[str, FoundImage]) -> Iterator[float]:
        done, last = 0, ""
        for file, said in said_in_table(self._root):
            folder = posixpath.dirname(posixpath.dirname(file)).removeprefix(OBJECTS)
            done, last = done + (folder != last), folder
            self._tell_object(file, said, pages.get(folder))
            yield min(done / max(len(pages), 1), 1.0)

    def _tell_object(self, file: str, said: Said, image: FoundImage | None) -> None:
        if image is None:
            self._sink.complain(Finding.REFERENCE_BROKEN, f"{file} has no image of the name of its folder", file)
            return
        for number, category in said.values():
            tell_mask(self._root, self._sink, image, (file, number, category))


def tell_mask(root: Path, sink: Sink, image: FoundImage, mask: tuple[str, int, str]) -> None:
    """Tell of the object in a binary mask: the mask's file, the object's number and its class."""
    file, number, category = mask
    try:
        pixels = read_mask(root, file)
        shape = traced(pixels)
    except (Unusable, ExportError) as error:
        sink.complain(Finding.OBJECT_DROPPED, said_why(file, error), image.name, number)
        return
    canvas = (pixels.shape[1], pixels.shape[0])
    sink.add_object(FoundObject(image.key, category, shape, file, id=number, canvas=canvas))


def said_why(file: str, error: Exception) -> str:
    """Return why a mask cannot be used, in a sentence that names it."""
    return error.message if isinstance(error, ExportError) else f"{file} cannot be exported: {error}"


def sized(root: Path, image: FoundImage, mask: str | None) -> FoundImage:
    """Return an image with the size of its mask, which is the one that its objects were drawn on."""
    if mask is None:
        return image
    try:
        header = read_header(inside(root, mask), mask)
    except ExportError:
        return image
    return replace(image, width=header.width, height=header.height)


def _stem(name: str) -> str:
    return posixpath.splitext(name)[0]


def _folders(root: Path, base: str, deepest: int = 2) -> Iterator[str]:
    """Yield the folders below `base`, by name and relative to it, that hold images and masks; those of a bundle (`base`) may hold masks alone."""
    with os.scandir(root / base) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for name in names:
        place = root / base / name
        if (place / "images").is_dir() and ((place / "masks").is_dir() or base):
            yield name
        elif base and deepest > 1:
            yield from (f"{name}/{each}" for each in _folders(root, f"{base}{name}/", deepest - 1))
