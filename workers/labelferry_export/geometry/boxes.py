"""Upright boxes around the vertices of many shapes in one pass. Boxes around the pixels are those of the runs."""

from collections.abc import Sequence

import numpy as np

from labelferry_export.geometry.ring import Floats
from labelferry_export.geometry.shape import Shape


def boxes(shapes: Sequence[Shape]) -> Floats:
    """Return left, top, right and bottom of each of `shapes` in px, shape (n, 4); each must have a part."""
    if not shapes:
        return np.empty((0, 4))
    points = np.concatenate([part.outer for shape in shapes for part in shape.parts])
    sizes = [sum(len(part.outer) for part in shape.parts) for shape in shapes]
    starts = np.cumsum([0, *sizes[:-1]])
    return np.hstack([np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)])
