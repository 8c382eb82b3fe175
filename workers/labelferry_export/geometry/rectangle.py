"""The rectangles around regions, many at once: along the axes, and those of least area at whatever angle."""

import numpy as np
import shapely

from labelferry_export.geometry.ring import Floats, Integers, Shapes, lay_out

EQUAL = 1e-9
"""Two rectangles whose areas differ by less than this share are equal: then the one turned least is taken."""
REACH = 1e-6
"""A corner this near to the border, px, is not outside of it."""
MOST_AT_ONCE = 1 << 20
"""Pairs of a side and a vertex worked on together; bounds the memory."""


def upright_boxes(shapes: Shapes) -> Floats:
    """Return the box around the vertices of each shape, (k, 4): left, top, right, bottom in px, as `Shape.bounds` says it of one."""
    if not shapes:
        return np.empty((0, 4))
    rings = lay_out(shapes)
    begin = rings.starts[np.flatnonzero(np.diff(rings.part_shape[rings.part], prepend=-1))]
    low, high = np.minimum.reduceat(rings.points, begin), np.maximum.reduceat(rings.points, begin)
    boxes: Floats = np.concatenate([low, high], axis=1)
    return boxes


def least_rectangles(shapes: Shapes, border: tuple[float, float] | None = None) -> Floats:
    """Return the corners of each shape's rectangle, (k, 4, 2): clockwise on a screen, from the uppermost (then leftmost) one.

    They may lie outside of the image, unless `border`, its width and height, is given: then the least rectangle within it is meant, and
    the shapes lie within it, so that at least their upright boxes do. One side of the least rectangle lies on a side of the convex hull (H. Freeman and R. Shapira,
    Determining the minimum-area encasing rectangle for an arbitrary closed curve, 1975), so every side is tried.
    """
    if not shapes:
        return np.empty((0, 4, 2))
    points, starts, sizes = _hulls(shapes)
    ahead = np.arange(1, len(points) + 1)
    ahead[starts + sizes - 1] = starts
    sides = points[ahead] - points
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    ways = np.where(lengths[:, None] > 0, sides, (1.0, 0.0)) / np.where(lengths > 0, lengths, 1.0)[:, None]
    extents = _extents(ways, points, np.repeat(starts, sizes), np.repeat(sizes, sizes))
    areas = (extents[:, 1] - extents[:, 0]) * (extents[:, 3] - extents[:, 2])
    if border is None:
        best = _least(areas, ways, starts, sizes)
        return _ordered(_corners(ways[best], extents[best]))
    corners = _corners(ways, extents)
    areas[((corners < -REACH) | (corners > np.add(border, REACH))).any(axis=(1, 2))] = np.inf
    best = _least(areas, ways, starts, sizes)
    boxes = upright_boxes(shapes)
    upright = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) <= areas[best]
    box_corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    return _ordered(np.where(upright[:, None, None], box_corners, corners[best]))


def _hulls(shapes: Shapes) -> tuple[Floats, Integers, Integers]:
    """Return the vertices of all convex hulls end to end, (n, 2), and where each begins and how many it has, (k,)."""
    rings = lay_out(shapes)
    hulls = shapely.convex_hull(shapely.linestrings(rings.points, indices=rings.part_shape[rings.part][rings.ring]))
    flat = shapely.get_type_id(hulls) != shapely.GeometryType.POLYGON
    hulls[flat] = shapely.box(*shapely.bounds(hulls[flat]).T)
    points, owner = shapely.get_coordinates(hulls, return_index=True)
    closed = np.bincount(owner)
    closing = np.cumsum(closed) - 1
    sizes = closed - 1
    return np.delete(points, closing, axis=0), np.cumsum(sizes) - sizes, sizes


def _extents(ways: Floats, points: Floats, starts: Integers, sizes: Integers) -> Floats:
    """Return (n, 4): least and greatest place of a hull along each of the directions `ways`, (n, 2), and at right angles to it.

    The hull of direction i has the vertices `starts[i]` to `starts[i] + sizes[i] - 1` of `points`.
    """
    extents = np.empty((len(ways), 4))
    block = np.cumsum(sizes) // MOST_AT_ONCE
    for chosen in np.split(np.arange(len(ways)), np.flatnonzero(np.diff(block)) + 1):
        times = sizes[chosen]
        begin = np.cumsum(times) - times
        x, y = points[np.arange(times.sum()) + np.repeat(starts[chosen] - begin, times)].T
        way_x, way_y = np.repeat(ways[chosen], times, axis=0).T
        for column, places in ((0, way_x * x + way_y * y), (2, way_x * y - way_y * x)):
            extents[chosen, column] = np.minimum.reduceat(places, begin)
            extents[chosen, column + 1] = np.maximum.reduceat(places, begin)
    return extents


def _least(areas: Floats, ways: Floats, starts: Integers, sizes: Integers) -> Integers:
    """Return for each hull the side whose rectangle has the least of `areas`, (n,), one a side; (k,)."""
    equal = areas <= np.repeat(np.minimum.reduceat(areas, starts), sizes) * (1 + EQUAL)
    turns = np.where(equal, np.arctan2(ways[:, 1], ways[:, 0]) % (np.pi / 2), np.inf)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    best: Integers = np.lexsort((turns, owner))[starts]
    return best


def _corners(ways: Floats, extents: Floats) -> Floats:
    """Return the corners, (k, 4, 2), of rectangles along `ways`, (k, 2), clockwise from any one."""
    along, across = extents[:, [0, 1, 1, 0], None], extents[:, [2, 2, 3, 3], None]
    corners: Floats = along * ways[:, None] + across * (ways[:, ::-1] * (-1.0, 1.0))[:, None]
    return corners


def _ordered(corners: Floats) -> Floats:
    """Return corners, (k, 4, 2), with the uppermost, then leftmost, of each rectangle first."""
    order = np.lexsort((corners[..., 0], corners[..., 1]))[:, :1]
    turned: Floats = np.take_along_axis(corners, ((order + np.arange(4)) % 4)[..., None], axis=1)
    return turned
