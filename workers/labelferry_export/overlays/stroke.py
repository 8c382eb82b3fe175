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
        covered = self._coverage(begin - corner, reach)
        x, y = corner.astype(np.int64).T
        rows, width = size
        seen = covered > 0
        last = self._window - 1
        if min(x.min(), y.min()) < 0 or x.max() + last >= width or y.max() + last >= rows:
            across, down = x[:, None] + np.arange(self._window), y[:, None] + np.arange(self._window)
            seen &= ((down >= 0) & (down < rows))[:, :, None] & ((across >= 0) & (across < width))[:, None, :]
        window, place = np.divmod(np.flatnonzero(seen), self._window**2)
        step = (np.arange(self._window)[:, None] * width + np.arange(self._window)).reshape(-1)
        return Marks((y * width + x)[window] + step[place], covered[seen], colour[window])

    def _coverage(self, begin: Floats, reach: Floats) -> NDArray[np.uint8]:
        """Return how much of each pixel of the windows the stroke covers, (pieces, window, window), by its centre's distance.

        `begin` is told from a window's corner; single precision does for the few pixels of a window.
        """
        a, d = begin.astype(np.float32)[:, :, None], reach.astype(np.float32)[:, :, None]
        centre = np.arange(self._window, dtype=np.float32) + np.float32(0.5)
        x, y = centre - a[:, 0], centre - a[:, 1]
        dx, dy = d[:, 0], d[:, 1]
        length = np.maximum(dx * dx + dy * dy, np.float32(1e-12))
        along = (x * dx / length)[:, None, :] + (y * dy / length)[:, :, None]
        np.minimum(along, 1, out=along)
        np.maximum(along, 0, out=along)
        aside = x[:, None, :] - along * dx[:, :, None]
        aside *= aside
        along *= -dy[:, :, None]
        along += y[:, :, None]
        along *= along
        aside += along
        np.sqrt(aside, out=aside)
        # From distance to coverage: 1 within the stroke, 0 a pixel farther out, and between them what is cut off.
        np.subtract(np.float32(self._half + 0.5), aside, out=aside)
        aside *= FULL
        aside += np.float32(0.5)
        np.minimum(aside, FULL, out=aside)
        np.maximum(aside, 0, out=aside)
        return aside.astype(np.uint8)
