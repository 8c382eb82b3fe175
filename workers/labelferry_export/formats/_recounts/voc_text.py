"""What a VOC xml of the usual form says, taken from its text in one go: of a whole image in the time that expat's callbacks take for some objects."""

import re
from dataclasses import dataclass
from itertools import chain

import numpy as np

from labelferry_export.geometry.ring import Integers

BOX = ("xmin", "ymin", "xmax", "ymax")
_EDGES = rb"\s*".join(b"<%b>(\\d{1,9})</%b>" % (tag, tag) for tag in map(str.encode, BOX))
_SIZE = re.compile(rb"<width>(\d{1,9})</width>\s*<height>(\d{1,9})</height>")
_OBJECT = re.compile(
    rb"<object>\s*<name>([^<&\r]*+)</name>(?:[^<]*+<(?!/object>|bndbox>)[^>]*+>)*+[^<]*+<bndbox>\s*%b\s*</bndbox>"
    % _EDGES
)


@dataclass(frozen=True, eq=False)
class VocText:
    """Width and height of the image, px; of its objects the names, and the boxes as the file has them, (n, 4) left, top, right, bottom."""

    width: int
    height: int
    names: list[str]
    boxes: Integers


def voc_text(text: bytes) -> VocText | None:
    """Return what a text, known to be XML, says; None where it is not of the usual form: every object with one name first, then one box.

    In XML without comments and the like, what looks like an element is one.
    """
    if b"<!" in text or b"<?" in text:
        return None
    sizes, objects = _SIZE.findall(text), _OBJECT.findall(text)
    counts = [text.count(tag) for tag in (b"<width", b"<height", b"<bndbox", b"</object")]
    if len(sizes) != 1 or counts != [1, 1, len(objects), len(objects)]:
        return None
    numbers = np.array([*sizes[0], *chain.from_iterable(edges for _, *edges in objects)]).astype(np.int64)
    names = [name.decode() for name, *_ in objects]
    return VocText(int(numbers[0]), int(numbers[1]), names, numbers[2:].reshape(-1, 4))
