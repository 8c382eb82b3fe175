"""Writes PNG; the same array gives the same bytes, on every machine. Nothing is read here.

After the PNG specification, third edition (W3C): sections 9 (filters), 10 (deflate) and 11 (chunks). No chunk but IHDR, IDAT,
IEND and, where asked for, PLTE and iCCP: no gamma, no time, no text, so that every viewer shows the numbers as they are. Why libdeflate, and where
it is not used: docs/decisions/0013-libdeflate.md.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import deflate
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
STRIP_PIXELS = 1 << 18
"""Pixels that are filtered together, and where an image is deflated in strips, between two yields: some milliseconds."""
WHOLE_BYTES = 48 << 20
"""An image of at most so many bytes is deflated in one go, in the time it takes to decode it; a larger one in strips, by zlib."""
LEVEL = 1
"""Of libdeflate and of zlib, for colours. Level 6 of zlib makes overlays 15 % smaller and takes five times as long."""
FLAT_LEVEL = 6
"""Of libdeflate, for the flat areas of masks: half the size of level 1, in the same time."""
SAMPLED_ROWS = 32
"""Rows of a strip on which the filters are compared."""
INDEXED = 3
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's colour type by the number of channels: grey, grey and alpha, RGB, RGBA."""


class Filter(IntEnum):
    """How a row is told from its neighbours. Average and Paeth are left out: they gain nothing here and take three times as long."""

    NONE = 0
    SUB = 1
    UP = 2


@dataclass(frozen=True)
class Extras:
    """What a PNG may have besides its pixels: a palette of colours, shape (k, 3), uint8, that 8-bit grey values are rows of; an ICC profile.

    `flat` says whether grey pixels are a mask: flat areas, which no filter makes simpler.
    """

    palette: Bytes | None = None
    profile: bytes | None = None
    flat: bool = True


PLAIN = Extras()


def encode_png(pixels: Pixels, extras: Extras = PLAIN) -> Iterator[bytes]:
    """Yield a PNG file, piece by piece: grey of shape (h, w), or of (h, w, 1 to 4), 2 and 4 with alpha; uint8, or uint16 for 16 bits.

    Values that are rows of a palette must all be below its length.
    """
    height, width, channels = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
    if channels not in COLOURS or not height or not width or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"no PNG can be made of an array of shape {pixels.shape} and type {pixels.dtype}")
    depth = pixels.dtype.itemsize
    if extras.palette is not None and (channels, depth) != (1, 1):
        raise ValueError("only 8-bit grey values can be rows of a palette")
    colours = INDEXED if extras.palette is not None else COLOURS[channels]
    header = struct.pack(">IIBBBBB", width, height, 8 * depth, colours, 0, 0, 0)
    yield SIGNATURE + _chunk(b"IHDR", header) + _extra_chunks(extras)
    # A step of 0 is that of pixels which no filter makes simpler.
    step = 0 if channels == 1 and extras.flat else channels * depth
    if pixels.nbytes <= WHOLE_BYTES:
        yield _chunk(b"IDAT", _whole(pixels, step))
    else:
        yield from _in_strips(pixels, step)
    yield _chunk(b"IEND", b"")


def _extra_chunks(extras: Extras) -> bytes:
    chunks = b""
    if extras.profile is not None:
        chunks += _chunk(b"iCCP", b"icc\0\0" + deflate.zlib_compress(extras.profile, FLAT_LEVEL))
    if extras.palette is not None:
        chunks += _chunk(b"PLTE", extras.palette.tobytes())
    return chunks


def _chunk(kind: bytes, data: bytes | bytearray) -> bytes:
    crc = deflate.crc32(data, deflate.crc32(kind))
    return b"".join([struct.pack(">I", len(data)), kind, data, struct.pack(">I", crc)])


def _whole(pixels: Pixels, step: int) -> bytearray:
    """Return all rows behind their filters, deflated; `step` bytes lie between neighbours."""
    height, length = len(pixels), pixels.nbytes // len(pixels)
    out = np.empty((height, length + 1), np.uint8)
    rows_a_strip = _rows_a_strip(pixels)
    above = np.zeros((1, length), np.uint8)
    for top in range(0, height, rows_a_strip):
        rows = _bytes_of(pixels[top : top + rows_a_strip])
        _filter(rows, above, step, out[top : top + rows_a_strip])
        above = rows[-1:]
    packed: bytearray = deflate.zlib_compress(out.data, LEVEL if step else FLAT_LEVEL)
    return packed


def _in_strips(pixels: Pixels, step: int) -> Iterator[bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    rows_a_strip = _rows_a_strip(pixels)
    above = np.zeros((1, pixels.nbytes // len(pixels)), np.uint8)
    for top in range(0, len(pixels), rows_a_strip):
        rows = _bytes_of(pixels[top : top + rows_a_strip])
        out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
        _filter(rows, above, step, out)
        above = rows[-1:]
        data = packer.compress(out.data)
        yield _chunk(b"IDAT", data) if data else b""
    yield _chunk(b"IDAT", packer.flush())


def _rows_a_strip(pixels: Pixels) -> int:
    width: int = pixels.shape[1]
    return max(1, STRIP_PIXELS // width)


def _bytes_of(pixels: Pixels) -> Bytes:
    """Return rows of pixels as rows of bytes, the greater byte of a sample first."""
    rows = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder(">"))
    return rows.view(np.uint8).reshape(len(rows), -1)


def _filter(rows: Bytes, above: Bytes, step: int, out: Bytes) -> None:
    """Write rows behind the filter that suits them best into `out`, each after the byte that names it."""
    best = _best_filter(rows, step)
    out[:, 0] = best
    _differences(rows[:1], above, step, best, out[:1, 1:])
    _differences(rows[1:], rows[:-1], step, best, out[1:, 1:])


def _best_filter(rows: Bytes, step: int) -> Filter:
    """Return the filter whose output is nearest to zero on a sample of the rows; a single row has nothing above it to look at."""
    if not step:
        return Filter.NONE
    if len(rows) == 1:
        return Filter.SUB
    every = max(1, (len(rows) - 1) // SAMPLED_ROWS)
    sample, above = rows[1::every], rows[:-1:every]
    left = np.empty_like(sample)

    def magnitude(how: Filter) -> int:
        _differences(sample, above, step, how, left)
        return int(np.minimum(left, np.negative(left)).sum(dtype=np.int64))

    return min((Filter.SUB, Filter.UP), key=magnitude)


def _differences(rows: Bytes, above: Bytes, step: int, how: Filter, out: Bytes) -> None:
    """Write into `out` what is left of each byte after it is foretold from its neighbours, modulo 256."""
    if how is Filter.NONE:
        out[:] = rows
    elif how is Filter.UP:
        np.subtract(rows, above, out=out)
    else:
        out[:, :step] = rows[:, :step]
        np.subtract(rows[:, step:], rows[:, :-step], out=out[:, step:])
