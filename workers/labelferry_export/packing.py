"""Objects as compact bytes, and back, bit for bit: how a snapshot holds them. Whole coordinates take two bytes each, others eight.

A block: its head (bytes of a coordinate, whether there are attributes, objects, parts, rings), then column after column: ids,
classes, crowds, parts of each object, rings of each part, vertices of each ring, lengths of the attributes, vertices, attributes.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Flags, Floats, Integers, Rings, both
from labelferry_export.instances import Columns

_WHOLE = np.dtype("<i2")
_EXACT = np.dtype("<f8")
_ID = np.dtype("<i8")
_COUNT = np.dtype("<u4")
_FLAG = np.dtype("?")
_HEAD = struct.Struct("<B?III")

T = TypeVar("T", bound=np.generic)


def pack(columns: Columns, cuts: Sequence[int]) -> Iterator[bytes]:
    """Yield a block for the rows between each of `cuts` (0, ..., n) and the next; shapes need not be clean yet."""
    rings = columns.rings
    parts = _reached(rings.parts_of_shape, cuts)
    ring_cuts = _reached(rings.rings_of_part, parts)
    table = zip(
        _slices(columns.ids, _ID, cuts),
        _slices(columns.categories, _COUNT, cuts),
        _slices(columns.crowds, _FLAG, cuts),
        _slices(rings.parts_of_shape, _COUNT, cuts),
        _slices(rings.rings_of_part, _COUNT, parts),
        _slices(rings.sizes, _COUNT, ring_cuts),
        strict=True,
    )
    points = _packed_points(rings.points, _reached(rings.sizes, ring_cuts))
    counts = zip(pairwise(cuts), pairwise(parts), pairwise(ring_cuts), strict=True)
    for row, (width, vertices), ((start, end), of_parts, of_rings) in zip(table, points, counts, strict=True):
        given = columns.attributes[start:end] if columns.attributes else ()
        has_any = any(given)
        head = _HEAD.pack(width, has_any, end - start, of_parts[1] - of_parts[0], of_rings[1] - of_rings[0])
        lengths = struct.pack(f"<{len(given)}I", *map(len, given)) if has_any else b""
        yield b"".join((head, *row, lengths, vertices, *(given if has_any else ())))


def unpack(block: bytes) -> Columns:
    """Return the objects in `block`."""
    width, has_any, objects, parts, rings = _HEAD.unpack_from(block)
    reader = _BlockReader(block, _HEAD.size)
    ids = reader.column(_ID, objects)
    categories = reader.column(_COUNT, objects).astype(np.int64)
    crowds = reader.column(_FLAG, objects)
    parts_of_shape = reader.column(_COUNT, objects).astype(np.int64)
    rings_of_part = reader.column(_COUNT, parts).astype(np.int64)
    sizes = reader.column(_COUNT, rings).astype(np.int64)
    lengths = reader.column(_COUNT, objects).tolist() if has_any else []
    count = 2 * int(sizes.sum())
    numbers = reader.column(_WHOLE, count) if width == _WHOLE.itemsize else reader.column(_EXACT, count)
    points = numbers.astype(np.float64).reshape(-1, 2)
    attributes = [reader.bytes(length) for length in lengths] if has_any else None
    return Columns(ids, categories, crowds, Rings.counted(points, sizes, rings_of_part, parts_of_shape), attributes)


class _BlockReader:
    def __init__(self, block: bytes, start: int) -> None:
        self._block = block
        self._at = start

    def column(self, kind: np.dtype[T], count: int) -> NDArray[T]:
        column = np.frombuffer(self._block, kind, count, self._at)
        self._at += kind.itemsize * count
        return column

    def bytes(self, count: int) -> bytes:
        self._at += count
        return self._block[self._at - count : self._at]


def _reached(counts: Integers | Flags, cuts: Sequence[int]) -> list[int]:
    """Return how many things the rows before each cut have, `counts` of them a row."""
    sums: list[int] = np.concatenate([[0], np.cumsum(counts)])[list(cuts)].tolist()
    return sums


def _slices(column: NDArray[np.generic], kind: np.dtype[np.generic], cuts: Sequence[int]) -> Iterator[bytes]:
    data, size = column.astype(kind).tobytes(), kind.itemsize
    return (data[start * size : end * size] for start, end in pairwise(cuts))


def _packed_points(points: Floats, cuts: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield bytes of a coordinate, and the vertices in them, between each cut and the next."""
    # `errstate`: what is not finite, or too great, is found by the comparison; so is a zero with a sign.
    with np.errstate(invalid="ignore"):
        whole = points.astype(_WHOLE)
    exact = np.ascontiguousarray(points, _EXACT)
    fits = both(whole.astype(_EXACT).view(np.int64) == exact.view(np.int64))
    misfits = _reached(~fits, cuts)
    for (start, end), (before, after) in zip(pairwise(cuts), pairwise(misfits), strict=True):
        kept = whole if before == after else exact
        yield kept.itemsize, kept[start:end].tobytes()
