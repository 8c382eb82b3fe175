"""A place in a json file that moves forward, window by window: the scanning under `json_stream`.

It looks at strings and brackets only, never builds a value, and never recurses.
"""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from labelferry_export.errors import ExportError
from labelferry_protocol.errors import Code

WINDOW_BYTES = 1 << 20
MAX_ELEMENT_BYTES = 256 << 20
"""A larger element of an array (one annotation, say) is refused: it could not be held in bounded memory."""
MAX_NESTING = 64
TAIL_BYTES = 1 << 14

_BLANK = rb"[ \t\r\n]*+"
_TEXT = rb'"(?:[^"\\]++|\\.)*+"'
_OTHER = rb'[^"\[\]{}]++'


def _nested(levels: int) -> bytes:
    """Return a pattern for a whole list or object with at most so many more inside one another."""
    inner = rb"(?:%b|%b%b)*+" % (_OTHER, _TEXT, rb"|" + _nested(levels - 1) if levels else b"")
    return rb"\[%b\]|\{%b\}" % (inner, inner)


_SPACE = re.compile(_BLANK)
_STRING = re.compile(_TEXT, re.DOTALL)
_WORD = re.compile(rb'[^ \t\r\n,:\[\]{}"]*+')
# Everything up to the next bracket that matters: text, strings, and flat arrays of numbers (most of the bytes), in one step.
_TO_BRACKET = re.compile(rb'(?:%b|%b|\[[^"\[\]{}]*+\])*+[\[\]{}]' % (_OTHER, _TEXT), re.DOTALL)
# What nearly every element is, with what follows it; anything else takes the long way.
_ELEMENT = re.compile(rb"%b(%b)%b[,\]]" % (_BLANK, _nested(4), _BLANK), re.DOTALL)
_ELEMENTS = re.compile(rb"(?:[ \t\r\n,]*+(?:%b))++" % _nested(4), re.DOTALL)
_BEFORE = re.compile(rb"[ \t\r\n,]*+")
_BETWEEN = re.compile(rb"\}[ \t\r\n]*(,)[ \t\r\n]*\{")
_skip = msgspec.json.Decoder(list[msgspec.Raw]).decode
_CLOSING_LIST = ord("]")
_CLOSING = {ord("["): ord("]"), ord("{"): ord("}")}


def likely_cut(block: bytes) -> int:
    """Return where to cut a block of elements: at the last comma between two objects; 0 when there is none."""
    for start in (max(0, len(block) - TAIL_BYTES), 0):
        commas = [found.start(1) for found in _BETWEEN.finditer(block, start)]
        if commas:
            return commas[-1]
    return 0


def are_elements(text: bytes) -> bool:
    """Return whether a text is a json list. It is skipped through, which is the quickest of all ways."""
    try:
        _skip(text)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


class Element(NamedTuple):
    """The bytes of one json value, and where in the file they begin."""

    offset: int
    raw: bytes


def not_json(name: str, offset: int, what: str) -> ExportError:
    """Return the error for a file that is not json at one byte."""
    return ExportError(Code.SOURCE, f"{name} is not json: at byte {offset}: {what}", name)


class Cursor:
    """Reads from `offset` on. Offsets are bytes of the file."""

    def __init__(self, descriptor: int, offset: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._base = offset
        self._data = b""
        self._at = 0
        """Index into `_data`; what lies before it is forgotten at the next read."""
        self._end = 0
        """Index into `_data`: how far the value that begins at `_at` has been scanned."""
        self._is_fresh = False
        """Whether `_data` was not looked at yet for many elements at once."""

    @property
    def offset(self) -> int:
        """Where it stands."""
        return self._base + self._at

    def error(self, what: str) -> ExportError:
        """Return the error for what stands here."""
        return not_json(self._name, self.offset, what)

    def skip_byte_order_mark(self) -> None:
        """Step over a UTF-8 byte order mark, where there is one; raise for the marks of other encodings."""
        while len(self._data) < 3 and self._read():
            pass
        if self._data.startswith(b"\xef\xbb\xbf"):
            self._at = 3
        elif self._data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise self.error("it is UTF-16; save it as UTF-8")

    def peek(self) -> bytes:
        """Return the next byte that is not white space, empty at the end of the file, and stand on it."""
        while True:
            found = _SPACE.match(self._data, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._data):
                return self._data[self._at : self._at + 1]
            if not self._read():
                return b""

    def expect(self, byte: bytes, what: str) -> None:
        """Step over `byte`; raise with `what` when something else stands here."""
        if self.peek() != byte:
            raise self.error(what)
        self._at += 1

    def goes_on(self, closing: bytes) -> bool:
        """Step over a comma (true) or the closing bracket (false)."""
        byte = self.peek()
        if byte not in (b",", closing) or not byte:
            raise self.error(f"a comma or {closing.decode()} was expected" if byte else "the file ends in the middle")
        self._at += 1
        return byte == b","

    def take(self) -> Element:
        """Return the value that stands here and step over it."""
        for _ in self._cross(keep=True):
            pass
        start, self._at = self._at, self._end
        return Element(self._base + start, self._data[start : self._at])

    def take_elements(self) -> Iterator[Element]:
        """Step over the list whose first element stands here; return its elements one by one."""
        while True:
            found = _ELEMENT.match(self._data, self._at)
            if found:
                self._at = found.end()
                yield Element(self._base + found.start(1), found[1])
                if self._data[self._at - 1] == _CLOSING_LIST:
                    return
            else:
                yield self.take()
                if not self.goes_on(b"]"):
                    return

    def skip(self) -> Iterator[int]:
        """Step over the value that stands here, however large; yield the offset once a window, and last the value's end."""
        for _ in self._cross(keep=False):
            yield self._base + self._end
        self._at = self._end
        yield self.offset

    def _cross(self, *, keep: bool) -> Iterator[None]:
        """Find the end of the value that stands here (`_end`); yield after each read. Without `keep` its bytes are forgotten."""
        first = self.peek()
        self._end = self._at
        if first in (b"[", b"{"):
            yield from self._cross_brackets(keep)
        elif first == b'"':
            yield from self._cross_text()
        else:
            yield from self._cross_word()

    def _cross_text(self) -> Iterator[None]:
        while (found := _STRING.match(self._data, self._at)) is None:
            if not self._read():
                raise self.error("a text without an end")
            yield
        self._end = found.end()

    def _cross_word(self) -> Iterator[None]:
        """Cross a number, or `true` and the like; one that ends with the window may go on in the next."""
        while (found := _WORD.match(self._data, self._at)) is None or found.end() == len(self._data):
            if not self._read():
                break
            yield
        self._end = found.end() if found else self._at
        if self._end == self._at:
            raise self.error("a value was expected")

    def _cross_brackets(self, keep: bool) -> Iterator[None]:
        start = self.offset
        expected = [_CLOSING[self._data[self._at]]]
        self._end += 1
        while expected:
            if not keep and len(expected) == 1 and expected[0] == _CLOSING_LIST:
                self._end = self._behind_many(self._end)
            found = _TO_BRACKET.match(self._data, self._end)
            if found is None:
                self._at = self._at if keep else self._end
                if not self._read():
                    raise not_json(self._name, start, "a bracket or text without an end")
                yield
                continue
            self._end = found.end()
            bracket = self._data[self._end - 1]
            if bracket in _CLOSING:
                expected.append(_CLOSING[bracket])
                if len(expected) > MAX_NESTING:
                    raise not_json(self._name, start, f"more than {MAX_NESTING} lists and objects inside one another")
            elif expected.pop() != bracket:
                raise not_json(self._name, self._base + self._end - 1, f"{chr(bracket)} closes nothing")

    def _behind_many(self, start: int) -> int:
        """Return where the last one ends of the elements of a list that begin at `start`, commas before them or not; `start` where none does."""
        first = _BEFORE.match(self._data, start)
        at, cut = first.end() if first else start, 0
        if self._is_fresh:
            # Once a window: what is no json may be found at its far end.
            self._is_fresh, cut = False, likely_cut(self._data)
        if cut > at and are_elements(b"".join((b"[", memoryview(self._data)[at:cut], b"]"))):
            return cut
        many = _ELEMENTS.match(self._data, start)
        return many.end() if many else start

    def _read(self) -> bool:
        """Read on; false at the end of the file. Reads as much again as it holds, so that a large value costs linear time."""
        held = self._data[self._at :]
        self._end = max(self._end, self._at)
        if len(held) > MAX_ELEMENT_BYTES:
            raise self.error(f"one element of more than {MAX_ELEMENT_BYTES >> 20} MB")
        try:
            block = os.pread(self._descriptor, max(WINDOW_BYTES, len(held)), self._base + len(self._data))
        except OSError as error:
            raise ExportError(Code.SOURCE, f"{self._name} cannot be read: {error.strerror}", self._name) from None
        self._base += self._at
        self._end -= self._at
        self._at = 0
        self._data = held + block
        self._is_fresh = True
        return bool(block)
