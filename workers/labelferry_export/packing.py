"""Shapes as compact bytes, and back, bit for bit: how a snapshot holds them. Whole coordinates take two bytes each, others eight."""

import struct
from collections.abc import Iterator

import numpy as np

from labelferry_export.geometry.shape import Part, Ring, Shape

_WHOLE = np.dtype("<i2")
_EXACT = np.dtype("<f8")
_COUNT = np.dtype("<u4")
_HEAD = struct.Struct("<BI")


def pack_shape(shape: Shape) -> bytes:
    """Return a shape, also one that is not clean yet, as bytes: width of a coordinate, rings of each part, vertices of each ring, vertices."""
    rings = [ring for part in shape.parts for ring in (part.outer, *part.holes)]
    vertices = rings[0] if len(rings) == 1 else np.concatenate(rings) if rings else np.empty((0, 2))
    counts = [1 + len(part.holes) for part in shape.parts] + [len(ring) for ring in rings]
    exact = vertices.astype(_EXACT).tobytes()
    # `errstate`: what is not finite, or too great, is found by the comparison; so is a zero with a sign.
    with np.errstate(invalid="ignore"):
        whole = vertices.astype(_WHOLE)
    fits = whole.astype(_EXACT).tobytes() == exact
    head = struct.pack(f"<BI{len(counts)}I", 2 if fits else 8, len(shape.parts), *counts)
    return head + (whole.tobytes() if fits else exact)


def unpack_shape(data: bytes) -> Shape:
    """Return the shape in `data`."""
    kind, parts = _HEAD.unpack_from(data)
    if parts == 1 and data[_HEAD.size] == 1 and not any(data[_HEAD.size + 1 : _HEAD.size + 4]):
        return Shape((Part(_vertices(data, kind, _HEAD.size + 8)),))
    sizes = np.frombuffer(data, _COUNT, parts, _HEAD.size).tolist()
    start = _HEAD.size + parts * _COUNT.itemsize
    lengths = np.frombuffer(data, _COUNT, sum(sizes), start).tolist()
    start += len(lengths) * _COUNT.itemsize
    rings = _cut(_vertices(data, kind, start), lengths)
    return Shape(tuple(Part(next(rings), tuple(next(rings) for _ in range(size - 1))) for size in sizes))


def _vertices(data: bytes, kind: int, start: int) -> Ring:
    return np.frombuffer(data, _WHOLE if kind == 2 else _EXACT, -1, start).astype(np.float64).reshape(-1, 2)


def _cut(vertices: Ring, lengths: list[int]) -> Iterator[Ring]:
    at = 0
    for length in lengths:
        yield vertices[at : at + length]
        at += length
