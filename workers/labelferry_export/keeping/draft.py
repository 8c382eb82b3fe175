"""An entry of a store, written: it comes block by block, and is kept in the end or leaves no trace."""

import hashlib
import sqlite3
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from labelferry_export.keeping.entry import LENGTH, Begin, Place

HELD_BYTES = 1 << 20
"""So much of it waits in memory: most entries are written at once, or never."""
FAULTS = (OSError, sqlite3.Error)


class Desk(Protocol):
    """What a draft needs of its store. Both may raise `OSError` and `sqlite3.Error`."""

    def volume(self, size: int) -> BinaryIO | None:
        """Return the file at whose end so many bytes more are to be written; None where there is no room."""

    def add(self, key: bytes, kind: str, place: Place) -> bool:
        """Let an entry be found; false where it was there already."""

    def give_up(self) -> None:
        """Take in nothing any more."""


class Draft:
    """A context. What goes wrong with the disk does not leave it: the entry is not kept, and its store gives up."""

    def __init__(self, desk: Desk, key: bytes, kind: str, begin: Begin = hashlib.sha256) -> None:
        self._desk = desk
        self._key = key
        self._kind = kind
        self._digest = begin(key)
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._length = 0
        self._file: BinaryIO | None = None
        self._start = 0
        self._lost = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._take_back()

    def add(self, block: bytes) -> None:
        """Append a block."""
        if self._lost:
            return
        for data in (LENGTH.pack(len(block)), block):
            self._digest.update(data)
            self._held.append(data)
            self._held_bytes += len(data)
        if self._held_bytes >= HELD_BYTES:
            try:
                self._write()
            except FAULTS:
                self._lose(give_up=True)

    def keep(self) -> None:
        """Say that it is whole."""
        if self._lost:
            return
        try:
            if self._write():
                place = Place(self._start, self._length, self._digest.digest())
                if self._desk.add(self._key, self._kind, place):
                    self._file = None
        except FAULTS:
            self._lose(give_up=True)

    def _write(self) -> bool:
        """Write what is held; return whether there was room."""
        file = self._desk.volume(self._length + self._held_bytes)
        if file is None:
            self._lose(give_up=False)
            return False
        if self._file is None:
            self._file, self._start = file, file.tell()
        data = memoryview(b"".join(self._held))
        self._length += len(data)
        self._held.clear()
        self._held_bytes = 0
        while data:
            data = data[file.write(data) :]
        return True

    def _lose(self, *, give_up: bool) -> None:
        self._lost = True
        self._held.clear()
        self._take_back()
        if give_up:
            self._desk.give_up()

    def _take_back(self) -> None:
        if self._file is not None and not self._file.closed:
            with suppress(OSError):
                self._file.seek(self._start)
                self._file.truncate()
        self._file = None
