"""Numbers on objects: each object's id at its anchor, white with a dark halo, as large as the object allows; specks get none."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Floats, Integers
from labelferry_export.overlays.anchors import anchors_of
from labelferry_export.overlays.ink import FULL, blend
from labelferry_export.overlays.numerals import SIZES, digits_of, numerals
from labelferry_export.overlays.stretches import Stretches

Bytes = NDArray[np.uint8]

HALO, GLYPH = 16, 255
"""Shades of grey."""
IMAGE_SHARE = 40
"""The font is at most this part of the image's shorter side, but for small images."""
LEAST_LARGEST = 11
"""The largest font of a small image, px."""
FITS = (0.8, 0.6)
"""A number is at most this share of its object's box, width and height, unless the smallest font is wider."""
HIDES = 2.2
"""An object gets no number that is more than so many times as long as it: the object would be lost under it."""
CLEARANCE = 5
"""Px of an object above and below the middle of its number."""


class Numbers:
    """The ids of an image's objects, with their places and sizes; drawn band by band."""

    def __init__(self, height: int, width: int) -> None:
        """`height` and `width` of the image, px."""
        self._size = (height, width)
        self._ids: list[int] = []
        self._place: Floats = np.empty((0, 2))
        self._fonts: Integers = np.empty(0, np.int64)

    def add(self, objects: Stretches, ids: Sequence[int]) -> None:
        """Add objects; `ids` are those of all that `objects` counts, the ones without pixels among them."""
        if not len(objects.owner):
            return
        anchors = anchors_of(objects, CLEARANCE)
        numbered = [ids[index] for index in anchors.index.tolist()]
        self._ids += numbered
        self._place = np.concatenate([self._place, anchors.place])
        self._fonts = np.concatenate([self._fonts, self._choose(numbered, anchors.box)])

    def draw(self, picture: Bytes, top: int) -> None:
        """Lay the numbers on a band of the picture, shape (rows, w, 3), in place; `top` is its first row."""
        rows, width = picture.shape[:2]
        y, margin = self._place[:, 1], 2 * SIZES[-1]
        near = (self._fonts > 0) & (y > top - margin) & (y < top + rows + margin)
        if not near.any():
            return
        halo, glyph = np.zeros(rows * width, np.uint8), np.zeros(rows * width, np.uint8)
        for font in SIZES:
            which = np.flatnonzero(near & (self._fonts == font))
            if len(which):
                pixel, halos, glyphs = self._tiles(font, which, top, (rows, width))
                np.maximum.at(halo, pixel, halos)
                np.maximum.at(glyph, pixel, glyphs)
        touched = np.flatnonzero(halo > 0)
        dark, bright = halo[touched].astype(np.float32) / FULL, glyph[touched].astype(np.float32) / FULL
        # The glyph over its halo, as one ink: what both cover together, and the shade of their mixture.
        below = dark * (1 - bright)
        shade = np.rint((HALO * below + GLYPH * bright) / (below + bright)).astype(np.uint8)
        blend(picture, touched, np.rint((below + bright) * FULL).astype(np.uint8), shade[None])

    def _choose(self, ids: Sequence[int], box: Floats) -> Integers:
        """Return the font size of each number, px, for objects with boxes (n, 2); 0 for no number."""
        digits, starts = digits_of(ids)
        speck = numerals(SIZES[0]).widths(digits, starts) > HIDES * box.max(axis=1)
        fonts = np.where(speck, 0, SIZES[0])
        room = box * FITS
        largest = max(LEAST_LARGEST, min(self._size) // IMAGE_SHARE)
        for size in (size for size in SIZES[1:] if size <= largest):
            tiles = numerals(size)
            fonts[(tiles.widths(digits, starts) <= room[:, 0]) & (tiles.height <= room[:, 1])] = size
        return fonts

    def _tiles(self, font: int, which: Integers, top: int, size: tuple[int, int]) -> tuple[Integers, Bytes, Bytes]:
        """Return pixel, coverage of the halo and coverage of the glyph, (n,), of the numbers `which` in one font."""
        tiles = numerals(font)
        digits, starts = digits_of([self._ids[index] for index in which.tolist()])
        widths = tiles.widths(digits, starts)
        corner = self._corners(self._place[which], widths, tiles.height)
        advance = tiles.advance[digits]
        number = np.repeat(np.arange(len(which)), np.diff(starts, append=len(digits)))
        along = np.cumsum(advance) - advance
        pen_x = corner[number, 0] + along - along[starts][number]
        return tiles.place(digits, (pen_x, corner[number, 1] - top), size)

    def _corners(self, place: Floats, widths: Integers, height: int) -> Integers:
        """Return the top left corners (x, y) of numbers centred on their places, moved into the image where they would leave it."""
        extent = np.stack([widths, np.full(len(widths), height)], axis=1)
        corner = np.rint(place - extent / 2).astype(np.int64)
        room = np.array([self._size[1], self._size[0]]) - extent - 1
        return np.clip(corner, 1, np.maximum(room, 1))
