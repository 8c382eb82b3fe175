"""The zip of a bundle, written in one pass: entries stream in, their digests are taken on the way, the same content gives the same bytes.

It can be cut back to where it was (`mark`, `cut`), so that what was begun and not finished leaves no trace. Until `finish`, the
file has no central directory: half a bundle is never mistaken for a whole one.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from deflate import crc32

from labelferry_export.bundle.listing import Listing
from labelferry_export.bundle.packed import STRETCH_LEVEL, PackedFile
from labelferry_export.bundle.records import (
    Bounds,
    Entry,
    Method,
    data_descriptor,
    directory_end,
    directory_record,
    local_header,
    method_for,
)

WHOLE_BYTES = 8 << 20
"""An entry up to this size is held in memory, so that its header states sizes and crc; a longer one has them after its data."""
BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an archive was."""

    offset: int
    crc: int
    entries: int
    listing_end: int


class Archive:
    """A zip that is being written to `path`; `listing` (a file beside it) remembers its entries. One entry is open at a time."""

    def __init__(self, path: Path, listing: Path, bounds: Bounds | None = None) -> None:
        self.path = path
        self._bounds = bounds or Bounds()
        self._file: BinaryIO = path.open("w+b", buffering=BUFFER_BYTES)
        self._listing = Listing(listing)
        self.crc = 0
        """The checksum of all bytes written so far: what is on the disk is held against it. The digest is taken then."""
        self._names: set[int] = set()
        self._open: str | None = None
        self.offset = 0
        """Bytes written so far."""

    @property
    def count(self) -> int:
        """How many entries are in it."""
        return self._listing.count

    @property
    def listing_bytes(self) -> int:
        """The size of the list of its entries: a measure of what is to write about them at the end."""
        return self._listing.end

    def entries(self) -> Iterator[Entry]:
        """Yield the entries that are in it now, in the order they were written."""
        return iter(self._listing)

    def add(self, name: str, data: bytes) -> None:
        """Write a file that is in memory."""
        with self.open(name) as entry:
            entry.write(data)

    def add_packed(self, file: PackedFile) -> None:
        """Write a file that was packed elsewhere. Raises ValueError as `open` does."""
        self._check_free(file.name)
        entry = Entry(
            name=file.name,
            method=Method(file.method),
            offset=self.offset,
            size=file.size,
            packed=len(file.data),
            crc=file.crc,
            sha256=file.sha256,
            original=file.original,
        )
        self.write(self.local_header(entry), file.data)
        self.close_entry(entry)

    def open(self, name: str) -> "EntryWriter":
        """Begin a file; left by an exception, its `with` block takes it away again. Raises ValueError for a name that is taken or unsafe."""
        self._check_free(name)
        self._open = name
        return EntryWriter(self, name, self.mark())

    def mark(self) -> Mark:
        """Return where the archive is now, for `cut`."""
        return Mark(self.offset, self.crc, self._listing.count, self._listing.end)

    def cut(self, mark: Mark) -> None:
        """Take away whatever was written since `mark`."""
        self._file.seek(mark.offset)
        self._file.truncate()
        self.offset, self.crc, self._open = mark.offset, mark.crc, None
        if mark.entries != self._listing.count:
            self._listing.cut(mark.entries, mark.listing_end)
            self._names = {hash(entry.name) for entry in self._listing}

    def finish(self) -> Iterator[int]:
        """Write the central directory and close the file; yields the bytes written, now and then. `crc` and `offset` are final then."""
        start, pending = self.offset, bytearray()
        for entry in self._listing:
            pending += directory_record(entry, self._bounds)
            if len(pending) >= BUFFER_BYTES:
                self.write(bytes(pending))
                yield len(pending)
                pending.clear()
        self.write(bytes(pending))
        ending = directory_end(self._listing.count, start, self.offset - start, self._bounds)
        self.write(ending)
        self.suspend()
        yield len(pending) + len(ending)

    def suspend(self) -> None:
        """Let go of the files; what is in them stays."""
        self._file.close()
        self._listing.suspend()

    def resume(self, mark: Mark) -> None:
        """Take the files up again after `suspend`, cut back to `mark`."""
        self._file = self.path.open("r+b", buffering=BUFFER_BYTES)
        self._listing.resume()
        self.cut(mark)

    def abandon(self) -> None:
        """Let go of the files, whatever is in them."""
        for close in (self._file.close, self._listing.suspend):
            with suppress(OSError):
                close()

    def write(self, *blocks: bytes) -> None:
        """Write raw bytes of the zip: for `EntryWriter` and for nobody else."""
        for block in blocks:
            self._file.write(block)
            self.crc = crc32(block, self.crc)
            self.offset += len(block)

    def local_header(self, entry: Entry) -> bytes:
        """Return an entry's header by this archive's bounds: for `EntryWriter`."""
        return local_header(entry, self._bounds)

    def close_entry(self, entry: Entry) -> None:
        """Take an entry into the list: for `EntryWriter`."""
        self._listing.append(entry)
        self._names.add(hash(entry.name))
        self._open = None

    def _check_free(self, name: str) -> None:
        if self._open is not None:
            raise ValueError(f"{name!r} cannot be written while {self._open!r} is")
        _check_name(name)
        if hash(name) in self._names:
            raise ValueError(f"the bundle has a file {name!r} already")


class EntryWriter:
    """One file of the bundle while it is written; a context manager."""

    def __init__(self, archive: Archive, name: str, mark: Mark) -> None:
        self._archive = archive
        self._name = name
        self._mark = mark
        self._method = method_for(name)
        deflated = self._method is Method.DEFLATED
        self._squeeze = zlib.compressobj(STRETCH_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS) if deflated else None
        self._held: list[bytes] | None = []
        self._crc = 0
        self._digest = hashlib.sha256()
        self._packed = 0
        self._loose = False
        """Whether something was written since the packer was last flushed."""
        self.size = 0
        """Bytes given so far."""

    def write(self, data: bytes) -> None:
        """Add bytes to the file."""
        self._count(data)
        self._pass_on(self._squeeze.compress(data) if self._squeeze else data)
        self._loose = True

    def write_stretch(self, data: bytes, packed: bytes) -> None:
        """Add bytes that were packed elsewhere, as `packed.stretch` does; `data` are the bytes themselves."""
        if self._squeeze is None:
            self.write(data)
            return
        if self._loose:
            # Ends its own blocks at a whole byte, and forgets what is behind: it does not know what comes in between.
            self._pass_on(self._squeeze.flush(zlib.Z_FULL_FLUSH))
            self._loose = False
        self._count(data)
        self._pass_on(packed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._archive.cut(self._mark)
            return
        if self._squeeze:
            self._pass_on(self._squeeze.flush())
        entry = self._entry()
        if self._held is None:
            self._archive.write(data_descriptor(entry))
        else:
            self._archive.write(self._archive.local_header(entry), *self._held)
        self._archive.close_entry(entry)

    def _count(self, data: bytes) -> None:
        self._crc = crc32(data, self._crc)
        self._digest.update(data)
        self.size += len(data)

    def _pass_on(self, packed: bytes) -> None:
        self._packed += len(packed)
        if self._held is None:
            self._archive.write(packed)
            return
        self._held.append(packed)
        if self._packed > WHOLE_BYTES:
            held, self._held = self._held, None
            self._archive.write(self._archive.local_header(self._entry()), *held)

    def _entry(self) -> Entry:
        return Entry(
            name=self._name,
            method=self._method,
            offset=self._mark.offset,
            size=self.size,
            packed=self._packed,
            crc=self._crc,
            sha256=self._digest.digest(),
            streamed=self._held is None,
        )


_NO_PARTS = frozenset(["", ".", ".."])
_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f]")


def _check_name(name: str) -> None:
    if _UNSAFE.search(name) or not _NO_PARTS.isdisjoint(name.split("/")) or len(name.encode()) > 0xFFFF:
        raise ValueError(f"{name!r} is no name for a file in a bundle")
