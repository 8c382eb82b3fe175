"""Rows of a table on disk: written once while the project is measured, read by every writer of tables, in this process or in a lane."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from labelferry_export.lanes.task import Span
from labelferry_export.tables.columns import Row

BLOCK_ROWS = 256
"""Rows are read in blocks of at least so many, the last one excepted."""

_HEAD = struct.Struct("<II")
_decode = msgspec.msgpack.Decoder(list[Row]).decode


class RowFile:
    """A growing list of rows. Read it only when nothing is added any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("wb")
        self._encode = msgspec.msgpack.Encoder().encode
        self.count = 0
        """How many rows there are."""

    def add(self, rows: list[Row]) -> None:
        """Add rows."""
        self.add_packed(self._encode(rows), len(rows))

    def add_packed(self, data: bytes, count: int) -> None:
        """Add `count` rows that are packed already, as msgpack."""
        self._file.write(_HEAD.pack(len(data), count) + data)
        self.count += count

    def spans(self) -> Iterator[Span]:
        """Yield where the blocks lie; `rows_in` reads one."""
        self._file.flush()
        offset = length = first = count = 0
        with self.path.open("rb") as file:
            while head := file.read(_HEAD.size):
                size, rows = _HEAD.unpack(head)
                file.seek(size, os.SEEK_CUR)
                length, count = length + len(head) + size, count + rows
                if count >= BLOCK_ROWS:
                    yield Span(offset, length, first, count)
                    offset, length, first, count = offset + length, 0, first + count, 0
        if count:
            yield Span(offset, length, first, count)

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield all rows, in blocks."""
        for span in self.spans():
            yield rows_in(self.path, span)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def rows_in(path: Path, span: Span) -> list[Row]:
    """Return the rows of a block of the row file at `path`."""
    with path.open("rb") as file:
        file.seek(span.offset)
        data = file.read(span.length)
    rows: list[Row] = []
    at = 0
    while at < len(data):
        size, _ = _HEAD.unpack_from(data, at)
        at += _HEAD.size + size
        rows += _decode(memoryview(data)[at - size : at])
    return rows
