"""Fills objects: exactly the pixels of their masks, so that holes stay open and overlay and mask agree."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Flags
from labelferry_export.overlays.ink import FULL, blend
from labelferry_export.overlays.stretches import Stretches

Bytes = NDArray[np.uint8]

BLOCK_PIXELS = 1 << 18
"""Pixels blended between two yields."""
HATCH_PERIOD = 8
HATCH_WIDTH = 3
"""A crowd is hatched: along a row, this many pixels of each period are filled."""


def fill(
    picture: Bytes, objects: Stretches, paint: tuple[Bytes, Bytes], crowds: Flags, opacity: float
) -> Iterator[None]:
    """Blend every object over `picture`, shape (h, w, 3), in place and in order; a yield after each block.

    paint: a table of colours (k, 3) and its row for each object; crowds: (objects,), which ones are hatched; opacity 0 to 1.
    Where objects overlap, the later lies on top.
    """
    coverage = round(opacity * FULL)
    if not coverage or not len(objects.owner):
        return
    colours, row = paint
    for block in _blocks(objects):
        pixel = block.pixels
        owner = np.repeat(block.owner, block.length) if len(colours) > 1 or crowds.any() else block.owner[:0]
        if crowds.any():
            seen = ~crowds[owner] | ((pixel % block.width + pixel // block.width) % HATCH_PERIOD < HATCH_WIDTH)
            pixel, owner = pixel[seen], owner[seen]
        blend(picture, pixel, coverage, colours.T[:, row[owner]] if len(colours) > 1 else colours.T)
        yield


def _blocks(objects: Stretches) -> Iterator[Stretches]:
    """Cut objects, in order, into blocks of about `BLOCK_PIXELS` in which no pixel is there twice."""
    ends = np.cumsum(objects.length)
    start, count = 0, len(ends)
    while start < count:
        done = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, done + BLOCK_PIXELS, side="right")))
        yield from _apart(objects.between(start, end))
        start = end


def _apart(block: Stretches) -> Iterator[Stretches]:
    """Halve a block between two objects until none overlap; an object never overlaps itself."""
    if block.owner[0] == block.owner[-1] or not block.overlap:
        yield block
        return
    middle = int(np.searchsorted(block.owner, block.owner[len(block.owner) // 2]))
    middle = middle or int(np.searchsorted(block.owner, block.owner[0], side="right"))
    yield from _apart(block.between(0, middle))
    yield from _apart(block.between(middle, len(block.owner)))
