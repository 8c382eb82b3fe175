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
    """What a layer puts on a picture: pixel (n,) row-major numbers, any number of times; coverage (n,); colour (n,) rows of a table."""

    pixel: Integers
    coverage: Bytes
    colour: Bytes


def blend(picture: Bytes, pixel: Integers, coverage: Bytes | int, colour: Bytes) -> None:
    """Lay colour on the pixels (no number twice) of a C-ordered `picture`, shape (h, w, 3), in place.

    `coverage` is one for all, or (n,); `colour` one of shape (3, 1), or (3, n). Every channel becomes
    round((old * (255 - coverage) + colour * coverage) / 255).
    """
    flat = picture.reshape(-1, 3)
    ink = np.uint16(coverage) if isinstance(coverage, int) else coverage.astype(np.uint16)
    # Channel by channel: numpy is quick along long rows only.
    mixed = flat.take(pixel, axis=0).T.astype(np.uint16, order="C")
    mixed *= np.uint16(FULL) - ink
    mixed += colour.astype(np.uint16) * ink
    # Division by 255, rounded, for all that two products of bytes can add up to here.
    mixed += 128
    mixed += mixed >> 8
    mixed >>= 8
    _whole_pixels(flat)[pixel] = _whole_pixels(mixed.T.astype(np.uint8, order="C"))


def lay(picture: Bytes, marks: Iterable[Marks], colours: Bytes) -> None:
    """Blend a layer into `picture`, shape (h, w, 3), in place: where marks meet, the one that covers most is seen, whatever their order.

    `colours` has the shape (k, 3), k at most 256; of marks that cover equally, the one with the higher row is seen.
    """
    strongest = np.zeros(picture.shape[0] * picture.shape[1], np.uint16)
    for each in marks:
        np.maximum.at(strongest, each.pixel, (each.coverage.astype(np.uint16) << 8) | each.colour)
    touched = np.flatnonzero(strongest > FULL)
    if not len(touched):
        return
    seen = strongest[touched]
    blend(picture, touched, (seen >> 8).astype(np.uint8), colours.T[:, seen & 255] if len(colours) > 1 else colours.T)


def _whole_pixels(pixels: Bytes) -> NDArray[np.void]:
    """Return C-ordered pixels, (n, 3), as one element each."""
    return pixels.view(np.dtype((np.void, 3))).reshape(-1)
