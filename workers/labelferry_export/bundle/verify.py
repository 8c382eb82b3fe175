"""Reads a finished bundle as a stranger would, before it is published: every byte of it, in bounded memory. What is in the files: readers.

Nothing the writer remembers is used but the checksum it tells: the zip is parsed anew, from its end record on. SHA256SUMS is checked by
rebuilding it, a line an entry, and comparing digests.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from deflate import crc32

from labelferry_export.bundle.readers import Reader
from labelferry_export.bundle.segment import segment

SUMS = "SHA256SUMS"
BLOCK_BYTES = 1 << 20
FULL_32 = 0xFFFF_FFFF
_END = struct.Struct("<4s4HIIH")
_WIDE_END = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR = struct.Struct("<4sIQI")
_RECORD = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_DESCRIPTOR = struct.Struct("<4sIQQ")


Open = Callable[[str], Reader | None]
"""Gives the reader of a file by its name in the bundle, or None where nobody knows its rules."""


class _Record(NamedTuple):
    """What the central directory says of a file."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def verify(path: Path, crc: int) -> Generator[int, None, str]:
    """Read the whole bundle; yield the bytes read, block by block, and return its sha256. Raises ValueError naming what is wrong where something is.

    Checked: the zip's structure without a gap, names without repetition, sizes, CRCs, SHA256SUMS, and the checksum `crc` of the whole
    file.
    """
    with path.open("rb") as file, path.open("rb") as directory, _Whole() as whole:
        count, start = _end_of(directory)
        directory.seek(start)
        sums = hashlib.sha256()
        names: set[int] = set()
        at = 0
        for _ in range(count):
            record = _record(directory)
            if hash(record.name) in names or record.offset != at:
                raise ValueError(f"{record.name} is in the bundle twice, or not where its directory says")
            names.add(hash(record.name))
            entry = _Entry(record, whole)
            yield from entry.read(file)
            at = file.tell()
            if record.name == SUMS and entry.digest.digest() != sums.digest():
                raise ValueError(f"{SUMS} does not agree with the files")
            sums.update(f"{entry.digest.hexdigest()}  {record.name}\n".encode())
        if at != start or hash(SUMS) not in names:
            raise ValueError("the bundle has a gap before its directory, or no checksums")
        while block := file.read(BLOCK_BYTES):
            whole.update(block)
            yield len(block)
        if whole.crc != crc:
            raise ValueError("the checksum of the bundle is not the one that was taken while it was written")
        return whole.hexdigest()


class _Whole:
    """The checksum and the digest of the whole file. The digest is taken in a thread, beside those of the entries: it lets other threads run."""

    def __init__(self) -> None:
        self.crc = 0
        self._digest = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._size = 0
        self._thread = ThreadPoolExecutor(1)
        self._work: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def update(self, block: bytes) -> None:
        """Take in more bytes."""
        self.crc = crc32(block, self.crc)
        self._waiting.append(block)
        self._size += len(block)
        if self._size >= BLOCK_BYTES:
            self._hand_over()

    def hexdigest(self) -> str:
        """Return the digest of all."""
        self._settle()
        self._digest.update(b"".join(self._waiting))
        return self._digest.hexdigest()

    def _hand_over(self) -> None:
        self._settle()
        self._work = self._thread.submit(self._digest.update, b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0

    def _settle(self) -> None:
        if self._work is not None:
            self._work.result()


def read_again(path: Path, opened: Open) -> Iterator[None]:
    """Hand the contents of files to the readers that `opened` has for them; a yield after every block. All else is for `verify` to check."""
    for record, file in _records(path):
        with about(record.name):
            reader = opened(record.name)
            if reader is None:
                continue
            _seek_data(file, record)
            for _, data in _unpacked(file.read, record):
                reader.take(data)
                yield
            reader.close()


def _records(path: Path) -> Iterator[tuple[_Record, BinaryIO]]:
    """Yield what the directory says of files, each with the bundle open."""
    with path.open("rb") as directory, path.open("rb") as file:
        count, start = _end_of(directory)
        directory.seek(start)
        for _ in range(count):
            yield _record(directory), file


def _seek_data(file: BinaryIO, record: _Record) -> None:
    """Go to where a file's data begins."""
    file.seek(record.offset)
    *_, name_length, extra_length = _LOCAL.unpack(file.read(_LOCAL.size))
    file.seek(name_length + extra_length, os.SEEK_CUR)


def stored(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, BinaryIO]]:
    """Yield the files of a bundle that are wanted by name, each with its contents to read here and there; they lie there as they are."""
    for record, file in _records(path):
        if wanted(record.name):
            _seek_data(file, record)
            yield record.name, segment(file, file.tell(), record.size)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Put a file's name before what is wrong with it, and make a sentence of whatever its reader stumbles over; a disk that fails is no fault of the file."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    except KeyError as error:
        raise ValueError(f"{name}: it lacks {error}") from error
    except Exception as error:
        raise ValueError(f"{name}: it cannot be read again: {type(error).__name__}: {error}") from error


class _Entry:
    """One file of the bundle while it is read."""

    def __init__(self, record: _Record, whole: _Whole) -> None:
        self.record = record
        self.digest = hashlib.sha256()
        self._whole = whole
        self._crc = self._size = 0

    def read(self, file: BinaryIO) -> Iterator[int]:
        """Read from the local header to the data's end (or its descriptor's); yield bytes read."""
        record = self.record
        head = self._take(file, _LOCAL.size)
        signature, _, flags, method, *_, name_length, extra_length = _LOCAL.unpack(head)
        name = self._take(file, name_length)
        self._take(file, extra_length)
        if (signature, flags, method, name) != (b"PK\x03\x04", record.flags, record.method, record.name.encode()):
            raise ValueError(f"the header of {record.name} is not the one of the directory")
        yield len(head) + name_length + extra_length
        yield from self._data(file)
        if record.flags & 8:
            descriptor = _DESCRIPTOR.unpack(self._take(file, _DESCRIPTOR.size))
            if descriptor != (b"PK\x07\x08", record.crc, record.packed, record.size):
                raise ValueError(f"the sizes behind {record.name} are not those of the directory")

    def _data(self, file: BinaryIO) -> Iterator[int]:
        record = self.record
        for packed, data in _unpacked(partial(self._take, file), record):
            self._crc = crc32(data, self._crc)
            self._size += len(data)
            self.digest.update(data)
            yield packed
        if (self._crc, self._size) != (record.crc, record.size):
            raise ValueError(f"{record.name} does not read back as it was written")

    def _take(self, file: BinaryIO, length: int) -> bytes:
        block = file.read(length)
        if len(block) != length:
            raise ValueError(f"the bundle ends within {self.record.name}")
        self._whole.update(block)
        return block


def _unpacked(take: Callable[[int], bytes], record: _Record) -> Iterator[tuple[int, bytes]]:
    """Yield a file's contents block by block, each with how many bytes of the zip were taken for it."""
    left = record.packed
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if record.method else None
    while left:
        block = take(min(left, BLOCK_BYTES // 8 if inflate else BLOCK_BYTES))
        left -= len(block)
        packed = len(block)
        while block:
            yield packed, inflate.decompress(block, BLOCK_BYTES) if inflate else block
            block = inflate.unconsumed_tail if inflate else b""
            packed = 0
    if inflate:
        yield 0, inflate.flush()
        if not inflate.eof:
            raise ValueError(f"{record.name} does not read back as it was written")


def _end_of(file: BinaryIO) -> tuple[int, int]:
    """Return how many files the directory lists, and where it begins."""
    end = file.seek(0, 2) - _END.size
    file.seek(max(end, 0))
    tail = file.read(_END.size)
    if len(tail) < _END.size or tail[:4] != b"PK\x05\x06":
        raise ValueError("the bundle has no end record")
    _, _, _, _, count, _, start, _ = _END.unpack(tail)
    file.seek(max(end - _LOCATOR.size, 0))
    locator = file.read(_LOCATOR.size)
    if locator[:4] != b"PK\x06\x07":
        return count, start
    file.seek(_LOCATOR.unpack(locator)[2])
    wide = _WIDE_END.unpack(file.read(_WIDE_END.size))
    if wide[0] != b"PK\x06\x06":
        raise ValueError("the bundle has no zip64 end record where it says")
    return wide[7], wide[9]


def _record(file: BinaryIO) -> _Record:
    fixed = file.read(_RECORD.size)
    if len(fixed) != _RECORD.size or fixed[:4] != b"PK\x01\x02":
        raise ValueError("the directory of the bundle is cut off")
    _, _, _, flags, method, _, _, crc, packed, size, name_length, extra_length, _, _, _, _, offset = _RECORD.unpack(
        fixed
    )
    name = file.read(name_length).decode()
    if extra_length:
        wide = iter(struct.unpack(f"<{(extra_length - 4) // 8}Q", file.read(extra_length)[4:]))
        size, packed, offset = (next(wide, FULL_32) if value == FULL_32 else value for value in (size, packed, offset))
    return _Record(name, flags, method, crc, packed, size, offset)
