"""Masks of the form that ours have, decoded in one go: a PNG without filters whose pixels are one chunk. Whatever else comes is Pillow's to decode, or to refuse.

After the PNG specification (W3C, third edition): chunks with their checksums, one zlib stream, rows behind a filter byte. A mask takes a small part of
Pillow's time so.
"""

import struct

import deflate
import numpy as np
from numpy.typing import NDArray

from labelferry_export.formats._recounts.strips import MODES, PNG, Values

_CHUNK, _HEADER = struct.Struct(">I4s"), struct.Struct(">IIBBBBB")
_ORDERS = ([b"IHDR", b"IDAT", b"IEND"], [b"IHDR", b"PLTE", b"IDAT", b"IEND"])


def plain_png(data: bytes) -> tuple[str, Values] | None:
    """Return Pillow's word for the pixels, and the pixels, (height, width); None for a file of any other form, and for one that is damaged."""
    chunks = _chunks(data)
    if chunks is None or list(chunks) not in _ORDERS or len(chunks[b"IHDR"]) != _HEADER.size or chunks[b"IEND"]:
        return None
    width, height, bits, colour, *others = _HEADER.unpack(chunks[b"IHDR"])
    mode = MODES.get((colour, bits))
    if mode is None or any(others) or not width or not height or (mode == "P") != (b"PLTE" in chunks):
        return None
    row = width * bits // 8 + 1
    try:
        unpacked = deflate.zlib_decompress(chunks[b"IDAT"], row * height)
    except deflate.DeflateError:
        return None
    if len(unpacked) != row * height:
        return None
    rows: NDArray[np.uint8] = np.frombuffer(unpacked, np.uint8).reshape(height, row)
    if rows[:, 0].any():
        return None
    pixels = np.ascontiguousarray(rows[:, 1:])
    return mode, pixels if bits == 8 else pixels.view(">u2").astype(np.uint16)


def _chunks(data: bytes) -> dict[bytes, bytes] | None:
    """Return the chunks by their kind, in their order; None where a kind comes twice, a checksum is wrong or something is left over."""
    found: dict[bytes, bytes] = {}
    at = len(PNG)
    while len(data) - at >= _CHUNK.size + 4:
        length, kind = _CHUNK.unpack_from(data, at)
        end = at + _CHUNK.size + length
        if end + 4 > len(data) or kind in found:
            return None
        if deflate.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return None
        found[kind] = data[at + _CHUNK.size : end]
        at = end + 4
    return found if data.startswith(PNG) and at == len(data) else None
