"""Outlines that annotation tools have as a word: boxes, ellipses, rings by the even-odd rule; and the check that points are points."""

from collections.abc import Sequence

import numpy as np
import shapely

from labelferry_export.geometry.nest import nest
from labelferry_export.geometry.shape import Part, Ring, Shape

ELLIPSE_VERTICES = 128
"""Of the polygon that a circle or an ellipse becomes, on the line itself: its area is 0.04 % short."""
FARTHEST = 1e8
"""Px from the origin: what lies farther out is no part of any image (and of no use in arithmetic)."""
MOST_RINGS = 2_000
"""Rings of one object whose nesting is found here: each may lie in each."""


class Unusable(Exception):
    """An object has no outline; the text says why, and fits behind `cannot be exported:`."""


def ring_of(points: object) -> Ring:
    """Return points as a file holds them, [[x, y], ...] (more coordinates are left out), as a ring without a closing vertex."""
    try:
        ring = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise Unusable("its outline is not made of pairs of numbers") from None
    if ring.ndim != 2 or ring.shape[1] < 2:
        raise Unusable("its outline is not made of pairs of numbers")
    ring = ring[:, :2]
    if len(ring) > 1 and (ring[0] == ring[-1]).all():
        ring = ring[:-1]
    if len(ring) < 3:
        raise Unusable("its outline has fewer than three distinct points")
    return ring


def box_ring(left: float, top: float, right: float, bottom: float) -> Ring:
    """Return the outline of a box given by its edges, px, in any order; raise `Unusable` when it encloses nothing."""
    (left, right), (top, bottom) = sorted((left, right)), sorted((top, bottom))
    if not (left < right and top < bottom):
        raise Unusable("its box is empty")
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def ellipse_ring(centre: tuple[float, float], radii: tuple[float, float]) -> Ring:
    """Return an ellipse as a polygon of `ELLIPSE_VERTICES` vertices; raise `Unusable` when it encloses nothing."""
    if not (radii[0] > 0 and radii[1] > 0):
        raise Unusable("its radius is not above 0")
    if not max(map(abs, (*centre, *radii))) < FARTHEST:
        raise Unusable("it is not finite, or absurdly large")
    angles = np.arange(ELLIPSE_VERTICES) * (2 * np.pi / ELLIPSE_VERTICES)
    ring: Ring = np.array(centre) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii
    return ring


def turned(ring: Ring, degrees: float) -> Ring:
    """Return a ring turned about the middle of its box, clockwise on a screen."""
    if not degrees:
        return ring
    centre = (ring.min(axis=0) + ring.max(axis=0)) / 2
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    after: Ring = (ring - centre) @ turn + centre
    return after


def is_sound(ring: Ring) -> bool:
    """Whether all vertices of a ring are finite, and not absurdly far out."""
    return bool((np.abs(ring) < FARTHEST).all())


def even_odd_shape(rings: Sequence[Ring]) -> Shape:
    """Return the region of rings that lie beside or within one another: what lies in an odd number of them is inside."""
    if not rings:
        raise Unusable("it has no outline")
    if len(rings) == 1:
        return Shape((Part(rings[0]),))
    if len(rings) > MOST_RINGS:
        raise Unusable(f"it has {len(rings)} rings, over the limit of {MOST_RINGS}")
    if not all(map(is_sound, rings)):
        raise Unusable("its outline has a coordinate that is not finite, or absurdly large")
    polygons = shapely.polygons([shapely.linearrings(ring) for ring in rings])
    inner = shapely.point_on_surface(polygons)
    point, around = shapely.STRtree(polygons).query(inner, predicate="intersects")
    # A point of a ring lies in the rings within it too: only those that are larger are around it.
    order = np.argsort(np.argsort(-shapely.area(polygons), kind="stable"))
    depth = np.bincount(point[order[around] < order[point]], minlength=len(rings))
    outers = [ring for ring, level in zip(rings, depth, strict=True) if level % 2 == 0]
    holes = [ring for ring, level in zip(rings, depth, strict=True) if level % 2]
    shape, stray = nest(outers, holes)
    return Shape((*shape.parts, *map(Part, stray)))
