"""Formats that are lines, read again: a record a line, or a row an object."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from labelferry_export.bundle.readers import LineBlocks, Lines, Reader
from labelferry_export.recount import Claim

LEAST_RING = 6
"""Numbers of a ring: three points."""
_USUAL_ROWS = rb"^(\d+)(?: (?:0\.\d+|1\.0+)){%d}$"
"""Rows of a class and so many shares, as we write them; they need no closer look."""
_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")


class ImageRow(msgspec.Struct):
    """What every record of an image has."""

    id: int
    width: int
    height: int


class PartRow(msgspec.Struct):
    """A part of an object of labelferry's json."""

    outer: list[float]
    holes: list[list[float]] = []


class InstanceRow(msgspec.Struct):
    """What is looked at of an object of labelferry's json."""

    id: int
    image_id: int
    category_id: int
    parts: list[PartRow]


class JsonRecount:
    """Recounts json files below `folder` that hold a record a line, images first, then what stands behind the key `objects`."""

    def __init__(self, folder: str, objects: str, classes: int, row: type[Any] = InstanceRow) -> None:
        self.images: int | None = 0
        self.objects: int | None = 0
        self._folder = folder
        self._classes = classes
        self._keys: Mapping[bytes, msgspec.json.Decoder[Any]] = {
            b'"images":[': msgspec.json.Decoder(ImageRow),
            f'"{objects}":['.encode(): msgspec.json.Decoder(row),
        }
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def open(self, name: str) -> Reader | None:
        """Return the reader of a file of this format."""
        return Lines(self) if name.startswith(self._folder) and name.endswith(".json") else None

    def add(self, line: bytes) -> None:
        """Take a line."""
        if not line.startswith(b"{"):
            self._decoder = next((each for key, each in self._keys.items() if line.startswith(key)), self._decoder)
            return
        if self._decoder is None:
            return
        row = decoded(self._decoder, record_of(line))
        if isinstance(row, ImageRow):
            self.images = (self.images or 0) + 1
            return
        self.objects = (self.objects or 0) + 1
        if not 1 <= row.category_id <= self._classes:
            raise ValueError(f"object {row.id} is of the class {row.category_id}, which is not there")
        self.check(row)

    def check(self, row: Any) -> None:
        """Check the record of an object."""
        rings = [ring for part in row.parts for ring in (part.outer, *part.holes)]
        if not rings or any(len(ring) < LEAST_RING or len(ring) % 2 for ring in rings):
            raise ValueError(f"object {row.id}: a ring of it is none of three or more points")

    def close(self) -> None:
        """Say that the file has ended."""
        if self._decoder is not list(self._keys.values())[-1]:
            raise ValueError("the file ends before its objects")
        self._decoder = None


Row = TypeVar("Row")


def record_of(line: bytes) -> bytes:
    """Return the record of a line of an array, without what ends the line: a comma, or the end of the array."""
    for end in (b"}]}", b"}],"):
        if line.endswith(end):
            return line[:-2]
    return line.removesuffix(b",")


def decoded(decoder: msgspec.json.Decoder[Row], record: bytes) -> Row:
    """Return a record; raises ValueError when it cannot be read."""
    try:
        return decoder.decode(record)
    except msgspec.MsgspecError as error:
        raise ValueError(f"a record cannot be read: {error}") from None


class ImageObjects(msgspec.Struct):
    """The objects of an image as a struct of lists; what is not counted is not looked into."""

    id: list[int]
    category: list[int]
    bbox: list[tuple[float, float, float, float]]
    area: list[int]
    iscrowd: list[int]
    segmentation: list[msgspec.Raw]
    attributes: list[str]


class MetadataRow(msgspec.Struct):
    """A line of Hugging Face's `metadata.jsonl`."""

    file_name: str
    width: int
    height: int
    objects: ImageObjects


class JsonLinesRecount:
    """Recounts `metadata.jsonl`: a row an image, lists of one length in it."""

    def __init__(self, claim: Claim) -> None:
        self.images = 0
        self.objects = 0
        self._classes = claim.classes
        self._decoder = msgspec.json.Decoder(MetadataRow)

    def open(self, name: str) -> Reader | None:
        """Return the reader of a table."""
        return Lines(self) if name.rpartition("/")[2] == "metadata.jsonl" else None

    def add(self, line: bytes) -> None:
        """Take a row."""
        objects = decoded(self._decoder, line).objects
        self.images += 1
        self.objects += len(objects.id)
        columns: Sequence[Sequence[object]] = [getattr(objects, name) for name in ImageObjects.__struct_fields__]
        if {len(column) for column in columns} != {len(objects.id)}:
            raise ValueError(f"the columns of the objects of image {self.images} differ in their length")
        if any(not 0 <= category < self._classes for category in objects.category):
            raise ValueError(f"an object of image {self.images} is of a class that is not there")

    def close(self) -> None:
        """Say that the file has ended."""


class YoloRecount:
    """Recounts label files below `folder`: a class and `numbers` numbers from 0 to 1 a row, or (None) an even number of them for a ring.

    `counts` says whether an object has one row.
    """

    def __init__(self, folder: str, numbers: int | None, classes: int, counts: bool = True) -> None:
        self.images = 0
        self.objects: int | None = 0 if counts else None
        self._folder = folder
        self._numbers = numbers
        self._classes = classes
        self._usual = re.compile(_USUAL_ROWS % numbers, re.MULTILINE) if numbers else None

    def open(self, name: str) -> Reader | None:
        """Return the reader of a label file."""
        return LineBlocks(self) if name.startswith(self._folder) and name.endswith(".txt") else None

    def add_lines(self, block: bytes) -> None:
        """Take rows, each with its end: all at once where they are of the usual form."""
        rows = block.count(b"\n")
        usual = self._usual.findall(block) if self._usual else ()
        if len(usual) == rows and all(int(index) < self._classes for index in set(usual)):
            if self.objects is not None:
                self.objects += rows
            return
        for line in block.removesuffix(b"\n").split(b"\n"):
            self.add(line)

    def add(self, line: bytes) -> None:
        """Take a row."""
        index, _, rest = line.partition(b" ")
        count = rest.count(b" ") + 1
        right = count == self._numbers if self._numbers else count >= LEAST_RING and count % 2 == 0
        if not right or not 0 <= int(index) < self._classes or not _are_shares(rest):
            raise ValueError(f"the row {line[:60].decode(errors='replace')!r} is none that YOLO reads")
        if self.objects is not None:
            self.objects += 1

    def close(self) -> None:
        """Say that the file has ended."""
        self.images += 1


def _are_shares(text: bytes) -> bool:
    """Return whether numbers, a blank apart, are all from 0 to 1. Those of the usual form, `0.` and some decimals, need not be parsed."""
    width = text.find(b" ") + 1
    blanked = b" " + text.translate(_TO_ZERO)
    if text[::width].strip(b"0") == b"" and blanked == blanked[:width] * (len(blanked) // width) and text[1:2] == b".":
        return True
    return all(0.0 <= float(each) <= 1.0 for each in text.split(b" "))
