"""Rings that cross themselves made into regions, and regions joined, cut and turned back into parts. Shapely is spoken here."""

import numpy as np
import shapely
from shapely import Geometry

from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.ring import Flags, enclosed, next_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.geometry.trace import shape_of_runs

NO_AREA = 1e-12
"""A region is a line when its area is at most this share of the square of its longer side: rounding makes that much."""
SAMPLE, SMALL_SAMPLE, FEW = 512, 64, 15_000
"""So many sides stand for all; a small sample where there are not few."""
MOST_LOOKED_AT = 3e8
"""Pairs of sides that are looked at to find out whether a ring meets itself: a second or two."""
PAIRS_AT_ONCE = 1 << 20
MOST_MEETINGS = 20_000
MEETINGS_OF_A_VERTEX = 8


def polygon_of(part: Part) -> Geometry:
    """Return a part as a shapely polygon, valid or not."""
    return shapely.polygons(part.outer, holes=[shapely.linearrings(hole) for hole in part.holes] or None)


def parts_of(geometry: Geometry) -> tuple[Part, ...]:
    """Return the polygons of a shapely geometry as parts; lines, points and polygons without area are left out."""
    if shapely.get_type_id(geometry) == shapely.GeometryType.POLYGON:
        return (_part(geometry),) if have_area(geometry) else ()
    polygons = shapely.get_parts(shapely.get_parts(geometry))
    polygons = polygons[shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON]
    return tuple(_part(polygon) for polygon in polygons[have_area(polygons)])


def have_area(polygons: Geometry) -> Flags:
    """Return which of an array of polygons enclose more than rounding errors."""
    bounds = shapely.bounds(polygons)
    side = np.maximum(bounds[..., 2] - bounds[..., 0], bounds[..., 3] - bounds[..., 1])
    flags: Flags = shapely.area(polygons) > NO_AREA * side * side
    return flags


def even_odd(ring: Ring) -> Geometry:
    """Return what a ring that is not simple encloses by the even-odd rule, as a valid geometry, empty when that is nothing.

    The outline is cut where it meets itself, and each face between the pieces is kept when a ray from it crosses the ring an odd number of
    times. For a `tangled` ring this would take for ever.
    """
    noded = shapely.union_all([shapely.linestrings(np.concatenate([ring, ring[:1]]))])
    faces = shapely.get_parts(shapely.polygonize([noded]))
    inside = enclosed(ring, shapely.get_coordinates(shapely.point_on_surface(faces)))
    return shapely.union_all(faces[inside])


def pixels_of(ring: Ring, width: int, height: int) -> Geometry:
    """Return the pixels in the image that a ring encloses, as a valid geometry, empty when there are none."""
    traced = shape_of_runs(runs_of(Shape((Part(ring),)), width, height))
    return shapely.multipolygons([polygon_of(part) for part in traced.parts] if traced else [])


def tangled(ring: Ring) -> bool:
    """Return whether the sides of a ring meet each other absurdly often, judged by the boxes around an even sample of them."""
    if len(ring) ** 2 <= MOST_MEETINGS + MEETINGS_OF_A_VERTEX * len(ring):
        # Not even if every side met every other one.
        return False
    return _meetings(ring) > MOST_MEETINGS + MEETINGS_OF_A_VERTEX * len(ring)


def endless(ring: Ring) -> bool:
    """Return whether it would take for ever to find out if a ring meets itself, so many of its sides lie side by side."""
    return len(ring) ** 2 > MOST_LOOKED_AT and _meetings(ring) > MOST_LOOKED_AT


def _meetings(ring: Ring) -> float:
    """Return about how many pairs of sides have boxes that meet, each counted twice, judged by an even sample."""
    ahead = next_of(ring)
    low, high = np.minimum(ring, ahead).T, np.maximum(ring, ahead).T
    sample = np.arange(0, len(ring), max(1, len(ring) // (SAMPLE if len(ring) < FEW else SMALL_SAMPLE)))
    at_once = max(1, PAIRS_AT_ONCE // len(ring))
    met = 0
    for some in np.split(sample, range(at_once, len(sample), at_once)):
        by_side = (
            (below <= above[some, None]) & (above >= below[some, None]) for below, above in zip(low, high, strict=True)
        )
        met += int(np.count_nonzero(np.logical_and(*by_side)))
    return float(met * len(ring) / len(sample))


def _part(polygon: Geometry) -> Part:
    if not shapely.get_num_interior_rings(polygon):
        return Part(shapely.get_coordinates(polygon)[:-1])
    outer = shapely.get_coordinates(shapely.get_exterior_ring(polygon))[:-1]
    rings = shapely.get_rings(polygon)[1:]
    return Part(outer, tuple(shapely.get_coordinates(ring)[:-1] for ring in rings))
