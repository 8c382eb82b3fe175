"""Pascal VOC: `Annotations/*.xml` with the images in `JPEGImages/` (or `images/`, or beside), and masks where there are any.

An object's outline is its region in `SegmentationObject/`: number n is the n-th object of the xml; without an xml its class is the
one that most of its pixels have in `SegmentationClass/`, called as `labelmap.txt` (or, without one, VOC itself) says. Void
pixels (255) are no object. An object without a region is its box, with a note for the image.

Boxes are whole pixels, both ends included, the first pixel being 1; where one begins at 0 the whole project counts from 0, which is
told. Boxes of the parts of objects are left out, and counted. `train`, `val` and `test` of `ImageSets/Main` (else `Segmentation`)
are subsets, but for images that are in several.
"""

import itertools
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.selection import listed
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_export.sources.folder_files import ImageFiles, files_below
from labelferry_export.sources.label_pixels import MASK_SUFFIXES, Labels, read_labels, regions
from labelferry_export.sources.outlines import Unusable, box_ring
from labelferry_export.sources.voc_form import STANDARD_CLASSES, VocImage, VocObject, read_voc
from labelferry_export.sources.voc_layout import XML, class_names, image_folders, lay_out, shown_name, subsets_of
from labelferry_protocol.errors import Code

VOID = 255
FIRST_PASS = 0.3
"""Of the time, the part that finding the images and classes takes."""


@dataclass(frozen=True)
class _Page:
    """An image, with the stem that its files share; `xml` is empty for one that has masks only."""

    stem: str
    xml: str
    image: FoundImage


class VocSource:
    """See the module."""

    name = "voc"
    title = "Pascal VOC"
    looks_for = "Annotations/*.xml (or xml files beside the images) whose outermost element is <annotation>, or SegmentationObject/"
    reads = Reads(
        holes="in masks",
        parts="in masks",
        crowds="no",
        attributes="flags, pose, attributes",
        subsets="ImageSets",
        ids="kept where labelferry wrote them, else new",
    )

    def recognises(self, path: Path) -> bool:
        """As `Source.recognises`."""
        try:
            return path.is_dir() and lay_out(path) is not None
        except (OSError, ExportError):
            return False

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        layout = lay_out(path)
        if layout is None:
            raise ExportError(Code.SOURCE, f"{path.name} holds no VOC annotations", path.name)
        sink.begin(FoundProject(path.name, path))
        yield from _Reading(path, sink, *layout).run()


SOURCE = VocSource()


class _Reading:
    """The reading of the VOC folders below `base`; the xml files are in `folder`."""

    def __init__(self, root: Path, sink: Sink, base: str, folder: str) -> None:
        self._root = root
        self._sink = sink
        self._base = base
        self._folder = folder
        self._classes: set[str] = set()
        self._from_zero = ""
        """The first xml with a box that begins at 0."""
        self._reaches_edge = False
        self._with_parts = 0
        self._numbers = itertools.count(1)
        self._names = class_names(root, base)

    def run(self) -> Iterator[float]:
        """Tell the sink all of it; yield how far it is."""
        images = ImageFiles(self._root, image_folders(self._root, self._base), (self._folder, ""))
        masks = {posixpath.splitext(posixpath.basename(each))[0]: each for each in self._masks("SegmentationObject")}
        subsets = subsets_of(self._root, self._base)
        files = list(files_below(self._root, self._folder, XML))
        pages: list[_Page] = []
        for turn, file in enumerate(files):
            page = self._look_into(file, images, subsets)
            pages += [page] if page else []
            yield FIRST_PASS * turn / len(files)
        with_xml = {page.stem for page in pages}
        pages += [
            page
            for stem, mask in masks.items()
            if stem not in with_xml and not files and (page := self._masked_page(stem, mask, images, subsets))
        ]
        self._tell_classes(bool(masks) and not files)
        for page in pages:
            self._sink.add_image(page.image)
            yield FIRST_PASS
        if self._from_zero:
            message = f"boxes are taken to count pixels from 0, not 1: {self._from_zero} has one that begins at 0"
            self._sink.note(Finding.OTHER, message)
        for turn, page in enumerate(pages):
            self._tell(page, masks.get(page.stem))
            yield FIRST_PASS + (1 - FIRST_PASS) * turn / len(pages)
        if self._with_parts:
            message = (
                f"objects with boxes of parts: {self._with_parts}; the parts are left out, an object has one outline"
            )
            self._sink.note(Finding.OTHER, message)

    def _masks(self, folder: str) -> Iterator[str]:
        return files_below(self._root, f"{self._base}{folder}/", MASK_SUFFIXES)

    def _tell_classes(self, all_names: bool) -> None:
        known = [name for _, name in sorted(self._names.items())]
        declared = [name for name in known if all_names or name in self._classes or self._names is not STANDARD_CLASSES]
        for name in (*declared, *sorted(self._classes - set(declared))):
            self._sink.add_category(FoundCategory(name, name))

    def _look_into(self, file: str, images: ImageFiles, subsets: Mapping[str, str | None]) -> _Page | None:
        """Return the image of an xml, None when there is none; remember its classes, and how it counts."""
        try:
            found = read_voc(self._root, file)
        except ExportError as error:
            self._sink.complain(Finding.IMAGE_BROKEN, error.message, file)
            return None
        if found is None:
            return None
        stem = posixpath.splitext(posixpath.basename(file))[0]
        for each in found.objects:
            self._classes.add(each.name)
            box = each.upright_box
            if box is not None:
                self._from_zero = self._from_zero or (file if min(box) == 0 else "")
                self._reaches_edge |= bool(found.width) and box[2] == found.width
        candidates = (found.filename and images.find(found.filename)) or images.find(stem)
        image = self._image(file, stem, candidates)
        if image is None:
            return None
        sized = replace(image, width=found.width, height=found.height, subset=subsets.get(stem))
        return _Page(stem, file, sized)

    def _masked_page(self, stem: str, mask: str, images: ImageFiles, subsets: Mapping[str, str | None]) -> _Page | None:
        image = self._image(mask, stem, images.find(stem))
        return None if image is None else _Page(stem, "", replace(image, subset=subsets.get(stem)))

    def _image(self, file: str, stem: str, found: list[str]) -> FoundImage | None:
        if len(found) == 1:
            return FoundImage(key=file, name=shown_name(found[0]), file=found[0])
        if found:
            message = f"{file} fits several images, {listed(found, 4)}: give them different names"
        else:
            message = f"{file} has no image: there is none of the name {stem!r} in JPEGImages, images, or beside it"
        self._sink.complain(Finding.IMAGE_MISSING, message, file)
        return None

    def _tell(self, page: _Page, mask: str | None) -> None:
        try:
            found = read_voc(self._root, page.xml) if page.xml else VocImage()
            shapes = self._regions(mask, page) if mask else {}
        except (ExportError, Unusable) as error:
            why = error.message if isinstance(error, ExportError) else f"{mask} cannot be exported: {error}"
            self._sink.complain(Finding.OBJECT_DROPPED, why, page.image.name)
            return
        boxes = 0
        for place, each in enumerate(found.objects if found else (), 1):
            boxes += self._tell_object(page, place, each, shapes.pop(place, None))
        if shapes:
            self._tell_masked(page, shapes)
        if boxes:
            message = f"{boxes} objects of {page.image.name!r} have no outline: their boxes are used as outlines"
            self._sink.note(Finding.OTHER, message, page.image.name)

    def _tell_object(self, page: _Page, place: int, each: VocObject, shape: Shape | None) -> bool:
        """Tell of an object of an xml; whether its box is its outline."""
        number = each.id or next(self._numbers)
        label = f"object {place} of {page.xml}"
        self._with_parts += each.parts > 0
        try:
            outline = shape or Shape((Part(self._ring(each)),))
        except Unusable as error:
            message = f"{label} cannot be exported: {error}"
            self._sink.complain(Finding.OBJECT_DROPPED, message, page.image.name, number)
            return False
        if shape is None and each.box != each.upright_box:
            message = f"{label} has a box whose sides are the wrong way round: the lesser number comes first now"
            self._sink.note(Finding.OBJECT_REPAIRED, message, page.image.name, number)
        self._sink.add_object(
            FoundObject(page.image.key, each.name, outline, label, id=number, attributes=each.attributes)
        )
        return shape is None

    def _ring(self, each: VocObject) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        box = each.upright_box
        if box is None:
            raise Unusable("it has no box of four numbers")
        left, top, right, bottom = box
        if not self._from_zero:
            left, top = left - 1, top - 1
        elif not self._reaches_edge:
            right, bottom = right + 1, bottom + 1
        return box_ring(left, top, right, bottom)

    def _tell_masked(self, page: _Page, shapes: Mapping[int, Shape]) -> None:
        """Tell of the regions that no xml describes; their classes are in the mask of classes."""
        mask = f"{self._base}SegmentationClass/{page.stem}.png"
        try:
            classes = read_labels(self._root, mask)
            objects = read_labels(self._root, f"{self._base}SegmentationObject/{page.stem}.png")
        except (ExportError, Unusable) as error:
            message = f"{len(shapes)} objects of {page.image.name!r} have no class, as there is no {mask}: {error}"
            self._sink.complain(Finding.OBJECT_DROPPED, message, page.image.name)
            return
        for value, shape in shapes.items():
            number = next(self._numbers)
            label = f"the number {value} of the masks of {page.image.name!r}"
            name = self._class_of(classes, objects, value)
            if name is None:
                message = f"{label} cannot be exported: its class is not known"
                self._sink.complain(Finding.OBJECT_DROPPED, message, page.image.name, number)
            else:
                self._sink.add_object(FoundObject(page.image.key, name, shape, label, id=number))

    def _class_of(self, classes: Labels, objects: Labels, value: int) -> str | None:
        if classes.shape != objects.shape or classes.max(initial=0) > VOID:
            return None
        counts = np.bincount(classes[objects == value].astype(np.int64), minlength=VOID + 1)
        counts[0] = counts[VOID] = 0
        return self._names.get(int(counts.argmax())) if counts.any() else None

    def _regions(self, mask: str, page: _Page) -> dict[int, Shape]:
        labels = read_labels(self._root, mask)
        if page.image.width and (page.image.width, page.image.height) != labels.shape[::-1]:
            size = f"{labels.shape[1]}x{labels.shape[0]}"
            raise Unusable(f"it has {size} px, the image {page.image.width}x{page.image.height}")
        if labels.dtype == np.uint8:
            labels = np.where(labels == VOID, np.uint8(0), labels)
        return dict(regions(labels))
