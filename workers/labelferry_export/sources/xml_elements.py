"""Xml files, read element by element in bounded memory. A document type is refused: with it go entities, and every attack by them."""

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from labelferry_export.errors import ExportError
from labelferry_export.paths import inside, open_plain
from labelferry_protocol.errors import Code

WINDOW_BYTES = 1 << 16
MAX_SILENT_BYTES = 64 << 20
"""A longer stretch without the begin or end of an element (one absurd attribute) is refused: the parser holds all of it."""
MOST_ELEMENTS = 1_000_000
"""Elements in one that is handed out (an image, say)."""
MAX_NESTING = 32

_REST_OF_DOCTYPE = re.compile(rb"[^\[>]*(?:\[.*?\]\s*)?>\s*<([A-Za-z_][A-Za-z0-9_.-]*)", re.DOTALL)
"""A document type from where the parser is told of it, and the tag of the element behind it."""

Where = tuple[str, ...]
"""The tags from the outermost element down to one."""


@dataclass(slots=True)
class XmlElement:
    """An element with all that is in it. `text` is what stands before, between and behind its children, without blanks around."""

    tag: str
    attributes: dict[str, str]
    children: list["XmlElement"] = field(default_factory=list)
    text: str = ""

    def first(self, tag: str) -> "XmlElement | None":
        """Return the first child with this tag."""
        return next((each for each in self.children if each.tag == tag), None)

    def all(self, tag: str) -> list["XmlElement"]:
        """Return the children with this tag."""
        return [each for each in self.children if each.tag == tag]

    def text_of(self, tag: str, default: str = "") -> str:
        """Return the text of the first child with this tag."""
        child = self.first(tag)
        return default if child is None else child.text


class XmlStep(NamedTuple):
    """An element that is complete, if one is, and how many bytes of the file are read."""

    element: XmlElement | None
    offset: int


class _Refused(Exception):
    """Well-formed xml that is not read; the text says why."""


def xml_elements(root: Path, name: str, wanted: Collection[Where]) -> Iterator[XmlStep]:
    """Yield the elements of a file inside `root` that stand at one of the places `wanted`, and a step for each window.

    What stands elsewhere is skipped. Raises `ExportError` when the file is not xml, or not the xml that a person would write.
    """
    path = inside(root, name)
    try:
        descriptor = open_plain(path)
    except OSError as error:
        raise ExportError(Code.SOURCE, f"{name} cannot be opened: {error.strerror or error}", name) from None
    with os.fdopen(descriptor, "rb") as file:
        reading = _Reading(wanted)
        offset = 0
        try:
            while data := file.read(WINDOW_BYTES):
                offset += len(data)
                for element in reading.feed(data):
                    yield XmlStep(element, offset)
                yield XmlStep(None, offset)
            for element in reading.feed(b"", last=True):
                yield XmlStep(element, offset)
        except expat.ExpatError as error:
            what = f"line {error.lineno}: {expat.ErrorString(error.code)}"
            raise ExportError(Code.SOURCE, f"{name} is not xml: {what}", name) from None
        except (ValueError, LookupError, OSError) as error:
            raise ExportError(Code.SOURCE, f"{name} cannot be read: {error}", name) from None
        except _Refused as error:
            raise ExportError(Code.SOURCE, f"{name} is refused: line {reading.line}: {error}", name) from None


def outermost(root: Path, name: str) -> str:
    """Return the tag of the outermost element of a file, empty when it has none or is no xml. Reads one window."""
    try:
        with os.fdopen(open_plain(inside(root, name)), "rb") as file:
            data = file.read(WINDOW_BYTES)
        reading = _Reading(())
        with suppress(expat.ExpatError, ValueError, LookupError, _Refused):
            reading.feed(data)
        # Behind a document type, which is refused, the element itself is looked for: the sentence can say then what was refused.
        behind = None if reading.doctype_at is None else _REST_OF_DOCTYPE.match(data, reading.doctype_at)
        return behind[1].decode() if behind else reading.outermost
    except (OSError, ExportError):
        return ""


class _Reading:
    """The state of the parser: where it stands, and the wanted element it is in."""

    def __init__(self, wanted: Collection[Where]) -> None:
        self.outermost = ""
        self.doctype_at: int | None = None
        """Where in the file the document type was refused: behind its name."""
        self._wanted = frozenset(wanted)
        self._where: list[str] = []
        self._open: list[XmlElement] = []
        self._done: list[XmlElement] = []
        self._elements = 0
        self._silent = 0
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._say
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser = parser

    @property
    def line(self) -> int:
        return self._parser.CurrentLineNumber

    def feed(self, data: bytes, *, last: bool = False) -> list[XmlElement]:
        self._silent += len(data)
        self._parser.Parse(data, last)
        if self._silent > MAX_SILENT_BYTES:
            raise _Refused(f"more than {MAX_SILENT_BYTES >> 20} MB without an element")
        done, self._done = self._done, []
        return done

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        self._silent = 0
        self.outermost = self.outermost or tag
        self._where.append(tag)
        if len(self._where) > MAX_NESTING:
            raise _Refused(f"more than {MAX_NESTING} elements inside one another")
        if not self._open and tuple(self._where) not in self._wanted:
            return
        element = XmlElement(tag, attributes)
        self._elements = self._elements + 1 if self._open else 1
        if self._elements > MOST_ELEMENTS:
            raise _Refused(f"more than {MOST_ELEMENTS} elements in one")
        if self._open:
            self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _tag: str) -> None:
        self._silent = 0
        self._where.pop()
        if self._open:
            element = self._open.pop()
            element.text = element.text.strip()
            if not self._open:
                self._done.append(element)

    def _say(self, text: str) -> None:
        if self._open and not text.isspace():
            self._open[-1].text += text
            if len(self._open[-1].text) > MAX_SILENT_BYTES:
                raise _Refused(f"a text of more than {MAX_SILENT_BYTES >> 20} MB")

    def _refuse_doctype(self, name: str, *_: object) -> None:
        self.outermost = name
        self.doctype_at = self._parser.CurrentByteIndex
        raise _Refused("it has a document type (DOCTYPE), which annotation files do not need; take that line out")
