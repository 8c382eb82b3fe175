"""Measures regions: exact from the polygons, holes respected, all objects of an image in one pass. What the columns mean: measures.py.

Nothing is measured on pixels. Parts that overlap are measured as their union.
"""

from collections.abc import Sequence

import numpy as np
import shapely

from labelferry_export.geometry.caliper import caliper_widths
from labelferry_export.geometry.measures import QUANTITY, Measures, Quantity
from labelferry_export.geometry.repair import parts_of, polygon_of
from labelferry_export.geometry.ring import Floats, Integers, Rings, Shapes, lay_out
from labelferry_export.geometry.shape import Shape

__all__ = ["QUANTITY", "Measures", "Quantity", "measure_all", "measure_table"]

ROUND = 1e-9
"""Two second moments nearer to each other than this share of their sum are those of a circle: no axis is the major one."""

Columns = dict[str, Floats]


def measure_all(shapes: Shapes) -> list[Measures]:
    """Return the measures of each of `shapes`, in px; each must have a part. A quantity that is not defined is nan, never 0."""
    return [Measures._make(row) for row in measure_table(shapes).tolist()]


def measure_table(shapes: Shapes) -> Floats:
    """Return the same as a table, (shapes, measures)."""
    rings = _rings_of(shapes)
    if not rings.shapes:
        return np.empty((0, len(Measures._fields)))
    shape_of = rings.part_shape[rings.part]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = _sizes(rings, shape_of) | _moments(rings, shape_of) | _hulls(rings, shape_of)
        columns |= _ratios(columns)
    table = np.stack([columns[name] for name in Measures._fields], axis=1)
    table[~np.isfinite(table)] = np.nan
    return table


def areas(shapes: Sequence[Shape]) -> Floats:
    """Return the area of each of `shapes`, px^2, shape (n,): the very numbers of `measure_all`."""
    if not shapes:
        return np.empty(0)
    rings = _rings_of(shapes)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _moments(rings, rings.part_shape[rings.part])["area"]


def _rings_of(shapes: Shapes) -> Rings:
    if isinstance(shapes, Rings):
        if len(shapes.part_shape) == shapes.shapes:
            return shapes
        shapes = shapes.shape_list()
    return lay_out([_disjoint(shape) if len(shape.parts) > 1 else shape for shape in shapes])


def _disjoint(shape: Shape) -> Shape:
    """Return a shape whose parts do not overlap: itself, or the union of its parts."""
    polygons = np.array([polygon_of(part) for part in shape.parts], dtype=object)
    union = shapely.union_all(polygons)
    if np.isclose(union.area, shapely.area(polygons).sum(), rtol=1e-12):
        return shape
    return Shape(parts_of(union))


def _sizes(rings: Rings, shape_of: Integers) -> Columns:
    """Lengths of the rings and the box around them."""
    points, starts = rings.points, rings.starts
    sides = points[rings.following] - points
    lengths = np.add.reduceat(np.hypot(sides[:, 0], sides[:, 1]), starts)
    begin = np.flatnonzero(np.diff(shape_of, prepend=-1))
    low = np.minimum.reduceat(points, starts[begin], axis=0)
    box = np.maximum.reduceat(points, starts[begin], axis=0) - low
    return {
        "perimeter": np.bincount(shape_of, np.where(rings.hole, 0, lengths), rings.shapes),
        "perimeter_with_holes": np.bincount(shape_of, lengths, rings.shapes),
        "bbox_width": box[:, 0],
        "bbox_height": box[:, 1],
    }


def _moments(rings: Rings, shape_of: Integers) -> Columns:
    """Area, centroid and the ellipse with the same second moments, by Green's theorem along the rings.

    C. Steger, On the calculation of arbitrary moments of polygons, 1996. The conventions of the ellipse are scikit-image's
    (regionprops), but without the 1/12 px^2 it adds for the extent of a pixel: these are the moments of the polygon itself.
    """
    origin = rings.points[rings.starts[np.flatnonzero(np.diff(shape_of, prepend=-1))]]
    points = rings.points - origin[shape_of[rings.ring]]
    (x, y), (p, q) = points.T, points[rings.following].T
    cross = x * q - p * y
    terms = (
        cross / 2,
        (x + p) * cross / 6,
        (y + q) * cross / 6,
        (x * x + x * p + p * p) * cross / 12,
        (y * y + y * q + q * q) * cross / 12,
        (x * q + 2 * x * y + 2 * p * q + p * y) * cross / 24,
    )
    sums = np.stack([np.add.reduceat(term, rings.starts) for term in terms])
    sums *= np.sign(sums[0]) * np.where(rings.hole, -1, 1)
    area, *rest = (np.bincount(shape_of, row, rings.shapes).astype(np.float64) for row in sums)
    mean_x, mean_y, xx, yy, xy = (row / area for row in rest)
    ellipse = _ellipse(xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y)
    return {"area": area, "centroid_x": mean_x + origin[:, 0], "centroid_y": mean_y + origin[:, 1]} | ellipse


def _ellipse(xx: Floats, yy: Floats, xy: Floats) -> Columns:
    """The ellipse of given central second moments, each (k,)."""
    mean, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    large, small = mean + half, np.maximum(mean - half, 0)
    angle = np.arctan2(2 * xy + 0.0, yy - xx) / 2
    return {
        "major_axis": 4 * np.sqrt(large),
        "minor_axis": 4 * np.sqrt(small),
        "orientation": np.where(half > ROUND * mean, angle, np.nan),
        "eccentricity": np.sqrt(1 - small / large),
    }


def _hulls(rings: Rings, shape_of: Integers) -> Columns:
    """What is measured on the convex hull."""
    lines = shapely.linestrings(rings.points, indices=shape_of[rings.ring])
    hulls = shapely.convex_hull(lines)
    points, owner = shapely.get_coordinates(hulls, return_index=True)
    greatest, least, orthogonal = caliper_widths(points, np.bincount(owner, minlength=rings.shapes)).T
    return {
        "feret_max": greatest,
        "feret_min": least,
        "feret_orthogonal": orthogonal,
        "hull_area": shapely.area(hulls),
        "hull_perimeter": shapely.length(hulls),
    }


def _ratios(columns: Columns) -> Columns:
    """What follows from the sizes; the bounds that mathematics gives hold in spite of rounding."""
    area, perimeter = columns["area"], columns["perimeter"]
    roundness = 4 * np.pi * area / perimeter**2
    return {
        "equivalent_diameter": np.sqrt(4 * area / np.pi),
        "circularity": np.minimum(roundness, 1),
        "compactness": np.maximum(1 / roundness, 1),
        "feret_aspect_ratio": columns["feret_max"] / columns["feret_min"],
        "extent": area / (columns["bbox_width"] * columns["bbox_height"]),
        "convexity": columns["hull_perimeter"] / perimeter,
        "solidity": np.minimum(area / columns["hull_area"], 1),
        "sphericity": np.minimum(np.sqrt(roundness), 1),
    }
