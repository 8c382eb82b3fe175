"""The bytes of the zip format: local headers, data descriptors, central directory. Pure; files are the archive's business.

After APPNOTE.TXT 6.3.10 of PKWARE (sections 4.3.7 to 4.3.16, 4.5.3). Whatever could differ between two runs is fixed here: the
date, the attributes, the system, the versions.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePosixPath

DOS_DATE = (1 << 5) | 1
"""1980-01-01, the first day that zip knows; the time is 0."""
MAKER = (3 << 8) | 45
"""Made on Unix (3), by the rules of version 4.5."""
FILE_MODE = 0o100644 << 16
UTF8_NAME = 0x0800
SIZES_FOLLOW = 0x0008
FULL_32 = 0xFFFF_FFFF
FULL_16 = 0xFFFF


class Method(IntEnum):
    """How an entry's bytes lie in the zip."""

    STORED = 0
    DEFLATED = 8


PACKED_SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jp2",
        ".j2k",
        ".webp",
        ".gif",
        ".avif",
        ".heic",
        ".heif",
        ".jxl",
        ".xlsx",
        ".zip",
        ".gz",
        ".npz",
        ".parquet",
        ".tar",
    ]
)
"""Files that are compressed already: stored as they are."""


def method_for(name: str) -> Method:
    """Return how an entry of this name lies in the zip."""
    return Method.STORED if PurePosixPath(name).suffix.lower() in PACKED_SUFFIXES else Method.DEFLATED


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a bundle: where it lies in the zip, its sizes in bytes, and its digests. `streamed` entries have a data descriptor.

    `original` is the SHA-256 of the project's file that it was made of, where it is no copy of it.
    """

    name: str
    method: Method
    offset: int
    size: int
    packed: int
    crc: int
    sha256: bytes
    streamed: bool = False
    original: bytes = b""

    @property
    def flags(self) -> int:
        """The general purpose bits: UTF-8 where the name needs it, sizes after the data where it was streamed."""
        return (0 if self.name.isascii() else UTF8_NAME) | (SIZES_FOLLOW if self.streamed else 0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """From where on a size and a number of entries need zip64. The format's own bounds, or lower ones in a test."""

    size: int = FULL_32
    entries: int = FULL_16


def local_header(entry: Entry, bounds: Bounds) -> bytes:
    """Return what stands before an entry's data; of a streamed entry only name, method and offset count."""
    name = entry.name.encode()
    if entry.streamed:
        extra = struct.pack("<HHQQ", 1, 16, 0, 0)
        return _local(entry, 45, 0, FULL_32, FULL_32, name, extra) + name + extra
    if max(entry.size, entry.packed) >= bounds.size:
        extra = struct.pack("<HHQQ", 1, 16, entry.size, entry.packed)
        return _local(entry, 45, entry.crc, FULL_32, FULL_32, name, extra) + name + extra
    return _local(entry, 20, entry.crc, entry.packed, entry.size, name, b"") + name


def _local(entry: Entry, version: int, crc: int, packed: int, size: int, name: bytes, extra: bytes) -> bytes:
    return struct.pack(
        "<4sHHHHHIIIHH",
        b"PK\x03\x04",
        version,
        entry.flags,
        entry.method,
        0,
        DOS_DATE,
        crc,
        packed,
        size,
        len(name),
        len(extra),
    )


def data_descriptor(entry: Entry) -> bytes:
    """Return what stands after a streamed entry's data: always the zip64 form, which its local header announces."""
    return struct.pack("<4sIQQ", b"PK\x07\x08", entry.crc, entry.packed, entry.size)


def directory_record(entry: Entry, bounds: Bounds) -> bytes:
    """Return an entry's record in the central directory."""
    name = entry.name.encode()
    wide: list[int] = []
    sizes = []
    for value in (entry.size, entry.packed, entry.offset):
        sizes.append(FULL_32 if value >= bounds.size else value)
        if value >= bounds.size:
            wide.append(value)
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size, packed, offset = sizes
    fixed = struct.pack(
        "<4sHHHHHHIIIHHHHHII",
        b"PK\x01\x02",
        MAKER,
        45 if wide or entry.streamed else 20,
        entry.flags,
        entry.method,
        0,
        DOS_DATE,
        entry.crc,
        packed,
        size,
        len(name),
        len(extra),
        0,
        0,
        0,
        FILE_MODE,
        offset,
    )
    return fixed + name + extra


def directory_end(entries: int, start: int, length: int, bounds: Bounds) -> bytes:
    """Return what ends a zip whose central directory of `entries` records lies at `start` and is `length` bytes long."""
    ending = b""
    if entries >= bounds.entries or max(start, length) >= bounds.size:
        ending = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, MAKER, 45, 0, 0, entries, entries, length, start)
        ending += struct.pack("<4sIQI", b"PK\x06\x07", 0, start + length, 1)
        entries, start, length = FULL_16, FULL_32, FULL_32
    return ending + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, entries, entries, length, start, 0)
