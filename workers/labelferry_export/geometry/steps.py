"""Rings drawn from pixel to pixel, as contour finders draw them: whether they are simple is counted, not computed.

A side goes from a whole-numbered point to one of its eight neighbours. Two such sides can only meet at a point that is a vertex
of both, or cross in the middle of a cell, as its two diagonals. So the ring is simple when no vertex, and no diagonal's cell, occurs twice.
"""

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Flags, Integers, Rings, both

_SMALL, _PAIR = np.dtype("<i2"), np.dtype("<i4")
"""A whole coordinate; and x and y beside each other as one number, x + 65536 y."""
_OWNER_BITS = 32
_STAY = 1 << 16 | 1
"""What is added to the difference of two pairs, so that no step is below 0: 65536 (dy + 1) + dx + 1."""
_MOST, _LOW, _NO_DIAGONAL = np.uint32(2 << 16 | 2), np.uint32(0xFFFF), np.uint32(_STAY)

Pairs = NDArray[np.int32]


def simple_steps(rings: Rings, looked_at: Flags) -> Flags:
    """Return which rings, (r,), of those that are looked at, are drawn in single steps and do not meet themselves: valid, with an area.

    Those that are looked at have at least three vertices, none of them the same as the one before it, and all coordinates at least 0.
    """
    points = np.ascontiguousarray(rings.points)
    # Of rings that are not looked at anything may be wrong.
    with np.errstate(invalid="ignore"):
        small = points.astype(_SMALL)
    pairs = small.view(_PAIR).reshape(-1)
    steps = (rings.ahead(pairs) - pairs + np.int32(_STAY)).view(np.uint32)
    fit = both(small == points) & (steps <= _MOST) & ((steps & _LOW) <= 2)
    simple = looked_at.copy()
    if not fit.all():
        misfits = np.concatenate([[0], np.cumsum(~fit)])
        simple &= misfits[rings.starts + rings.sizes] == misfits[rings.starts]
    if simple.all():
        return _never_twice(pairs, steps, rings.sizes)
    if simple.any():
        taken = np.repeat(simple, rings.sizes)
        simple[simple] = _never_twice(pairs[taken], steps[taken], rings.sizes[simple])
    return simple


def _never_twice(pairs: Pairs, steps: NDArray[np.uint32], sizes: Integers) -> Flags:
    """Return for which rings, of so many vertices each, (k,), no vertex and no diagonal's cell occurs twice; pairs, steps: (n,)."""
    owner = np.repeat(np.arange(len(sizes)) << _OWNER_BITS, sizes)
    slanted = np.flatnonzero((steps & _NO_DIAGONAL) == 0)
    ways = steps[slanted].astype(np.int64)
    # A cell's number is that of its corner with the least x and y: where the step goes down, that is one less.
    cells = owner[slanted] + pairs[slanted] - _STAY + ((ways & (_STAY << 1)) >> 1)
    once = np.ones(len(sizes), np.bool_)
    for keys in (owner + pairs, cells):
        keys.sort()
        once[keys[1:][keys[1:] == keys[:-1]] >> _OWNER_BITS] = False
    return once
