"""The list of what is in a bundle so far, on disk: it grows with the number of files, and memory must not."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from labelferry_export.bundle.records import Entry, Method

_FIXED = struct.Struct("<HBBBQQQI32s32s")


class Listing:
    """Entries in the order they were written. Can be cut back to an earlier length."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("w+b")
        self.count = 0
        self.end = 0
        """The list's own length in bytes."""

    def append(self, entry: Entry) -> None:
        """Add an entry."""
        name = entry.name.encode()
        fixed = _FIXED.pack(
            *(len(name), entry.method, entry.streamed, bool(entry.original)),
            *(entry.offset, entry.size, entry.packed, entry.crc, entry.sha256, entry.original),
        )
        self._file.write(fixed + name)
        self.count += 1
        self.end += len(fixed) + len(name)

    def cut(self, count: int, end: int) -> None:
        """Forget what was added since the list had `count` entries and `end` bytes."""
        self._file.flush()
        self._file.truncate(end)
        self._file.seek(end)
        self.count, self.end = count, end

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries that are in the list now."""
        self._file.flush()
        with self._path.open("rb") as file:
            left = self.end
            while left > 0:
                head = _FIXED.unpack(file.read(_FIXED.size))
                length, method, streamed, made, offset, size, packed, crc, digest, original = head
                name = file.read(length).decode()
                left -= _FIXED.size + length
                original = original if made else b""
                yield Entry(name, Method(method), offset, size, packed, crc, digest, bool(streamed), original)

    def suspend(self) -> None:
        """Let go of the file; what is in it stays."""
        self._file.close()

    def resume(self) -> None:
        """Take the file up again after `suspend`."""
        self._file = self._path.open("r+b")
        self._file.seek(self.end, os.SEEK_SET)
