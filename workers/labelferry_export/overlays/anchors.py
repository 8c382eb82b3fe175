"""Where in an object its number goes: the middle of its pixels, or, where that is not well inside, the place deepest inside."""

from dataclasses import dataclass

import numpy as np

from labelferry_export.geometry.ring import Flags, Floats, Integers
from labelferry_export.overlays.stretches import Stretches

GRID = 48
"""The deepest place is looked for on at most so many columns and rows of an object."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """For each of n objects that have pixels: its index, the place of its number (n, 2) px, and the size (n, 2) of its pixels' box."""

    index: Integers
    place: Floats
    box: Floats


def anchors_of(objects: Stretches, clearance: int) -> Anchors:
    """Return the anchors; a middle with `clearance` px of its object above and below, and twice that at its sides, is well inside.

    In an object that is flat or narrow, a quarter of its box does.
    """
    starts = np.flatnonzero(np.diff(objects.owner, prepend=-1))
    ends = np.append(starts[1:], len(objects.owner))
    length = objects.length.astype(np.float64)
    area = np.add.reduceat(length, starts)
    middle_x = np.add.reduceat(objects.x * length, starts) / area + 0.5
    middle_y = np.add.reduceat((objects.top + length / 2) * length, starts) / area
    high = np.minimum.reduceat(objects.top, starts)
    low = np.maximum.reduceat(objects.top + objects.length, starts)
    box = np.stack([objects.x[ends - 1] - objects.x[starts] + 1, low - high], axis=1).astype(np.float64)
    place = np.stack([middle_x, middle_y], axis=1)
    wanted = np.minimum([2 * clearance, clearance], box / 4)
    for each in np.flatnonzero(~_well_inside(objects, starts, place, wanted)).tolist():
        place[each] = _deepest(objects.between(int(starts[each]), int(ends[each])), int(high[each]), int(low[each]))
    return Anchors(objects.owner[starts], place, box)


def _well_inside(objects: Stretches, starts: Integers, place: Floats, wanted: Floats) -> Flags:
    """Return which places, (n, 2), have `wanted`, (n, 2) px, of their object on both sides, and above and below."""
    nth = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(objects.owner)))
    top, behind = objects.top, objects.top + objects.length
    x, y = place.T
    held = np.ones(len(starts), np.bool_)
    for aside, rise in ((0, wanted[:, 1]), (-wanted[:, 0], 0), (wanted[:, 0], 0)):
        column = np.floor(x + aside).astype(np.int64)
        around = (objects.x == column[nth]) & (top <= (y - rise)[nth]) & (behind >= (y + rise)[nth])
        held &= np.logical_or.reduceat(around, starts)
    return held


def _deepest(one: Stretches, high: int, low: int) -> tuple[float, float]:
    """Return the pixel's centre of one object that outlasts all others when the object is eaten away from its edges."""
    left = int(one.x[0])
    step = max(1, -(-max(int(one.x[-1]) - left + 1, low - high) // GRID))
    mask = _thinned(one, left, high, low, step)
    if not mask.any():
        longest = int(one.length.argmax())
        return float(one.x[longest]) + 0.5, float(one.top[longest] + one.length[longest] / 2)
    column, row = np.nonzero(_core(mask))
    nearest = int(((column - column.mean()) ** 2 + (row - row.mean()) ** 2).argmin())
    return left + step * int(column[nearest]) + 0.5, high + step * int(row[nearest]) + 0.5


def _thinned(one: Stretches, left: int, high: int, low: int, step: int) -> Flags:
    """Return every `step`-th column and row of one object's mask, shape (columns, rows)."""
    kept = (one.x - left) % step == 0
    column = (one.x[kept] - left) // step
    first = -((high - one.top[kept]) // step)
    behind = -((high - one.top[kept] - one.length[kept]) // step)
    change = np.zeros((int(one.x[-1] - left) // step + 1, (low - high - 1) // step + 2), np.int64)
    np.add.at(change, (column, first), 1)
    np.add.at(change, (column, behind), -1)
    return np.cumsum(change, axis=1)[:, :-1] > 0


def _core(mask: Flags) -> Flags:
    """Return what is left of a mask before the last bite: from the sides, and every other time from the corners too."""
    eaten = np.pad(mask, 1)
    turn = 0
    while True:
        core, inner = eaten, np.zeros_like(eaten)
        inner[1:-1, 1:-1] = core[1:-1, 1:-1] & core[:-2, 1:-1] & core[2:, 1:-1] & core[1:-1, :-2] & core[1:-1, 2:]
        if turn % 2:
            inner[1:-1, 1:-1] &= core[:-2, :-2] & core[2:, 2:] & core[:-2, 2:] & core[2:, :-2]
        if not inner.any():
            return core[1:-1, 1:-1]
        eaten, turn = inner, turn + 1
