"""Outlines: the pixels near the rings of shapes, those of holes too, each covered by how near it is. Smooth at any width."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Floats, Integers, Rings
from labelferry_export.overlays.ink import FULL, Marks

PIECE = 1.99
"""Longest piece of a line, px: below 2, so that the window around a piece is one pixel smaller."""
WINDOW_SAMPLES = 1 << 19
"""Pixel distances that are computed at a time."""


class Outlines:
    """The rings of an image's shapes, cut into short pieces that are sorted by height, so that bands of the image find theirs."""

    def __init__(self, rings: Rings, colour: Integers, width: float) -> None:
        """`colour`: (shapes,) the row of the colour table of each shape; `width` of the stroke, px, above 0."""
        start, end = rings.points, rings.points[rings.following]
        pieces = np.maximum(np.ceil(np.hypot(*(end - start).T) / PIECE), 1).astype(np.int64)
        line = np.repeat(np.arange(len(start)), pieces)
        nth = np.arange(len(line)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        reach = (end - start)[line] / pieces[line, None]
        begin = start[line] + reach * nth[:, None]
        order = np.argsort(begin[:, 1], kind="stable")
        self._begin, self._reach = begin[order], reach[order]
        self._colour = colour[rings.part_shape[rings.part[rings.ring[line]]]][order]
        self._half = width / 2
        self._window = int(2 * self._half + 1 + PIECE) + 1

    def marks(self, top: int, rows: int, width: int) -> Iterator[Marks]:
        """Yield the marks within the rows `top` to `top + rows - 1` of an image of `width` px, pixel 0 at the left of row `top`."""
        margin = self._half + 1 + PIECE
        first, last = np.searchsorted(self._begin[:, 1], (top - margin, top + rows + margin)).tolist()
        batch = max(1, WINDOW_SAMPLES // self._window**2)
        for at in range(first, last, batch):
            part = slice(at, min(at + batch, last))
            yield self._near(self._begin[part] - (0, top), self._reach[part], self._colour[part], (rows, width))

    def _near(self, begin: Floats, reach: Floats, colour: Integers, size: tuple[int, int]) -> Marks:
        corner = np.ceil(begin + reach / 2 - self._window / 2 - 0.5)
        coverage = self._coverage(begin - corner, reach)
        x = corner[:, 0].astype(np.int64)[:, None] + np.arange(self._window)
        y = corner[:, 1].astype(np.int64)[:, None] + np.arange(self._window)
        inside = ((y >= 0) & (y < size[0]))[:, :, None] & ((x >= 0) & (x < size[1]))[:, None, :]
        seen = np.flatnonzero((coverage > 0) & inside)
        pixel = (y * size[1])[:, :, None] + x[:, None, :]
        return Marks(
            pixel.reshape(-1)[seen], coverage.reshape(-1)[seen], colour[seen // self._window**2]
        )

    def _coverage(self, begin: Floats, reach: Floats) -> NDArray[np.uint8]:
        """Return how much of each pixel of the windows the stroke covers, (pieces, window, window), by its centre's distance.

        `begin` is told from a window's corner; single precision does for the few pixels of a window.
        """
        a, d = begin.astype(np.float32), reach.astype(np.float32)
        centre = np.arange(self._window, dtype=np.float32) + np.float32(0.5)
        x = (centre - a[:, :1])[:, None, :]
        y = (centre - a[:, 1:])[:, :, None]
        dx, dy = d[:, 0, None, None], d[:, 1, None, None]
        along = (x * dx + y * dy) / np.maximum(dx * dx + dy * dy, np.float32(1e-12))
        np.clip(along, 0, 1, out=along)
        distance = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
        covered = np.clip(np.float32(self._half + 0.5) - distance, 0, 1)
        return np.rint(covered * np.float32(FULL)).astype(np.uint8)
