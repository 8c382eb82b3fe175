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
    """Lay `colour`, shape (n, 3), on the pixels (no number twice) of a C-ordered `picture`, shape (h, w, 3), in place.

    `coverage` is one for all, or (n,). Every channel becomes round((old * (255 - coverage) + colour * coverage) / 255).
    """
    flat = picture.reshape(-1, 3)
    ink = np.uint16(coverage) if isinstance(coverage, int) else coverage.astype(np.uint16)[:, None]
    mixed = flat.take(pixel, axis=0).astype(np.uint16)
    mixed *= np.uint16(FULL) - ink
    fresh = colour.astype(np.uint16)
    fresh *= ink
    mixed += fresh
    # Division by 255, rounded, for all that two products of bytes can add up to here.
    mixed += 128
    mixed += mixed >> 8
    mixed >>= 8
    flat[pixel] = mixed.astype(np.uint8)


def lay(picture: Bytes, marks: Iterable[Marks], colours: Bytes) -> None:
    """Blend a layer into `picture`, shape (h, w, 3), in place: where marks meet, the one that covers most is seen, of equals the last.

    `colours` has the shape (k, 3).
    """
    size = picture.shape[0] * picture.shape[1]
    coverage = np.zeros(size, np.uint8)
    colour = np.zeros(size, np.min_scalar_type(len(colours)))
    for each in marks:
        # A stable sort of bytes is linear, and the last of several assignments to one place is the one that stays.
        order = np.argsort(each.coverage, kind="stable")
        pixel, covers = each.pixel[order], each.coverage[order]
        more = covers >= coverage[pixel]
        if not more.all():
            order, pixel, covers = order[more], pixel[more], covers[more]
        coverage[pixel] = covers
        colour[pixel] = each.colour[order]
    touched = np.flatnonzero(coverage > 0)
    if len(touched):
        blend(picture, touched, coverage[touched], colours[colour[touched]])
