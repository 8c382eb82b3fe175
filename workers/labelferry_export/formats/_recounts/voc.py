"""Pascal VOC read again: the xml files by expat, and each image's masks against its xml and against each other.

An image's files follow each other in the bundle: its xml, its mask of classes, its mask of objects. Of large masks (`masks.MOST_PIXELS`)
the values are held to the xml, not the pixels.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from labelferry_export.bundle.readers import Reader
from labelferry_export.findings import Loss
from labelferry_export.formats._recounts.masks import MaskReader, within
from labelferry_export.formats._recounts.strips import Values
from labelferry_export.formats._recounts.xml import XmlReader
from labelferry_export.formats._xml import element_text
from labelferry_export.recount import Claim

VOID = 255
BOX = ("xmin", "ymin", "xmax", "ymax")


@dataclass
class _Page:
    """What an image's xml says: size in px, names and boxes (first and last column and row, from 0) of its objects; and its mask of classes."""

    stem: str
    numbers: dict[str, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    boxes: list[list[int]] = field(default_factory=list)
    classes: Values | None = None


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

    def open(self, name: str) -> Reader | None:
        """Return the reader of an xml file or a mask."""
        place, stem = PurePosixPath(name.removeprefix(self._folder)), PurePosixPath(name).stem
        if not name.startswith(self._folder) or place.parent.name not in ("Annotations", *MASKS):
            return None
        if place.parent.name == "Annotations":
            self._page = _Page(stem)
            # With a start to tell of, a name is its own text, not that from the last tag on.
            return XmlReader(lambda *_: None, self._end, self._close)
        if stem != self._page.stem:
            raise ValueError(f"{name}: it does not follow its xml")
        return MaskReader(partial(MASKS[place.parent.name], self))

    def _end(self, name: str, text: str) -> None:
        page = self._page
        if name in ("width", "height", *BOX):
            page.numbers[name] = int(text)
        elif name == "name" and len(page.names) == len(page.boxes):
            # The first name in an object; its attributes have names too, behind the box.
            page.names.append(text)
        elif name == "bndbox":
            left, top, right, bottom = (page.numbers[key] - self._base for key in BOX)
            if not (0 <= left <= right < page.numbers["width"] and 0 <= top <= bottom < page.numbers["height"]):
                raise ValueError(f"box {[page.numbers[key] for key in BOX]} is not within the image")
            page.boxes.append([left, top, right, bottom])
        elif name == "object":
            self.objects += 1
            del page.names[len(page.boxes) :]

    def _close(self) -> None:
        self.images += 1

    def check_classes(self, mode: str, found: Values) -> None:
        """Check a mask of classes, and keep it for the one of objects."""
        _check_mode(mode)
        within(self._classes, VOID)(np.flatnonzero(np.bincount(found.reshape(-1))) if found.ndim > 1 else found)
        self._page.classes = found if found.ndim > 1 else None

    def check_objects(self, mode: str, found: Values) -> None:
        """Check a mask of objects: value n is the n-th object of the xml, of its class, within its box."""
        _check_mode(mode)
        page, count = self._page, len(self._page.boxes)
        seen = np.flatnonzero(np.bincount(found.reshape(-1))) if found.ndim > 1 else found
        seen = seen[(seen > 0) & (seen < VOID)]
        if len(seen) and seen[-1] > count:
            raise ValueError(f"it holds the number {seen[-1]}, and its xml {count} objects")
        self._unseen -= count - len(seen)
        if self._unseen < 0:
            raise ValueError("it lacks objects of its xml, of which nothing was said")
        if found.ndim > 1 and page.classes is not None:
            self._check_pairs(found, page.classes)
            _check_places(found, page)

    def _check_pairs(self, objects: Values, classes: Values) -> None:
        if objects.shape != classes.shape or objects.shape != (
            self._page.numbers["height"],
            self._page.numbers["width"],
        ):
            raise ValueError("its size is not that of the image, or of the mask of classes")
        pairs = np.flatnonzero(np.bincount((objects.astype(np.uint16) << 8 | classes).reshape(-1)))
        for value, index in zip((pairs >> 8).tolist(), (pairs & 0xFF).tolist(), strict=True):
            right = {value} if value in (0, VOID) else self._indices.get(self._page.names[value - 1], set())
            if index not in right:
                raise ValueError(f"where it has the number {value}, the mask of classes has {index}")


MASKS = {"SegmentationClass": VocRecount.check_classes, "SegmentationObject": VocRecount.check_objects}


def _check_places(objects: Values, page: _Page) -> None:
    """Raise ValueError when a pixel of an object lies outside of its box."""
    height, width = objects.shape
    flat = np.ascontiguousarray(objects).reshape(-1)
    starts = np.flatnonzero(np.diff(flat, prepend=flat[:1]) != 0)
    starts = np.union1d(starts, np.arange(0, height * width, width))
    values = flat[starts]
    rows, first = np.divmod(starts, width)
    last = np.append(starts[1:], height * width) - 1 - rows * width
    boxes: NDArray[np.int64] = np.array([[0, 0, width, height], *page.boxes], np.int64)
    kept = values < VOID
    left, top, right, bottom = boxes[values[kept]].T
    out = (first[kept] < left) | (last[kept] > right) | (rows[kept] < top) | (rows[kept] > bottom)
    if out.any():
        raise ValueError(f"the number {values[kept][out][0]} lies outside of its box")


def _check_mode(mode: str) -> None:
    if mode != "P":
        raise ValueError(f"its pixels are {mode}, not rows of a palette")


def _read(name: str) -> str:
    """Return a class's name as a reader of XML gets it."""
    found: list[str] = []
    reader = XmlReader(None, lambda _, text: found.append(text), lambda: None)
    reader.take(f"<name>{element_text(name)}</name>".encode(errors="replace"))
    reader.close()
    return found[0]
