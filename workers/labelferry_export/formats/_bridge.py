"""Makes one ring of a region of several: for formats that know neither holes nor parts.

Parts and holes are joined by bridges of no width, there and back along the same line, at near vertices. Outer rings run one way
round and holes the other, so that both fill rules, even-odd and non-zero, see the same region.
"""

import numpy as np

from labelferry_export.geometry.ring import signed_area
from labelferry_export.geometry.shape import Part, Ring, Shape

SAMPLES = 512
"""Of a long ring, so many vertices are candidates for a bridge: the nearest pair of all would take time for nothing."""


def bridged(shape: Shape) -> Ring:
    """Return one ring, shape (n, 2), that covers what `shape` covers."""
    rings = [_keyhole(part) for part in shape.parts]
    rings.sort(key=lambda ring: (ring[:, 0].min(), ring[:, 1].min()))
    joined = rings[-1]
    anchors = np.arange(len(joined))
    for ring, following in zip(rings[-2::-1], rings[:0:-1], strict=True):
        here, there = _nearest(ring, following)
        joined = _spliced(ring, here, joined, int(anchors[there]))
        back = len(joined) - len(ring)
        anchors = np.arange(len(ring))
        anchors[here + 1 :] += back
    return joined


def _keyhole(part: Part) -> Ring:
    ring = _turned(part.outer, clockwise=False)
    for hole in part.holes:
        here, there = _nearest(ring, hole_ring := _turned(hole, clockwise=True))
        ring = _spliced(ring, here, hole_ring, there)
    return ring


def _turned(ring: Ring, clockwise: bool) -> Ring:
    return ring[::-1] if (signed_area(ring) < 0) != clockwise else ring


def _spliced(ring: Ring, here: int, other: Ring, there: int) -> Ring:
    """Return `ring` with a detour at vertex `here`: over to vertex `there` of `other`, all around it, and back."""
    return np.concatenate([ring[: here + 1], other[there:], other[: there + 1], ring[here:]])


def _nearest(ring: Ring, other: Ring) -> tuple[int, int]:
    """Return the indices of two near vertices, one of each ring."""
    ours = np.arange(0, len(ring), len(ring) // SAMPLES + 1)
    theirs = np.arange(0, len(other), len(other) // SAMPLES + 1)
    apart = ring[ours, None] - other[None, theirs]
    here, there = np.unravel_index(int(np.argmin((apart**2).sum(axis=2))), (len(ours), len(theirs)))
    return int(ours[here]), int(theirs[there])
