"""What writers ask of a region: does it follow pixels, how is it put in words, which of its parts overlap."""

import numpy as np
import shapely

from labelferry_export.geometry.repair import parts_of, polygon_of
from labelferry_export.geometry.shape import Part, Ring, Shape


def is_made_of_pixels(shape: Shape) -> bool:
    """Return whether every line follows the edges of pixels, so that the shape's mask is the shape itself."""
    return all(_is_stair(ring) for part in shape.parts for ring in (part.outer, *part.holes))


def _is_stair(ring: Ring) -> bool:
    if (ring != np.rint(ring)).any():
        return False
    return bool((ring == np.roll(ring, -1, axis=0)).any(axis=1).all())


def counted(shape: Shape) -> str:
    """Return how many parts and holes a shape has, in words, as far as they are more than one and none."""
    parts, holes = len(shape.parts), sum(len(part.holes) for part in shape.parts)
    words = [f"{parts} parts" if parts > 1 else "", f"{holes} hole{'s' if holes > 1 else ''}" if holes else ""]
    return " and ".join(filter(None, words))


def valid_parts(shape: Shape) -> tuple[Part, ...]:
    """Return a shape's own parts when they make a valid geometry; else parts that cover the same and do not overlap.

    A part by itself is valid: sources hand out cleaned shapes.
    """
    if len(shape.parts) == 1:
        return shape.parts
    polygons = np.array([polygon_of(part) for part in shape.parts], dtype=object)
    if shapely.is_valid(shapely.multipolygons(polygons)):
        return shape.parts
    return parts_of(shapely.union_all(shapely.make_valid(polygons))) or shape.parts
