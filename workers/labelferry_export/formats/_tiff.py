"""Writes grey TIFFs of 32 bits, for masks that PNG has too few bits for; the same array gives the same bytes.

After TIFF 6.0 (Adobe, 1992), section 4 (baseline grey images): little-endian, one strip, not compressed, as the bundle compresses it;
`SampleFormat` 1 (section 19) says that the numbers have no sign.
"""

import struct

import numpy as np
from numpy.typing import NDArray

SHORT, LONG, RATIONAL = 3, 4, 5
HEADER_BYTES, ENTRY_BYTES = 8, 12
MOST_BYTES = 0xFFFF_FFFF
"""Offsets have 32 bits."""


def encode_tiff(pixels: NDArray[np.uint32]) -> bytes:
    """Return the file of a mask, shape (height, width). Raises ValueError for one that 32 bits cannot address."""
    height, width = pixels.shape
    fixed = [
        (256, LONG, width),
        (257, LONG, height),
        (258, SHORT, 32),
        (259, SHORT, 1),
        (262, SHORT, 1),
        (273, LONG, 0),
        (277, SHORT, 1),
        (278, LONG, height),
        (279, LONG, pixels.nbytes),
        (282, RATIONAL, 0),
        (283, RATIONAL, 0),
        (296, SHORT, 1),
        (339, SHORT, 1),
    ]
    ratio_at = HEADER_BYTES + 2 + ENTRY_BYTES * len(fixed) + 4
    data_at = ratio_at + 8
    if data_at + pixels.nbytes > MOST_BYTES:
        raise ValueError(f"a TIFF cannot hold {width} x {height} pixels of 32 bits")
    places = {273: data_at, 282: ratio_at, 283: ratio_at}
    entries = [struct.pack("<HHII", tag, kind, 1, places.get(tag, value)) for tag, kind, value in fixed]
    head = struct.pack("<2sHI", b"II", 42, HEADER_BYTES) + struct.pack("<H", len(fixed))
    return head + b"".join(entries) + struct.pack("<III", 0, 1, 1) + pixels.astype("<u4").tobytes()
