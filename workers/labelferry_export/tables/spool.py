"""Values by class, on disk: millions of objects are summed up without being held in memory. What is computed of them: statistics.py."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from labelferry_export.geometry.ring import Floats

HELD_ROWS = 1 << 16
"""So many rows wait in memory before they are written."""
BLOCK_VALUES = 1 << 16
"""About so many values of a column are read at a time."""


@dataclass
class _Shelf:
    """One class: the rows that wait, and where the others lie, as (offset in bytes, rows)."""

    waiting: list[Floats] = field(default_factory=list)
    written: list[tuple[int, int]] = field(default_factory=list)


class Spool:
    """Rows of numbers, put on a shelf for each class; read back a column of a shelf at a time, in the order they came."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("w+b")
        self._shelves: dict[int, _Shelf] = {}
        self._held = 0
        self._end = 0

    def add(self, shelf: int, rows: Floats) -> None:
        """Put rows, shape (n, k), on a shelf; k is the same for all."""
        self._shelves.setdefault(shelf, _Shelf()).waiting.append(rows)
        self._held += len(rows)
        if self._held >= HELD_ROWS:
            self._write()

    def column(self, shelf: int, index: int) -> Iterator[Floats]:
        """Yield a column of a shelf, block by block."""
        self._write()
        pieces: list[Floats] = []
        held = 0
        for offset, rows in self._shelves.get(shelf, _Shelf()).written:
            self._file.seek(offset + index * rows * 8)
            pieces.append(np.frombuffer(self._file.read(rows * 8), np.float64))
            held += rows
            if held >= BLOCK_VALUES:
                yield np.concatenate(pieces)
                pieces, held = [], 0
        if pieces:
            yield np.concatenate(pieces)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _write(self) -> None:
        if not self._held:
            return
        self._file.seek(self._end)
        for shelf in self._shelves.values():
            if shelf.waiting:
                rows = np.concatenate(shelf.waiting)
                self._file.write(np.ascontiguousarray(rows.T).tobytes())
                shelf.written.append((self._end, len(rows)))
                self._end += rows.nbytes
                shelf.waiting = []
        self._held = 0
