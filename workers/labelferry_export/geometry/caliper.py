"""Caliper widths of convex hulls: the greatest, the least, and the one at right angles to the greatest. Exact, many hulls at once."""

import numpy as np

from labelferry_export.geometry.ring import Floats, Integers

SMALLEST_BUCKET = 8
MOST_AT_ONCE = 1 << 20
"""Pairs of vertices worked on together; bounds the memory."""


def caliper_widths(points: Floats, sizes: Integers) -> Floats:
    """Return (r, 3): greatest, least and orthogonal caliper width of r convex rings, px.

    points: (n, 2) their vertices end to end; sizes: (r,) vertices of each, at least 1. The greatest width joins two vertices; the least one
    stands at right angles to a side (H. Pirzadeh, Computational geometry with the rotating calipers, 1999). Hulls have few
    vertices, so all pairs are looked at, in buckets of hulls of similar size, instead of walking around each one.
    """
    widths = np.zeros((len(sizes), 3))
    starts = np.cumsum(sizes) - sizes
    bucket = np.ceil(np.log2(np.maximum(sizes, SMALLEST_BUCKET))).astype(np.int64)
    for exponent in np.unique(bucket):
        members = np.flatnonzero(bucket == exponent)
        size = min(2**exponent, int(sizes[members].max()))
        step = max(1, MOST_AT_ONCE // size**2)
        for begin in range(0, len(members), step):
            chosen = members[begin : begin + step]
            places = np.minimum(np.arange(size)[:, None], sizes[chosen] - 1) + starts[chosen]
            hulls = points[places] - points[starts[chosen]]
            widths[chosen] = _widths(hulls[..., 0], hulls[..., 1])
    return widths


def _widths(x: Floats, y: Floats) -> Floats:
    """Return (k, 3) for k hulls; x and y have the shape (size, k), the last vertex of a hull repeated to fill it up."""
    along, reach = _diameters(x, y)
    least = _least_extents(x, y)
    spread = np.ptp(along[0] * y - along[1] * x, axis=0) / np.where(reach > 0, reach, 1)
    return np.stack([reach, np.minimum(least, reach), spread], axis=1)


def _diameters(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return for each hull the vector between its two farthest vertices, (2, k), and its length, (k,)."""
    size, hulls = x.shape
    number = np.arange(hulls)
    best = np.zeros(hulls)
    along = np.zeros((2, hulls))
    for rows in _blocks(size, hulls):
        squares = ((x[rows, None] - x) ** 2 + (y[rows, None] - y) ** 2).reshape(-1, hulls)
        pair = squares.argmax(axis=0)
        start, end = pair // size + rows.start, pair % size
        vector = np.stack([x[end, number] - x[start, number], y[end, number] - y[start, number]])
        farther = squares[pair, number] > best
        best = np.where(farther, squares[pair, number], best)
        along = np.where(farther, vector, along)
    return along, np.hypot(along[0], along[1])


def _least_extents(x: Floats, y: Floats) -> Floats:
    """Return for each hull the least extent at right angles to one of its sides, (k,)."""
    size, hulls = x.shape
    side_x, side_y = np.roll(x, -1, axis=0) - x, np.roll(y, -1, axis=0) - y
    length = np.hypot(side_x, side_y)
    least = np.full(hulls, np.inf)
    for rows in _blocks(size, hulls):
        real = length[rows] > 0
        heights = side_x[rows, None] * y - side_y[rows, None] * x
        extents = (heights.max(axis=1) - heights.min(axis=1)) / np.where(real, length[rows], 1)
        least = np.minimum(least, np.where(real, extents, np.inf).min(axis=0))
    return np.where(np.isfinite(least), least, 0.0)


def _blocks(size: int, hulls: int) -> list[slice]:
    step = max(1, MOST_AT_ONCE // (size * hulls))
    return [slice(begin, min(begin + step, size)) for begin in range(0, size, step)]
