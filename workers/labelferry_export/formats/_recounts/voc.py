"""Pascal VOC read again: the xml files by expat, and each image's masks against its xml and against each other.

An image's files follow each other in the bundle: its xml, its mask of classes, its mask of objects. Every xml is read; masks are those of the
first images and of a share of all others. Of large masks (`masks.MOST_PIXELS`)
the values are held to the xml, not the pixels.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from labelferry_export.bundle.readers import Reader, Whole
from labelferry_export.findings import Loss
from labelferry_export.formats._recounts.masks import Decoder, Mask, MaskReader, within
from labelferry_export.formats._recounts.strips import Values
from labelferry_export.formats._recounts.voc_text import BOX, voc_text
from labelferry_export.formats._recounts.xml import XmlReader, check_xml
from labelferry_export.formats._xml import element_text
from labelferry_export.recount import Claim

VOID = 255
ALL_COMPARED, COMPARED_EVERY = 100, 8
"""The masks of so many images of a bundle are all decoded and compared, of the others those of every eighth."""
MOST_AT_ONCE = 1 << 20
"""A longer xml file is looked at element by element, as it streams in."""


@dataclass
class _Page:
    """What an image's xml says: size in px, names and boxes (first and last column and row, from 0) of its objects; and its mask of classes."""

    stem: str
    numbers: dict[str, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    boxes: list[list[int]] = field(default_factory=list)
    classes: Values | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.numbers["height"], self.numbers["width"]


class VocRecount:
    """Recounts VOC's files below `folder`; every box is held to its image, and every pixel of a mask to the object it is said to be of."""

    def __init__(self, folder: str, claim: Claim) -> None:
        self.images = 0
        self.objects = 0
        self._folder = folder
        self._base = int(claim.options["base"])
        self._classes = claim.classes
        self._indices: dict[str, set[int]] = {}
        for each in claim.facts.categories:
            self._indices.setdefault(_read(each.name), set()).add(each.id)
        self._unseen = claim.losses.get(Loss.REDUCED, 0) + claim.losses.get(Loss.MARKED, 0)
        """So many objects may have no pixel in a mask: those that were said to be hidden, void, or smaller than one."""
        self._page = _Page("")
        self._decoder = Decoder()

    def open(self, name: str) -> Reader | None:
        """Return the reader of an xml file or a mask."""
        folder, _, file = name.removeprefix(self._folder).rpartition("/")
        if not name.startswith(self._folder) or folder not in FOLDERS:
            return None
        stem = file.rpartition(".")[0]
        if folder == "Annotations":
            self._page = _Page(stem)
            return Whole(self._look, MOST_AT_ONCE, self._elements())
        if stem != self._page.stem:
            raise ValueError("it does not follow its xml")
        if self.images > ALL_COMPARED and self.images % COMPARED_EVERY:
            return None
        return MaskReader(partial(MASKS[folder], self), self._decoder)

    def _elements(self) -> XmlReader:
        return XmlReader(None, self._end, self._close)

    def _look(self, text: bytes) -> None:
        """Take a whole xml file: where it is of the usual form all of it at once, else element by element."""
        check_xml(text)
        said = voc_text(text)
        if said is None:
            reader = self._elements()
            reader.take(text)
            reader.close()
            return
        boxes = said.boxes - self._base
        first, last = boxes[:, :2], boxes[:, 2:]
        wrong = np.flatnonzero(((first < 0) | (last < first) | (last >= (said.width, said.height))).any(axis=1))
        if len(wrong):
            raise ValueError(f"box {said.boxes[wrong[0]].tolist()} is not within the image")
        page = self._page
        page.numbers |= {"width": said.width, "height": said.height}
        page.names += said.names
        page.boxes += boxes.tolist()
        self.objects += len(boxes)
        self._close()

    def _end(self, name: str, text: str) -> None:
        page = self._page
        if name in ("width", "height", *BOX):
            page.numbers[name] = int(text)
        elif name == "name" and len(page.names) == len(page.boxes):
            # The first name in an object; its attributes have names too, behind the box.
            page.names.append(text)
        elif name == "bndbox":
            # Taken away, so that no box has an edge of the one before.
            edges = [page.numbers.pop(key) for key in BOX]
            left, top, right, bottom = (edge - self._base for edge in edges)
            height, width = page.size
            if not (0 <= left <= right < width and 0 <= top <= bottom < height):
                raise ValueError(f"box {edges} is not within the image")
            page.boxes.append([left, top, right, bottom])
        elif name == "object":
            self.objects += 1
            del page.names[len(page.boxes) :]

    def _close(self) -> None:
        if not {"width", "height"} <= self._page.numbers.keys():
            raise ValueError("it does not say the size of its image")
        self.images += 1

    def check_classes(self, mask: Mask) -> None:
        """Check a mask of classes, and keep it for the one of objects."""
        _check_mode(mask)
        if mask.pixels is None or mask.pixels.max() > self._classes:
            within(self._classes, VOID)(mask.values)
        self._page.classes = mask.pixels

    def check_objects(self, mask: Mask) -> None:
        """Check a mask of objects: value n is the n-th object of the xml, of its class, within its box."""
        _check_mode(mask)
        page = self._page
        if mask.pixels is None or page.classes is None:
            self._check_numbers(mask.values)
            return
        if mask.pixels.shape != page.classes.shape or mask.pixels.shape != page.size:
            raise ValueError("its size is not that of the image, or of the mask of classes")
        runs = _Runs.of(mask.pixels, page.classes)
        self._check_numbers(np.unique(runs.objects))
        self._check_classes_of(runs)
        _check_places(runs, page)

    def _check_numbers(self, values: Values) -> None:
        """Check which numbers there are, ascending, in a mask of objects."""
        count = len(self._page.boxes)
        seen = values[(values > 0) & (values < VOID)]
        if len(seen) and seen[-1] > count:
            raise ValueError(f"it holds the number {seen[-1]}, and its xml {count} objects")
        self._unseen -= count - len(seen)
        if self._unseen < 0:
            raise ValueError("it lacks objects of its xml, of which nothing was said")

    def _check_classes_of(self, runs: "_Runs") -> None:
        allowed = [{0}, *(self._indices.get(name, set()) for name in self._page.names)]
        usual = np.full(VOID + 1, VOID, np.uint8)
        usual[: len(allowed)] = [max(each, default=0) for each in allowed]
        other = usual[runs.objects] != runs.classes
        if not other.any():
            return
        # Two classes may have one name in xml: then either is right.
        pairs = np.stack([runs.objects[other], runs.classes[other]], axis=1)
        for value, index in np.unique(pairs, axis=0).tolist():
            if value == VOID or index not in allowed[value]:
                raise ValueError(f"where it has the number {value}, the mask of classes has {index}")


MASKS = {"SegmentationClass": VocRecount.check_classes, "SegmentationObject": VocRecount.check_objects}
FOLDERS = ("Annotations", *MASKS)


@dataclass(frozen=True, eq=False)
class _Runs:
    """Stretches of a row in which neither mask changes: their values in both, rows, and first and last columns, each (n,)."""

    objects: Values
    classes: Values
    rows: Values
    first: Values
    last: Values
    size: tuple[int, int]

    @classmethod
    def of(cls, objects: Values, classes: Values) -> "_Runs":
        """Return the runs of two masks of one size."""
        height, width = objects.shape
        flat, flat_classes = objects.reshape(-1), classes.reshape(-1)
        begins = np.empty(len(flat), np.bool_)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        begins[1:] |= flat_classes[1:] != flat_classes[:-1]
        begins[::width] = True
        starts = np.flatnonzero(begins)
        rows, first = np.divmod(starts, width)
        last = np.append(starts[1:], height * width) - 1 - rows * width
        return cls(flat[starts], flat_classes[starts], rows, first, last, (height, width))


def _check_places(runs: _Runs, page: _Page) -> None:
    """Raise ValueError when a pixel of an object lies outside of its box."""
    height, width = runs.size
    boxes: NDArray[np.int64] = np.tile(np.array((0, 0, width - 1, height - 1)), (VOID + 1, 1))
    if page.boxes:
        boxes[1 : min(len(page.boxes) + 1, VOID)] = page.boxes[: VOID - 1]
    left, top, right, bottom = boxes[runs.objects].T
    out = (runs.first < left) | (runs.last > right) | (runs.rows < top) | (runs.rows > bottom)
    if out.any():
        raise ValueError(f"the number {runs.objects[out][0]} lies outside of its box")


def _check_mode(mask: Mask) -> None:
    if mask.mode != "P":
        raise ValueError(f"its pixels are {mask.mode}, not rows of a palette")


def _read(name: str) -> str:
    """Return a class's name as a reader of XML gets it."""
    found: list[str] = []
    reader = XmlReader(None, lambda _, text: found.append(text), lambda: None)
    reader.take(f"<name>{element_text(name)}</name>".encode(errors="replace"))
    reader.close()
    return found[0]
