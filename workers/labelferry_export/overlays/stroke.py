"""Outlines: the pixels near the rings of shapes, those of holes too, each covered by how near it is. Smooth at any width."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Floats, Rings
from labelferry_export.overlays.ink import FULL, Marks

Bytes = NDArray[np.uint8]

PIECE = 1.0
"""Greatest width or height of a piece of a line, px: with it the window around a piece is as small as can be."""
WINDOW_SAMPLES = 1 << 19
"""Pixel distances that are computed at a time."""


class Outlines:
    """The rings of an image's shapes, cut into short pieces."""

    def __init__(self, rings: Rings, colour: Bytes, width: float) -> None:
        """`colour`: (shapes,) the row of the colour table of each shape; `width` of the stroke, px, above 0."""
        start = np.ascontiguousarray(rings.points.T)
        way = start[:, rings.following] - start
        pieces = np.maximum(np.ceil(np.abs(way).max(axis=0) / PIECE), 1).astype(np.int64)
        colours = colour[rings.part_shape[rings.part]].repeat(rings.sizes)
        if (pieces > 1).any():
            line = np.repeat(np.arange(len(pieces)), pieces)
            nth = np.arange(len(line)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
            way = (way / pieces)[:, line]
            start, colours = start[:, line] + way * nth, colours[line]
        self._begin, self._reach, self._colour = start, way, colours
        self._half = width / 2
        self._window = math.ceil(width + 1 + PIECE)

    def marks(self, top: int, rows: int, width: int) -> Iterator[Marks]:
        """Yield the marks within the rows `top` to `top + rows - 1` of an image of `width` px, pixel 0 at the left of row `top`."""
        margin = self._half + 1 + PIECE
        y = self._begin[1]
        near = np.flatnonzero((y > top - margin) & (y < top + rows + margin))
        batch = max(1, WINDOW_SAMPLES // self._window**2)
        for at in range(0, len(near), batch):
            some = near[at : at + batch]
            begin = self._begin[:, some] - np.array([[0], [top]])
            yield self._near(begin, self._reach[:, some], self._colour[some], (rows, width))

    def _near(self, begin: Floats, reach: Floats, colour: Bytes, size: tuple[int, int]) -> Marks:
        corner = np.ceil(begin + reach / 2 - (self._window + 1) / 2)
        covered = self._coverage(begin - corner, reach)
        x, y = corner.astype(np.int64)
        rows, width = size
        seen = covered > 0
        last = self._window - 1
        if min(x.min(), y.min()) < 0 or x.max() + last >= width or y.max() + last >= rows:
            across, down = (each + np.arange(self._window)[:, None] for each in (x, y))
            seen &= ((down >= 0) & (down < rows))[:, None] & ((across >= 0) & (across < width))
        step = (np.arange(self._window)[:, None] * width + np.arange(self._window)).reshape(-1)
        place, piece = np.divmod(np.flatnonzero(seen), len(x))
        return Marks((y * width + x)[piece] + step[place], covered[seen], colour[piece])

    def _coverage(self, begin: Floats, reach: Floats) -> Bytes:
        """Return how much of each pixel of the windows the stroke covers, (window, window, n), by the distance of the pixel's centre.

        begin and reach: (2, n); `begin` is told from a window's corner, so that single precision does. Pieces lie along the
        last axis, because numpy is quick along long rows only.
        """
        (x, y), (dx, dy) = begin.astype(np.float32), reach.astype(np.float32)
        centre = np.arange(self._window, dtype=np.float32)[:, None] + np.float32(0.5)
        x, y = (centre - x)[None, :, :], (centre - y)[:, None, :]
        length = np.maximum(dx * dx + dy * dy, np.float32(1e-12))
        along = x * (dx / length) + y * (dy / length)
        np.minimum(along, 1, out=along)
        np.maximum(along, 0, out=along)
        distance = x - along * dx
        distance *= distance
        along *= -dy
        along += y
        along *= along
        distance += along
        np.sqrt(distance, out=distance)
        # From distance to coverage: 1 within the stroke, 0 a pixel farther out, and between them what is cut off.
        np.subtract(np.float32(self._half + 0.5), distance, out=distance)
        distance *= FULL
        distance += np.float32(0.5)
        np.minimum(distance, FULL, out=distance)
        np.maximum(distance, 0, out=distance)
        covered: Bytes = distance.astype(np.uint8)
        return covered
