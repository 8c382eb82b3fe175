"""Rings as lists of [x, y], as the json formats write them, and where an image's own file lies in a bundle."""

from pathlib import PurePosixPath

from labelferry_export.formats._numbers import flat
from labelferry_export.geometry.shape import Ring
from labelferry_export.model import Image

Number = int | float
Pair = tuple[Number, Number]


def pairs(ring: Ring, closed: bool = False) -> list[Pair]:
    """Return a ring's vertices one by one, whole numbers as int; `closed` repeats the first at the end."""
    numbers = flat(ring)
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    return [*points, points[0]] if closed else points


def file_beside(image: Image, folder: str, ending: str) -> str:
    """Return the name of an image's file below `folder` of a bundle: in its split's folder, its stem, and `ending`."""
    return f"{folder}/{PurePosixPath(image.bundle_file).with_suffix('')}{ending}"
