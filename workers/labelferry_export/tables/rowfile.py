"""Rows of a table on disk: written once while the project is measured, read by every writer of tables."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from labelferry_export.tables.columns import Row

BLOCK_ROWS = 256
"""Rows are read in blocks of at least so many, the last one excepted."""

_LENGTH = struct.Struct("<I")


class RowFile:
    """A growing list of rows. Read it only when nothing is added any more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._encode = msgspec.msgpack.Encoder().encode
        self.count = 0
        """How many rows there are."""

    def add(self, rows: list[Row]) -> None:
        """Add rows."""
        self.add_packed(self._encode(rows), len(rows))

    def add_packed(self, data: bytes, count: int) -> None:
        """Add `count` rows that are packed already, as msgpack."""
        self._file.write(_LENGTH.pack(len(data)) + data)
        self.count += count

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield all rows, in blocks."""
        self._file.flush()
        decode = msgspec.msgpack.Decoder(list[Row]).decode
        block: list[Row] = []
        with self._path.open("rb") as file:
            while head := file.read(_LENGTH.size):
                block += decode(file.read(_LENGTH.unpack(head)[0]))
                if len(block) >= BLOCK_ROWS:
                    yield block
                    block = []
        if block:
            yield block

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
