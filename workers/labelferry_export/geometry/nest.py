"""Which hole belongs to which outline, when a file does not say so."""

from collections.abc import Sequence

import numpy as np
import shapely

from labelferry_export.geometry.ring import signed_area
from labelferry_export.geometry.shape import Part, Ring, Shape


def nest(outers: Sequence[Ring], holes: Sequence[Ring]) -> tuple[Shape, tuple[Ring, ...]]:
    """Return the shape of simple rings `outers`, each hole in the smallest of them around it, and the holes that lie in none.

    An outline that lies within a hole is never the hole's own: with A, a hole in A, and B within the hole, the hole is A's.
    """
    polygons = shapely.polygons([shapely.linearrings(outer) for outer in outers])
    sizes = np.array([abs(signed_area(outer)) for outer in outers])
    owned: list[list[Ring]] = [[] for _ in outers]
    stray: list[Ring] = []
    for hole in holes:
        inside = shapely.point_on_surface(shapely.polygons(hole))
        around = np.flatnonzero((sizes >= abs(signed_area(hole))) & shapely.intersects(polygons, inside))
        if len(around):
            owned[around[np.argmin(sizes[around])]].append(hole)
        else:
            stray.append(hole)
    parts = tuple(Part(outer, tuple(inner)) for outer, inner in zip(outers, owned, strict=True))
    return Shape(parts), tuple(stray)
