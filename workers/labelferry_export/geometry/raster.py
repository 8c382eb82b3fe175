"""THE rule by which regions become pixels; every mask, area in pixels, RLE and overlay comes from here.

The rule is that of COCO's reference reader (rleFrPoly): vertices are rounded to a grid of 1/5 px, and a pixel is inside by the
even-odd rule along the centre of its column. See docs/decisions/0003-rasterisation.md. The reference walks the whole
outline; only where it steps over the centre of a column matters, and only that is computed here.
"""

from itertools import pairwise

import numpy as np

from labelferry_export.geometry.ring import Flags, Floats, Integers, Rings, Shapes, lay_out
from labelferry_export.geometry.runs import Box, Cover, Runs, cover, covered, odd_ones
from labelferry_export.geometry.shape import Shape

__all__ = ["Box", "Runs", "cover_of_all", "runs_of", "runs_of_all"]

GRID = 5
"""Steps of the reference's grid in a pixel."""
BEFORE_CENTRE = 2
"""The last step of a pixel before its centre; the next one lies behind it."""
FARTHEST = 1e8
"""No vertex lies farther out, px: beyond it the arithmetic is no longer exact. Cleaned shapes lie inside their image."""
MOST_AT_ONCE = 1 << 21
"""Crossings of lines and columns worked on together: an absurd outline takes time then, but not memory without end."""


def runs_of(shape: Shape, width: int, height: int) -> Runs:
    """Return the pixels of `shape` in an image of `width` x `height`; what lies outside of it is cut off."""
    return runs_of_all((shape,), width, height)[0]


def runs_of_all(shapes: Shapes, width: int, height: int) -> list[Runs]:
    """Return the pixels of each of `shapes` in an image of `width` x `height`, in one pass.

    A part is its outer ring without its holes, a shape the union of its parts. Raises ValueError for a vertex that is not finite.
    """
    edges, ends = _edges_of_all(shapes, width, height)
    return [Runs(width, height, edges[start:end]) for start, end in pairwise([0, *ends.tolist()])]


def cover_of_all(shapes: Shapes, width: int, height: int) -> Cover:
    """Return how many pixels each of `shapes` covers, and the box around them, as `Runs.area` and `Runs.bbox` say of one."""
    edges, ends = _edges_of_all(shapes, width, height)
    return cover(edges, ends, height)


def _edges_of_all(shapes: Shapes, width: int, height: int) -> tuple[Integers, Integers]:
    """Return the edges of all runs, (n,), and where those of each shape end, (k,)."""
    rings = lay_out(shapes)
    if not (np.abs(rings.points) < FARTHEST).all():
        raise ValueError(f"a vertex is not finite or farther out than {FARTHEST:.0f} px: clean the shape first")
    span = width * height + 1
    owner, edges = _edges(rings, width, height)
    if len(rings.part) > len(rings.part_shape):
        sign = np.where(rings.hole, -1, 1)[owner]
        owner, edges = _joined(rings.part[owner], edges, sign, span)
    else:
        owner = rings.part[owner]
    owner = rings.part_shape[owner]
    if len(rings.part_shape) > rings.shapes:
        owner, edges = _joined(owner, edges, np.ones_like(owner), span)
    return edges, np.cumsum(np.bincount(owner, minlength=rings.shapes))


def _joined(owner: Integers, edges: Integers, sign: Integers, span: int) -> tuple[Integers, Integers]:
    """Join the runs that have one owner: those of sign +1 cover, those of sign -1 uncover."""
    steps = (1 - 2 * (np.arange(len(edges)) % 2)) * sign
    keys = covered(owner * span + edges, steps)
    return np.divmod(keys, span)


def _edges(rings: Rings, width: int, height: int) -> tuple[Integers, Integers]:
    """Return for every ring the edges of its runs, with the index of the ring; sorted by both, an even number for each ring."""
    grid = np.trunc(rings.points * GRID + 0.5)
    ahead = grid[rings.following]
    first, times = _columns(grid[:, 0], ahead[:, 0], width)
    block = np.cumsum(times) // MOST_AT_ONCE
    keys: list[Integers] = []
    for chosen in np.split(np.arange(len(times)), np.flatnonzero(np.diff(block)) + 1):
        line = np.repeat(chosen, times[chosen])
        before = np.cumsum(times[chosen]) - times[chosen]
        column = np.arange(len(line)) + np.repeat(first[chosen] - before, times[chosen])
        step = _steps(grid[line], ahead[line], column * GRID + BEFORE_CENTRE)
        row = np.clip((step + GRID - 1 - BEFORE_CENTRE) // GRID, 0, height).astype(np.int64)
        key = rings.ring[line] * (width * height + 1) + column * height + row
        keys = [odd_ones(np.sort(np.concatenate([*keys, key])))]
    return np.divmod(keys[0], width * height + 1)


def _columns(start: Floats, end: Floats, width: int) -> tuple[Integers, Integers]:
    """Return the first column whose centre each line from x = `start` to `end` on the grid steps over, and how many they are."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    first = np.maximum(np.ceil((low - BEFORE_CENTRE) / GRID), 0).astype(np.int64)
    last = np.minimum(np.floor((high - BEFORE_CENTRE - 1) / GRID), width - 1).astype(np.int64)
    return first, np.maximum(last - first + 1, 0)


def _steps(start: Floats, end: Floats, centre: Integers) -> Floats:
    """Return the grid row, (k,), where each line steps from x = `centre` to `centre` + 1 or back: the lesser of the two rows."""
    reach = np.abs(end - start)
    flat = reach[:, 0] >= reach[:, 1]
    back = np.where(flat, start[:, 0] > end[:, 0], start[:, 1] > end[:, 1])[:, None]
    start, end = np.where(back, end, start), np.where(back, start, end)
    rows = np.empty(len(centre))
    rows[flat] = _flat_steps(start[flat], end[flat], centre[flat])
    steep = ~flat
    rows[steep] = _steep_steps(start[steep], end[steep], centre[steep])
    return rows


def _flat_steps(start: Floats, end: Floats, centre: Integers) -> Floats:
    """Lines at least as wide as high, left to right: the reference takes one step of x at a time and rounds y."""
    slope = (end[:, 1] - start[:, 1]) / (end[:, 0] - start[:, 0])
    along = centre - start[:, 0] + (slope < 0)
    return np.trunc(start[:, 1] + slope * along + 0.5)


def _steep_steps(start: Floats, end: Floats, centre: Integers) -> Floats:
    """Lines higher than wide, top to bottom: the reference takes one step of y at a time and rounds x.

    The step is found by division and then put right, because the reference's rounding decides, not the division's.
    """
    slope = (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
    rising = slope > 0

    def over(step: Floats) -> Flags:
        flags: Flags = (np.trunc(start[:, 0] + slope * step + 0.5) > centre) == rising
        return flags

    exact = (centre + 0.5 - start[:, 0]) / slope
    step = np.where(rising, np.ceil(exact), np.floor(exact) + 1)
    step = np.where(over(step), step, step + 1)
    step = np.where(over(step - 1), step - 1, step)
    return start[:, 1] + step - 1
