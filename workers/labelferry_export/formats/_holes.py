"""Says an object with holes by rings alone, for formats that know no holes: joined by bridges, filled, or cut into pieces."""

from collections.abc import Iterator

import numpy as np
import shapely

from labelferry_export.findings import Loss
from labelferry_export.formats._bridge import bridged
from labelferry_export.geometry.repair import parts_of, polygon_of
from labelferry_export.geometry.shape import Part, Ring, Shape

BRIDGE, FILL, SPLIT = "bridge", "fill", "split"
KINDS = {BRIDGE: Loss.BRIDGED, FILL: Loss.FILLED, SPLIT: Loss.SPLIT}
DONE = {
    BRIDGE: "joined to the outline by bridges of no width",
    FILL: "filled",
    SPLIT: "cut open: the object is {rings} rings side by side",
}
"""What becomes of holes, in words."""


def rings_of(shape: Shape, holes: str) -> tuple[Ring, ...]:
    """Return rings without holes that together cover `shape` (with `fill`: and its holes): one a part, or with `split` several."""
    rings: list[Ring] = []
    for part in shape.parts:
        if not part.holes or holes == FILL:
            rings.append(part.outer)
        elif holes == BRIDGE:
            rings.append(bridged(Shape((part,))))
        else:
            rings += sorted(_pieces(part), key=lambda ring: ring.min(axis=0).tolist())
    return tuple(rings)


def what_became(shape: Shape, holes: str, rings: int) -> str:
    """Return what was done to the holes of `shape`, now that many rings, in words."""
    count = sum(len(part.holes) for part in shape.parts)
    return f"{count} hole{'s' if count > 1 else ''} {DONE[holes].format(rings=rings)}"


def _pieces(part: Part) -> Iterator[Ring]:
    """Yield what upright cuts make of a part: each goes through the middle one of the holes that are left, along pixel edges if it can."""
    waiting = [part]
    while waiting:
        piece = waiting.pop()
        if not piece.holes:
            yield piece.outer
            continue
        spans = sorted((float(hole[:, 0].min()), float(hole[:, 0].max())) for hole in piece.holes)
        low, high = spans[len(spans) // 2]
        middle = (low + high) / 2
        at = float(np.rint(middle)) if low < np.rint(middle) < high else middle
        polygon = polygon_of(piece)
        left, top, right, bottom = shapely.bounds(polygon)
        for half in (shapely.box(left, top, at, bottom), shapely.box(at, top, right, bottom)):
            waiting += parts_of(shapely.intersection(polygon, half))
