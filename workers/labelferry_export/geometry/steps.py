"""Rings drawn from pixel to pixel, as contour finders draw them: whether they are simple is counted, not computed.

A side goes from a whole-numbered point to one of its eight neighbours. Two such sides can only meet at a point that is a vertex
of both, or cross in the middle of a cell, as its two diagonals. So the ring is simple when no vertex, and no diagonal's cell, occurs twice.
"""

import numpy as np

from labelferry_export.geometry.ring import Flags, Floats, Integers, Rings

BITS = 15
FARTHEST = 1 << BITS
"""Coordinates are below it, and so are the numbers of rings looked at together: three of them fit into one integer."""


def simple_steps(rings: Rings, looked_at: Flags) -> Flags:
    """Return which rings, (r,), of those that are looked at, are drawn in single steps and do not meet themselves: valid, with an area.

    Those that are looked at have at least three vertices, none of them the same as the one before it, and all coordinates at least 0.
    """
    x, y = np.ascontiguousarray(rings.points.T)
    # Of rings that are not looked at anything may be wrong.
    with np.errstate(invalid="ignore"):
        dx, dy = _following(rings, x) - x, _following(rings, y) - y
    fit = (
        (np.abs(dx) <= 1)
        & (np.abs(dy) <= 1)
        & (x == np.trunc(x))
        & (y == np.trunc(y))
        & (x < FARTHEST)
        & (y < FARTHEST)
    )
    misfits = np.concatenate([[0], np.cumsum(~fit)])
    simple: Flags = looked_at & (misfits[rings.starts + rings.sizes] == misfits[rings.starts])
    for first in range(0, len(simple), FARTHEST):
        chosen = np.zeros(len(simple), np.bool_)
        chosen[first : first + FARTHEST] = simple[first : first + FARTHEST]
        if chosen.any():
            taken = np.repeat(chosen, rings.sizes)
            simple[chosen] = _never_twice(np.stack([x, y, dx, dy])[:, taken].astype(np.int64), rings.sizes[chosen])
    return simple


def _following(rings: Rings, values: Floats) -> Floats:
    """Return for every vertex the value of the next one of its ring."""
    there = rings.sizes > 0
    ahead = np.roll(values, -1)
    ahead[(rings.starts + rings.sizes - 1)[there]] = values[rings.starts[there]]
    return ahead


def _never_twice(sides: Integers, sizes: Integers) -> Flags:
    """Return for which rings, of so many vertices each, (k,), no vertex and no diagonal's cell occurs twice; sides: (4, n) x, y, dx, dy."""
    x, y, dx, dy = sides
    owner = np.repeat(np.arange(len(sizes)) << 2 * BITS, sizes)
    diagonal = np.flatnonzero(dx * dy)
    once = np.ones(len(sizes), np.bool_)
    cells = owner + (np.minimum(y, y + dy) << BITS) + np.minimum(x, x + dx)
    for keys in (owner + (y << BITS) + x, cells[diagonal]):
        keys.sort()
        once[keys[1:][keys[1:] == keys[:-1]] >> 2 * BITS] = False
    return once
