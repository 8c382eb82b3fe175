"""An entry of a store, read: blocks of bytes, each under its length, the whole under a digest that is checked before any is given out."""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LENGTH = struct.Struct(">I")
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry lies in its volume, in bytes, and the digest of its key and its content."""

    start: int
    length: int
    digest: bytes


class Entry:
    """A sound entry. Close it when it is read."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
        self._file = file
        self._place = place

    @classmethod
    def opened(cls, volume: Path, place: Place, key: bytes) -> "Entry | None":
        """Return the entry at a place; None where what lies there is not what was put there under this key."""
        try:
            file = volume.open("rb", buffering=0)
        except OSError:
            return None
        try:
            if _digest(file, place, key) == place.digest:
                return cls(file, place)
        except OSError:
            pass
        file.close()
        return None

    def blocks(self) -> Iterator[bytes]:
        """Yield the blocks, one at a time in memory."""
        self._file.seek(self._place.start)
        left = self._place.length
        while left:
            (length,) = LENGTH.unpack(_read(self._file, LENGTH.size))
            yield _read(self._file, length)
            left -= LENGTH.size + length

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def seeded(key: bytes) -> "hashlib._Hash":
    """Return the digest of an entry under this key, before its first byte."""
    return hashlib.sha256(key)


def _digest(file: BinaryIO, place: Place, key: bytes) -> bytes:
    digest = seeded(key)
    file.seek(place.start)
    left = place.length
    while left and (data := file.read(min(left, READ_BYTES))):
        digest.update(data)
        left -= len(data)
    return digest.digest()


def _read(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    while len(data) < length and (more := file.read(length - len(data))):
        data += more
    return data
