"""Writes PNG in strips, so that a caller may stop between two; the same array gives the same bytes. Nothing is read here.

After the PNG specification, third edition (W3C): sections 9 (filters), 10 (deflate) and 11 (chunks). No chunk but IHDR, IDAT,
IEND and, where asked for, PLTE: no gamma, no time, no text, so that every viewer shows the numbers as they are.
"""

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
STRIP_PIXELS = 1 << 18
"""Pixels that are filtered and deflated between two yields: some milliseconds."""
LEVEL = 1
"""Of zlib. Level 6 makes overlays 15 % smaller and takes five times as long."""
SAMPLED_ROWS = 32
"""Rows of a strip on which the filters are compared."""
GREY, RGB, INDEXED = 0, 2, 3


class Filter(IntEnum):
    """How a row is told from its neighbours. Paeth is left out: it gains nothing here and is slow without a compiler."""

    SUB = 1
    UP = 2
    AVERAGE = 3


def encode_png(pixels: Pixels, palette: Bytes | None = None) -> Iterator[bytes]:
    """Yield a PNG file, strip by strip: grey of shape (h, w) or (h, w, 1), or RGB of shape (h, w, 3); uint8, or uint16 for 16 bits.

    With a `palette` of colours, shape (k, 3), uint8, grey values of 8 bits are rows of it: the pixels must all be below k.
    """
    height, width, channels = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
    if channels not in (1, 3) or not height or not width or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"no PNG can be made of an array of shape {pixels.shape} and type {pixels.dtype}")
    depth = pixels.dtype.itemsize
    if palette is not None and (channels, depth) != (1, 1):
        raise ValueError("only 8-bit grey values can be rows of a palette")
    colours = INDEXED if palette is not None else RGB if channels == 3 else GREY
    header = struct.pack(">IIBBBBB", width, height, 8 * depth, colours, 0, 0, 0)
    begin = SIGNATURE + _chunk(b"IHDR", header)
    if palette is not None:
        begin += _chunk(b"PLTE", palette.tobytes())
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    above = np.zeros((1, width * channels * depth), np.uint8)
    rows_a_strip = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows_a_strip):
        rows = _bytes_of(pixels[top : top + rows_a_strip])
        data = packer.compress(_filtered(rows, above, channels * depth).data)
        above = rows[-1:]
        yield begin + (_chunk(b"IDAT", data) if data else b"")
        begin = b""
    yield _chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _bytes_of(pixels: Pixels) -> Bytes:
    """Return rows of pixels as rows of bytes, the greater byte of a sample first."""
    rows = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder(">"))
    return rows.view(np.uint8).reshape(len(rows), -1)


def _filtered(rows: Bytes, above: Bytes, step: int) -> Bytes:
    """Return rows behind the filter that suits this strip best, each after the byte that names it; `step` bytes lie between neighbours."""
    best = _best_filter(rows, step)
    out = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    out[:, 0] = best
    out[0, 1:] = _differences(rows[:1], above, step, best)
    out[1:, 1:] = _differences(rows[1:], rows[:-1], step, best)
    return out


def _best_filter(rows: Bytes, step: int) -> Filter:
    """Return the filter whose output is nearest to zero on a sample of the rows; a single row has nothing above it to look at."""
    if len(rows) == 1:
        return Filter.SUB
    every = max(1, (len(rows) - 1) // SAMPLED_ROWS)
    sample, above = rows[1::every], rows[:-1:every]
    return min(Filter, key=lambda each: _magnitude(_differences(sample, above, step, each)))


def _magnitude(values: Bytes) -> int:
    """Return the sum of bytes taken as signed differences."""
    return int(np.minimum(values, np.negative(values)).sum(dtype=np.int64))


def _differences(rows: Bytes, above: Bytes, step: int, how: Filter) -> Bytes:
    """Return what is left of each byte after it is foretold from its neighbours, modulo 256."""
    if how is Filter.UP:
        return rows - above
    if how is Filter.SUB:
        out = rows.copy()
        out[:, step:] -= rows[:, :-step]
        return out
    foretold = above >> 1
    left = rows[:, :-step]
    foretold[:, step:] += (left >> 1) + (left & above[:, step:] & 1)
    return rows - foretold
