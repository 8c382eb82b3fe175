"""Rings as numbers: area, length, what they enclose; and the rings of many shapes laid end to end for one pass of numpy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.shape import Part, Ring, Shape

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
BOTH = np.uint16(0x0101)
Value = TypeVar("Value", bound=np.generic)


def next_of(ring: NDArray[Value]) -> NDArray[Value]:
    """Return for every vertex of a ring the one after it."""
    return np.concatenate([ring[1:], ring[:1]])


def signed_area(ring: Ring) -> float:
    """Return the enclosed area in px^2 by the shoelace formula: positive when x turns towards y (clockwise on a screen)."""
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    return float(np.dot(x, next_of(y)) - np.dot(next_of(x), y)) / 2


def enclosed(ring: Ring, points: Floats) -> Flags:
    """Return which of `points`, shape (k, 2), lie inside `ring` by the even-odd rule; a point on the line may fall on either side."""
    ahead = next_of(ring)
    inside = np.zeros(len(points), dtype=np.bool_)
    for index, (x, y) in enumerate(points):
        crossing = (ring[:, 1] > y) != (ahead[:, 1] > y)
        start, end = ring[crossing], ahead[crossing]
        at = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
        inside[index] = np.count_nonzero(at > x) % 2 == 1
    return inside


def both(flags: Flags) -> Flags:
    """Return for each row of flags, (n, 2), whether both are set, (n,): `all` along so short an axis takes fifty times as long."""
    together: Flags = np.ascontiguousarray(flags).view(np.uint16).reshape(-1) == BOTH
    return together


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

    @classmethod
    def counted(cls, points: Floats, sizes: Integers, rings_of_part: Integers, parts_of_shape: Integers) -> Self:
        """Return rings told by counts: vertices of each ring, (r,), rings of each part, (p,), at least 1, parts of each shape, (s,)."""
        hole = np.ones(len(sizes), dtype=np.bool_)
        hole[np.cumsum(rings_of_part) - rings_of_part] = False
        return cls(
            points=points,
            starts=np.cumsum(sizes) - sizes,
            sizes=sizes,
            hole=hole,
            part=np.repeat(np.arange(len(rings_of_part)), rings_of_part),
            part_shape=np.repeat(np.arange(len(parts_of_shape)), parts_of_shape),
            shapes=len(parts_of_shape),
        )

    def __len__(self) -> int:
        return self.shapes

    @property
    def following(self) -> Integers:
        """For every vertex the index of the next one of its ring, (n,)."""
        return self.ahead(np.arange(len(self.points)))

    def ahead(self, values: NDArray[Value]) -> NDArray[Value]:
        """Return for every vertex the value of the next one of its ring; values: (n,)."""
        there = self.sizes > 0
        starts = self.starts[there]
        ahead = np.empty_like(values)
        ahead[:-1] = values[1:]
        ahead[starts + self.sizes[there] - 1] = values[starts]
        return ahead

    @property
    def ring(self) -> Integers:
        """For every vertex the index of its ring, (n,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def rings_of_part(self) -> Integers:
        """How many rings each part has, (p,)."""
        return np.bincount(self.part, minlength=len(self.part_shape))

    @property
    def parts_of_shape(self) -> Integers:
        """How many parts each shape has, (s,)."""
        return np.bincount(self.part_shape, minlength=self.shapes)

    @property
    def are_single(self) -> bool:
        """Whether every shape is one ring, its outline."""
        return len(self.sizes) == len(self.part_shape) == self.shapes and bool((self.parts_of_shape == 1).all())

    def taken(self, chosen: Integers) -> Self:
        """Return the shapes with these indices, (k,), in this order."""
        parts_of_shape, rings_of_part = self.parts_of_shape, self.rings_of_part
        parts = _stretches(np.cumsum(parts_of_shape) - parts_of_shape, parts_of_shape, chosen)
        rings = _stretches(np.cumsum(rings_of_part) - rings_of_part, rings_of_part, parts)
        points = self.points[_stretches(self.starts, self.sizes, rings)]
        return self.counted(points, self.sizes[rings], rings_of_part[parts], parts_of_shape[chosen])

    def shape_list(self) -> list[Shape]:
        """Return the shapes one by one; their rings are views."""
        points = self.points
        rings = [
            points[start : start + size] for start, size in zip(self.starts.tolist(), self.sizes.tolist(), strict=True)
        ]
        if self.are_single:
            return [Shape((Part(ring),)) for ring in rings]
        left = iter(rings)
        parts = iter([Part(next(left), tuple(islice(left, count - 1))) for count in self.rings_of_part.tolist()])
        return [Shape(tuple(islice(parts, count))) for count in self.parts_of_shape.tolist()]


def _stretches(starts: Integers, sizes: Integers, chosen: Integers) -> Integers:
    """Return the numbers in the chosen ones of several stretches, end to end."""
    sizes = sizes[chosen]
    shift: Integers = np.repeat(starts[chosen] - (np.cumsum(sizes) - sizes), sizes)
    return np.arange(len(shift)) + shift


def joined(several: Sequence[Rings]) -> Rings:
    """Return the shapes of `several`, end to end."""
    if len(several) == 1:
        return several[0]
    if not several:
        return lay_out([])
    return Rings.counted(
        points=np.concatenate([each.points for each in several]),
        sizes=np.concatenate([each.sizes for each in several]),
        rings_of_part=np.concatenate([each.rings_of_part for each in several]),
        parts_of_shape=np.concatenate([each.parts_of_shape for each in several]),
    )


Shapes = Sequence[Shape] | Rings
"""Several shapes, one by one or laid out."""


def lay_out(shapes: Shapes) -> Rings:
    """Return the rings of `shapes` end to end."""
    if isinstance(shapes, Rings):
        return shapes
    parts = [part for shape in shapes for part in shape.parts]
    rings = [ring for part in parts for ring in (part.outer, *part.holes)]
    return Rings.counted(
        points=np.concatenate(rings) if rings else np.empty((0, 2)),
        sizes=_counts(map(len, rings), len(rings)),
        rings_of_part=_counts((1 + len(part.holes) for part in parts), len(parts)),
        parts_of_shape=_counts((len(shape.parts) for shape in shapes), len(shapes)),
    )


def _counts(numbers: Iterable[int], count: int) -> Integers:
    return np.fromiter(numbers, dtype=np.int64, count=count)
