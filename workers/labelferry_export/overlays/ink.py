"""Lays colour on pixels: marks of partial coverage are joined first and blended once, so that nothing is painted twice."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Integers

Bytes = NDArray[np.uint8]
FULL = 255


@dataclass(frozen=True, eq=False)
class Marks:
    """What a layer puts on a picture: pixel (n,) row-major numbers, coverage (n,) 1 to 255, colour (n,) rows of a colour table."""

    pixel: Integers
    coverage: Bytes
    colour: Integers


def blend(picture: Bytes, pixel: Integers, coverage: Bytes | int, colour: Bytes) -> None:
    """Lay `colour`, shape (n, 3) or (3,), on the pixels (no number twice) of a C-ordered `picture`, shape (h, w, 3), in place.

    Every channel becomes round((old * (255 - coverage) + colour * coverage) / 255); coverage 255 is the colour exactly.
    """
    flat = picture.reshape(-1, 3)
    ink: NDArray[np.uint16] | int = int(coverage) if isinstance(coverage, int) else coverage.astype(np.uint16)[:, None]
    mixed = flat.take(pixel, axis=0).astype(np.uint16)
    mixed *= FULL - ink
    mixed += colour.astype(np.uint16) * np.uint16(ink) if isinstance(ink, int) else colour.astype(np.uint16) * ink
    mixed += 128
    mixed += mixed >> 8
    flat[pixel] = (mixed >> 8).astype(np.uint8)


def lay(picture: Bytes, marks: Iterable[Marks], colours: Bytes) -> None:
    """Blend a layer into `picture`, shape (h, w, 3), in place: where marks meet, the one that covers most is seen, of equals the last."""
    size = picture.shape[0] * picture.shape[1]
    coverage = np.zeros(size, np.uint8)
    colour = np.zeros(size, np.min_scalar_type(max(len(colours) - 1, 0)))
    for each in marks:
        more = np.flatnonzero(each.coverage >= coverage[each.pixel])
        # A stable sort of bytes is linear, and the last of several assignments to one place is the one that stays.
        order = more[np.argsort(each.coverage[more], kind="stable")]
        pixel = each.pixel[order]
        coverage[pixel] = each.coverage[order]
        colour[pixel] = each.colour[order]
    touched = np.flatnonzero(coverage)
    if len(touched):
        blend(picture, touched, coverage[touched], colours[colour[touched]])
