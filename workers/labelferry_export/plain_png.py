"""The header of a plain PNG, read from its first bytes: what most image files are. Whatever is not quite plain is for Pillow to judge."""

import struct
from typing import NamedTuple

from deflate import crc32

HEAD_BYTES = 1024
"""So many bytes hold everything up to the pixels of a plain file."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_SIZE = struct.Struct(">IIBBBBB")
_CRC = struct.Struct(">I")
_MODES = {0: "L", 2: "RGB", 4: "LA", 6: "RGBA"}
"""Pillow's words for eight bits a channel, by the kind of colour."""
_HARMLESS = {b"gAMA": 4, b"pHYs": 9, b"sRGB": 1, b"cHRM": 32}
"""Chunks that change nothing of what an export looks at, and their lengths."""


class PlainPng(NamedTuple):
    """Width and height, px, and Pillow's word for the pixels. It has one page, stands upright, and no colour stands for transparency."""

    width: int
    height: int
    mode: str


def plain_png(head: bytes) -> PlainPng | None:
    """Return what the first bytes of a file say; None where they are not those of a plain PNG without a flaw up to its pixels."""
    if not head.startswith(_SIGNATURE):
        return None
    found: PlainPng | None = None
    at = len(_SIGNATURE)
    while len(head) - at >= _CHUNK.size:
        length, kind = _CHUNK.unpack_from(head, at)
        start, at = at + _CHUNK.size, at + _CHUNK.size + length + _CRC.size
        if kind == b"IDAT":
            return found
        if at > len(head) or length != (_HARMLESS.get(kind) if found else _SIZE.size):
            return None
        if _CRC.unpack_from(head, start + length)[0] != crc32(head[start - len(kind) : start + length]):
            return None
        if found is None:
            found = _said(kind, head[start : start + length])
            if found is None:
                return None
    return None


def _said(kind: bytes, first: bytes) -> PlainPng | None:
    """Return what the first chunk says."""
    width, height, depth, colour, packing, filtering, interlacing = _SIZE.unpack(first)
    plain = kind == b"IHDR" and depth == 8 and colour in _MODES and width and height
    return (
        PlainPng(width, height, _MODES[colour]) if plain and not packing and not filtering and interlacing < 2 else None
    )
