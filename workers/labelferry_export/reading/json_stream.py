"""Reads a json file of any size in windows: the top-level keys, and the elements of the arrays under them, one by one.

Nothing here knows what the elements mean. Memory holds one window, or one element where that is larger. The scan looks only
at strings and brackets; an element is checked and typed when it is decoded (`decode`).
"""

import gc
import json
import os
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple, TypeVar

import msgspec

from labelferry_export.errors import ExportError
from labelferry_export.paths import open_plain
from labelferry_export.reading.json_cursor import WINDOW_BYTES, Cursor, Element, likely_cut, not_json
from labelferry_protocol.errors import Code

BATCH_BYTES = 1 << 18

T = TypeVar("T")


class WrongType(Exception):
    """Right json, but not what it should be; the text says what was expected and where."""


class Decoder(Generic[T]):
    """Turns elements into values of one type. `NaN` and `Infinity`, which real files hold, are taken as numbers.

    The numbers of the keys `whole` may be written as 3.0, as writers do that keep their tables as floats.
    """

    def __init__(self, wanted: type[T], whole: Sequence[str] = ()) -> None:
        self._wanted = wanted
        self._whole = whole
        self._decoder = msgspec.json.Decoder(wanted)
        self._many: msgspec.json.Decoder[list[T]] = msgspec.json.Decoder(list[wanted])  # type: ignore[valid-type]  # known at run time only

    def decode(self, element: Element, name: str) -> T:
        """Return the value; raise `WrongType`, or `ExportError` with the byte where it is no json at all."""
        try:
            return self._decoder.decode(element.raw)
        except msgspec.ValidationError as error:
            if not self._whole:
                raise WrongType(str(error)) from None
            return self._decode_leniently(element, name)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._decode_leniently(element, name)

    def decode_many(self, elements: bytes) -> list[T] | None:
        """Return the values of elements with commas between them; None when any of them is not at once what it should be."""
        try:
            with collector_off():
                return self._many.decode(b"[%b]" % elements)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def _decode_leniently(self, element: Element, name: str) -> T:
        try:
            value = json.loads(element.raw)
            json.dumps(value, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            raise not_json(
                name, element.offset + len(error.doc[: error.pos].encode(errors="replace")), error.msg
            ) from None
        except UnicodeError:
            raise not_json(name, element.offset, "text that is not valid unicode") from None
        except (ValueError, RecursionError) as error:
            raise not_json(name, element.offset, str(error)) from None
        for key in self._whole if isinstance(value, dict) else ():
            number = value.get(key)
            if isinstance(number, float) and number.is_integer():
                value[key] = int(number)
        try:
            return msgspec.convert(value, self._wanted)
        except (msgspec.ValidationError, OverflowError, ValueError) as error:
            raise WrongType(str(error)) from None


class Batch(NamedTuple, Generic[T]):
    """Some elements of an array, decoded, and where in the file the first begins."""

    offset: int
    values: list[T]


class JsonStream:
    """An open json file whose one value is an object. Use as a context manager.

    The file is one open descriptor from first to last, and `check_unchanged` says whether somebody wrote into it meanwhile.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        try:
            self._file: BinaryIO = os.fdopen(open_plain(path), "rb", buffering=0)
        except OSError as error:
            raise ExportError(Code.SOURCE, f"{name} cannot be opened: {error.strerror or error}", name) from None
        self._before = os.fstat(self._file.fileno())
        self._ends: dict[int, int] = {}
        """Where the values end that `index` found, by where they begin."""

    def __enter__(self) -> "JsonStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes of the file when it was opened."""
        return self._before.st_size

    def check_unchanged(self) -> None:
        """Raise `ExportError` when the file was written to since it was opened."""
        now = os.fstat(self._file.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._before.st_size, self._before.st_mtime_ns):
            raise ExportError(
                Code.SOURCE,
                f"{self.name} was changed while it was being read: export again when nobody writes it",
                self.name,
            )

    def index(self) -> Generator[int, None, dict[str, int]]:
        """Return where the value of each top-level key begins; yield the bytes looked at, once a window and once a value."""
        places: dict[str, int] = {}
        key = ""
        for step in self.walk():
            if isinstance(step, str):
                key = step
                if key in places:
                    raise not_json(self.name, places[key], f"the key {key[:64]!r} is there twice")
                places[key] = -1
            elif places[key] < 0:
                places[key] = step
            else:
                self._ends[places[key]] = step
                yield step
        return places

    def index_within(self, share: float) -> Generator[float, None, dict[str, int]]:
        """Return what `index` does; yield how far the whole reading is, of which this is the first `share`."""
        steps = self.index()
        while True:
            try:
                yield share * next(steps) / max(1, self.size)
            except StopIteration as end:
                places: dict[str, int] = end.value
                return places

    def value(self, offset: int) -> Element:
        """Return the one value at `offset`."""
        return Cursor(self._file.fileno(), offset, self.name).take()

    def elements(self, offset: int) -> Iterator[Element]:
        """Yield the elements of the array at `offset`; raise `ExportError` when there is none."""
        cursor = Cursor(self._file.fileno(), offset, self.name)
        self._check_list(cursor)
        cursor.expect(b"[", "")
        if cursor.peek() != b"]":
            yield from cursor.take_elements()

    def values(
        self, offset: int, decoder: Decoder[T], complain: Callable[[int, int, str], None]
    ) -> Iterator["Batch[T]"]:
        """Yield the elements of the array of objects that `index` found at `offset`, as many at once as decode together.

        Told of those that are not what they should be: their number, from 1, the byte where they begin, what was expected. Raises
        `ExportError` when there is no array, or what is no json.
        """
        count = 0
        for step in self._batches(offset, decoder):
            if isinstance(step, Batch):
                count += len(step.values)
                yield step
                continue
            count += 1
            try:
                yield Batch(step.offset, [decoder.decode(step, self.name)])
            except WrongType as error:
                complain(count, step.offset, str(error))

    def _batches(self, offset: int, decoder: Decoder[T]) -> Iterator["Batch[T] | Element"]:
        """Yield what decodes at once, and element by element what does not.

        What parses between two brackets is whole elements, so the place where a block is cut need only be likely.
        """
        descriptor, end = self._file.fileno(), self._ends[offset] - 1
        self._check_list(Cursor(descriptor, offset, self.name))
        at = offset + 1
        while at < end:
            block = os.pread(descriptor, min(BATCH_BYTES, end - at), at)
            size = len(block) if at + len(block) == end else likely_cut(block)
            values = decoder.decode_many(block[:size]) if size else None
            # Nothing between two commas, or behind the last, is no json.
            if values is not None and (values or at == offset + 1):
                yield Batch(at, values)
                at += size + 1
                continue
            for element in Cursor(descriptor, at, self.name).take_elements():
                yield element
                if element.offset - at > WINDOW_BYTES:
                    break
            rest = Cursor(descriptor, element.offset + len(element.raw), self.name)
            if not rest.goes_on(b"]"):
                return
            at = rest.offset

    def _check_list(self, cursor: Cursor) -> None:
        if cursor.peek() != b"[":
            raise ExportError(Code.SOURCE, f"{self.name}: a list was expected at byte {cursor.offset}", self.name)

    def walk(self) -> Iterator[str | int]:
        """Yield each key, then the offset of its value, then how far skipping that value has come, once a window."""
        cursor = Cursor(self._file.fileno(), 0, self.name)
        cursor.skip_byte_order_mark()
        if cursor.peek() not in (b"{", b""):
            raise ExportError(
                Code.SOURCE, f"{self.name} is no annotation file: its top level is not a json object", self.name
            )
        cursor.expect(b"{", "the file is empty")
        more = cursor.peek() != b"}" or cursor.goes_on(b"}")
        while more:
            if cursor.peek() != b'"':
                raise cursor.error("a key was expected")
            yield _KEY.decode(cursor.take(), self.name)
            cursor.expect(b":", "a colon was expected")
            cursor.peek()
            yield cursor.offset
            yield from cursor.skip()
            more = cursor.goes_on(b"}")
        if cursor.peek():
            raise cursor.error("nothing was expected after the end of the object")


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep Python's cycle collector from running: many lists are made, none of them in a cycle, and it would look at each again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_KEY = Decoder(str)
SNIFF_BYTES = 64 << 20


def first_keys(path: Path, telling: Collection[str]) -> set[str]:
    """Return the top-level keys up to the first of the `telling` ones; raise `ExportError` when it is no json object.

    A file that has told nothing within its first 64 MB tells nothing.
    """
    seen: set[str] = set()
    with JsonStream(path.resolve(), path.name) as stream:
        for step in stream.walk():
            if isinstance(step, str):
                seen.add(step)
                if step in telling:
                    break
            elif step > SNIFF_BYTES:
                break
    return seen
