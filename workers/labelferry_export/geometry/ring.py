"""Rings as numbers: area, length, what they enclose; and the rings of many shapes laid end to end for one pass of numpy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.shape import Ring, Shape

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def signed_area(ring: Ring) -> float:
    """Return the enclosed area in px^2 by the shoelace formula: positive when x turns towards y (clockwise on a screen)."""
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)) / 2


def enclosed(ring: Ring, points: Floats) -> Flags:
    """Return which of `points`, shape (k, 2), lie inside `ring` by the even-odd rule; a point on the line may fall on either side."""
    ahead = np.roll(ring, -1, axis=0)
    inside = np.zeros(len(points), dtype=np.bool_)
    for index, (x, y) in enumerate(points):
        crossing = (ring[:, 1] > y) != (ahead[:, 1] > y)
        start, end = ring[crossing], ahead[crossing]
        at = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
        inside[index] = np.count_nonzero(at > x) % 2 == 1
    return inside


@dataclass(frozen=True, eq=False)
class Rings:
    """The rings of several shapes, end to end, in the order shape, part, outer ring, holes.

    points: (n, 2) px; starts and sizes: (r,) first vertex and number of vertices of each ring; hole: (r,) whether it is one;
    part: (r,) index of its part among all parts; part_shape: (p,) index of the shape of each part; shapes: how many shapes.
    """

    points: Floats
    starts: Integers
    sizes: Integers
    hole: Flags
    part: Integers
    part_shape: Integers
    shapes: int

    @property
    def following(self) -> Integers:
        """For every vertex the index of the next one of its ring, (n,)."""
        ahead = np.arange(1, len(self.points) + 1)
        ahead[self.starts + self.sizes - 1] = self.starts
        return ahead

    @property
    def ring(self) -> Integers:
        """For every vertex the index of its ring, (n,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


def lay_out(shapes: Sequence[Shape]) -> Rings:
    """Return the rings of `shapes` end to end."""
    rings: list[Ring] = []
    holes: list[bool] = []
    parts: list[int] = []
    part_shape: list[int] = []
    for index, shape in enumerate(shapes):
        for part in shape.parts:
            number = len(part_shape)
            part_shape.append(index)
            rings.append(part.outer)
            holes.append(False)
            parts.append(number)
            for hole in part.holes:
                rings.append(hole)
                holes.append(True)
                parts.append(number)
    sizes = np.fromiter(map(len, rings), dtype=np.int64, count=len(rings))
    return Rings(
        points=np.concatenate(rings) if rings else np.empty((0, 2)),
        starts=np.cumsum(sizes) - sizes,
        sizes=sizes,
        hole=np.array(holes, dtype=np.bool_),
        part=np.array(parts, dtype=np.int64),
        part_shape=np.array(part_shape, dtype=np.int64),
        shapes=len(shapes),
    )
