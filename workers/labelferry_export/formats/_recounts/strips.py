"""Large masks read again in strips, as they stream in: which values there are, in bounded memory. Smaller ones are Pillow's to decode.

PNG after its specification (W3C, third edition: chunks, one zlib stream, rows behind a filter byte), TIFF after TIFF 6.0 (one strip, not
compressed). Only what masks are written as: PNG rows without a filter. Anything else is a fault, and said.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

PNG, TIFF = b"\x89PNG\r\n\x1a\n", b"II*\0"
HEAD_BYTES = 256
"""So much of a file tells what it is: the TIFF's directory, the PNG's header."""
STRIP_BYTES = MOST_CHUNK = 1 << 20
MODES = {(0, 8): "L", (0, 16): "I;16", (3, 8): "P"}
"""Pillow's words for the pixels, by colour type and bits."""
_WIDTH, _HEIGHT, _BITS, _PACKING, _PLACE, _LENGTH = 256, 257, 258, 259, 273, 279
"""Tags of a TIFF."""

Values = NDArray[np.integer]


class Strips(Protocol):
    """Takes the bytes of one mask. `mode` is Pillow's word for its pixels, `pixels` how many there are."""

    mode: str
    pixels: int

    def take(self, data: bytes) -> None:
        """Take a block; raises ValueError where it is no such mask."""

    def values(self) -> Values:
        """Return the values there are, ascending; raises ValueError when the mask is not whole."""


def strips_of(head: bytes) -> Strips | None:
    """Return what takes a mask that begins with `head`, which is taken by it later; None for what is neither a PNG nor a TIFF that it knows."""
    if head.startswith(PNG) and len(head) >= 29:
        width, height, bits, colour = struct.unpack_from(">IIBB", head, 16)
        mode = MODES.get((colour, bits))
        return None if mode is None or not width or not height else PngStrips(mode, width, height)
    if head.startswith(TIFF):
        return _tiff(head)
    return None


class PngStrips:
    """See `Strips`."""

    def __init__(self, mode: str, width: int, height: int) -> None:
        self.mode = mode
        self.pixels = width * height
        self._row = width * (2 if mode == "I;16" else 1) + 1
        self._rows = height
        self._seen = np.zeros(1 << (16 if mode == "I;16" else 8), np.bool_)
        self._inflate = zlib.decompressobj()
        self._waiting = bytearray()
        self._left = len(PNG)
        self._next: Callable[[bytes], None] = self._begin
        self._kind = b""
        self._crc = 0
        self._rest = b""
        self._ended = False

    def take(self, data: bytes) -> None:
        """As `Strips.take`."""
        view = memoryview(data)
        while view:
            if self._kind == b"IDAT" and self._next == self._end_chunk and self._left > 4:
                # Pixels are not gathered: a chunk of them may be as long as the file.
                part = bytes(view[: self._left - 4])
                self._crc = zlib.crc32(part, self._crc)
                self._pixels(part)
                self._left -= len(part)
                view = view[len(part) :]
                continue
            part = bytes(view[: self._left - len(self._waiting)])
            self._waiting += part
            view = view[len(part) :]
            if len(self._waiting) == self._left:
                whole = bytes(self._waiting)
                self._waiting.clear()
                self._next(whole)

    def values(self) -> Values:
        """As `Strips.values`."""
        if not self._ended or self._rows or self._rest or not self._inflate.eof:
            raise ValueError("it is no mask: it ends before its pixels do, or after them")
        return np.flatnonzero(self._seen)

    def _begin(self, signature: bytes) -> None:
        if signature != PNG:
            raise ValueError("it is no mask: its signature is not that of a PNG")
        self._next, self._left = self._begin_chunk, 8

    def _begin_chunk(self, head: bytes) -> None:
        if self._ended:
            raise ValueError("it is no mask: something comes after its end")
        length, self._kind = struct.unpack(">I4s", head)
        if self._kind != b"IDAT" and length > MOST_CHUNK:
            raise ValueError(f"it is no mask: it has a chunk {self._kind!r} of {length} bytes")
        self._crc = zlib.crc32(self._kind)
        self._next, self._left = self._end_chunk, length + 4

    def _end_chunk(self, tail: bytes) -> None:
        data, crc = tail[:-4], struct.unpack(">I", tail[-4:])[0]
        if zlib.crc32(data, self._crc) != crc:
            raise ValueError(f"it is no mask: the checksum of a chunk {self._kind!r} is not its own")
        self._ended = self._kind == b"IEND"
        self._next, self._left = self._begin_chunk, 8

    def _pixels(self, data: bytes) -> None:
        while data:
            try:
                block = self._rest + self._inflate.decompress(data, STRIP_BYTES)
            except zlib.error as error:
                raise ValueError(f"it is no mask: {error}") from None
            data = self._inflate.unconsumed_tail
            rows = len(block) // self._row
            self._rest = block[rows * self._row :]
            if rows:
                self._count(np.frombuffer(block, np.uint8, rows * self._row).reshape(rows, self._row))

    def _count(self, rows: NDArray[np.uint8]) -> None:
        if rows[:, 0].any():
            raise ValueError("it is no mask of ours: a row of it is behind a filter")
        self._rows -= len(rows)
        if self._rows < 0:
            raise ValueError("it is no mask: it has more rows than it says")
        values = np.ascontiguousarray(rows[:, 1:])
        self._seen[values.view(">u2") if self.mode == "I;16" else values] = True


class TiffStrips:
    """See `Strips`; 32 bits a pixel, which begin at `place`."""

    mode = "I"

    def __init__(self, pixels: int, place: int) -> None:
        self.pixels = pixels
        self._before = place
        self._left = 4 * pixels
        self._rest = b""
        self._seen: Values = np.zeros(0, np.uint32)

    def take(self, data: bytes) -> None:
        """As `Strips.take`."""
        skipped = min(self._before, len(data))
        self._before -= skipped
        data = self._rest + data[skipped:]
        self._left -= len(data) - len(self._rest)
        if self._left < 0:
            raise ValueError("it is no mask: something comes after its pixels")
        whole = len(data) // 4
        self._rest = data[4 * whole :]
        self._seen = np.union1d(self._seen, np.frombuffer(data, "<u4", whole))

    def values(self) -> Values:
        """As `Strips.values`."""
        if self._left or self._before:
            raise ValueError("it is no mask: it ends before its pixels do")
        return self._seen


def _tiff(head: bytes) -> TiffStrips | None:
    """Return what takes a TIFF of one plain strip of 32 bits, None for any other."""
    place = int.from_bytes(head[4:8], "little")
    count = int.from_bytes(head[place : place + 2], "little")
    entries = head[place + 2 : place + 2 + 12 * count]
    if len(entries) < 12 * count:
        return None
    tags = {tag: value for tag, _, _, value in struct.iter_unpack("<HHII", entries)}
    pixels = tags.get(_WIDTH, 0) * tags.get(_HEIGHT, 0)
    if (tags.get(_BITS), tags.get(_PACKING), tags.get(_LENGTH)) != (32, 1, 4 * pixels) or not pixels:
        return None
    return TiffStrips(pixels, tags.get(_PLACE, 0))
