"""A zip below 4 GiB that is given out in pieces, its files packed in stretches, by whoever made them: what a workbook is.

After APPNOTE.TXT 6.3.10 of PKWARE (sections 4.3.7 to 4.3.16), without its 64-bit extension, which some readers refuse in workbooks. Sizes
follow the data. No date, no attributes: the same contents, the same bytes. The crc of joined data is computed from those of its parts,
after M. Adler's zlib (crc32_combine): appending n bytes multiplies a remainder by x^(8 n), modulo the polynomial of the crc.
"""

import struct
from dataclasses import dataclass
from functools import cache

from deflate import crc32

from labelferry_export.bundle.packed import STREAM_END, stretch

LEVEL = 1
"""Of zlib, for the xml of sheets."""
VERSION, SIZES_FOLLOW, DEFLATED = 20, 0x0008, 8
DOS_DATE = (1 << 5) | 1
POLYNOMIAL = 0xEDB8_8320
"""Of the crc, the highest power at the lowest bit."""
ONE = 1 << 31


@dataclass(frozen=True)
class Part:
    """A stretch of a file: `packed`, and the size and crc of what it holds."""

    packed: bytes
    size: int
    crc: int

    @classmethod
    def of(cls, contents: bytes) -> "Part":
        """Pack contents."""
        return cls(stretch(contents, LEVEL), len(contents), crc32(contents))


@dataclass
class _Entry:
    name: bytes
    offset: int
    crc: int = 0
    packed: int = 0
    size: int = 0


class SmallZip:
    """A zip that is being written, one file after the other. After each call, `take` gives out the bytes that are ready."""

    def __init__(self) -> None:
        self._ready = bytearray()
        self._offset = 0
        self._entries: list[_Entry] = []

    def take(self) -> bytes:
        """Return the bytes that were made since the last call."""
        data = bytes(self._ready)
        self._ready.clear()
        return data

    def begin(self, name: str) -> None:
        """Begin a file; its name is ASCII."""
        entry = _Entry(name.encode("ascii"), self._offset)
        self._entries.append(entry)
        head = (VERSION, SIZES_FOLLOW, DEFLATED, 0, DOS_DATE, 0, 0, 0, len(entry.name), 0)
        self._put(struct.pack("<4s5H3I2H", b"PK\x03\x04", *head) + entry.name)

    def add(self, part: Part) -> None:
        """Add a stretch to the file that was begun."""
        entry = self._entries[-1]
        entry.crc = joined_crc(entry.crc, part.crc, part.size)
        entry.packed += len(part.packed)
        entry.size += part.size
        self._put(part.packed)

    def end(self) -> None:
        """End the file."""
        entry = self._entries[-1]
        entry.packed += len(STREAM_END)
        self._put(STREAM_END + struct.pack("<4s3I", b"PK\x07\x08", entry.crc, entry.packed, entry.size))

    def close(self) -> None:
        """Write the directory."""
        start = self._offset
        for each in self._entries:
            sizes = (each.crc, each.packed, each.size, len(each.name), 0, 0, 0, 0, 0, each.offset)
            head = (VERSION, VERSION, SIZES_FOLLOW, DEFLATED, 0, DOS_DATE)
            self._put(struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *head, *sizes) + each.name)
        count = len(self._entries)
        self._put(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, self._offset - start, start, 0))

    def _put(self, data: bytes) -> None:
        self._ready += data
        self._offset += len(data)


def joined_crc(first: int, second: int, length: int) -> int:
    """Return the crc of two stretches of bytes, the second `length` bytes long, from the crcs of both."""
    power = ONE
    for bit in range(length.bit_length()):
        if length >> bit & 1:
            power = _product(_power(bit), power)
    return _product(power, first) ^ second


@cache
def _power(bit: int) -> int:
    """Return x^(8 * 2^bit) modulo the polynomial."""
    return _product(_power(bit - 1), _power(bit - 1)) if bit else ONE >> 8


def _product(one: int, other: int) -> int:
    """Return the product of two polynomials modulo that of the crc."""
    product = 0
    while one:
        if one & ONE:
            product ^= other
        one = one << 1 & 0xFFFF_FFFF
        other = other >> 1 ^ (POLYNOMIAL if other & 1 else 0)
    return product
