"""Writes TIFF: one image in strips, whole numbers with the horizontal predictor, packed with Deflate. Nothing is read here.

After TIFF 6.0 (Adobe, 1992), sections 2, 8, 14 and 18 (predictor, alpha), and the technical note on Deflate (2002). Little-endian. No
tag tells of a time or a program: the same pixels give the same bytes.
"""

import struct
from collections.abc import Iterator
from typing import cast

import deflate
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.generic]

STRIP_BYTES = 1 << 20
LEVEL = 3
"""Of libdeflate, whose output is the same on every machine."""
LONG, SHORT, BYTES = 4, 3, 7
_STRUCTS = {LONG: "I", SHORT: "H"}
_DEFLATE, _HORIZONTAL, _UNASSOCIATED = 8, 2, 2


def encode_tiff(pixels: Pixels, profile: bytes | None = None) -> Iterator[bytes]:
    """Yield a TIFF file; blocks are empty while it is made. pixels: (h, w) or (h, w, 1 to 4), uint8, uint16, int32 or float32.

    Two channels are grey and transparency, four are RGB and transparency. `profile` is an ICC profile to put in. Raises ValueError for a
    file of 4 GB or more, which TIFF cannot hold.
    """
    height, width, channels = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
    rows_a_strip = max(1, STRIP_BYTES // max(1, width * channels * pixels.dtype.itemsize))
    strips: list[bytes] = []
    for top in range(0, height, rows_a_strip):
        strips.append(bytes(deflate.zlib_compress(_foretold(pixels[top : top + rows_a_strip]), LEVEL)))
        yield b""
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    tags: dict[int, tuple[int, list[int] | bytes]] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [8 * pixels.dtype.itemsize] * channels),
        259: (SHORT, [_DEFLATE]),
        262: (SHORT, [2 if channels > 2 else 1]),
        273: (LONG, [0] * len(strips)),
        277: (SHORT, [channels]),
        278: (LONG, [rows_a_strip]),
        279: (LONG, list(map(len, strips))),
        317: (SHORT, [_HORIZONTAL if _is_foretold(pixels) else 1]),
        339: (SHORT, [kind] * channels),
    }
    if channels in (2, 4):
        tags[338] = (SHORT, [_UNASSOCIATED])
    if profile:
        tags[34675] = (BYTES, profile)
    start = len(_head(tags))
    if start + sum(map(len, strips)) >= 1 << 32:
        raise ValueError("a TIFF holds at most 4 GB")
    tags[273] = (LONG, [start + sum(map(len, strips[:turn])) for turn in range(len(strips))])
    yield _head(tags)
    yield from strips


def _is_foretold(pixels: Pixels) -> bool:
    return pixels.dtype in (np.uint8, np.uint16)


def _foretold(rows: Pixels) -> bytes:
    """Return rows as bytes; whole numbers as differences to the pixel on the left, modulo their range."""
    rows = np.ascontiguousarray(rows, rows.dtype.newbyteorder("<"))
    if not _is_foretold(rows):
        return rows.tobytes()
    whole = cast("NDArray[np.uint16]", rows)
    differences = whole.copy()
    differences[:, 1:] -= whole[:, :-1]
    return differences.tobytes()


def _head(tags: dict[int, tuple[int, list[int] | bytes]]) -> bytes:
    """Return the header, the directory and the values that do not fit into it."""
    entries, behind = b"", b""
    start = 8 + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        data = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{_STRUCTS[kind]}", *values)
        place = data.ljust(4, b"\0")
        if len(data) > 4:
            place = struct.pack("<I", start + len(behind))
            behind += data + bytes(len(data) % 2)
        entries += struct.pack("<HHI", tag, kind, len(values)) + place
    return b"II" + struct.pack("<HIH", 42, 8, len(tags)) + entries + bytes(4) + behind
