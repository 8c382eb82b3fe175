"""Reads back what formats wrote: counts images and objects anew and holds the files to the rules of their readers. For the self-check."""

from collections.abc import Mapping
from typing import Any

import msgspec

from labelferry_export.bundle.verify import Reader

LEAST_RING = 6
"""Numbers of a ring: three points."""
_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")


class ObjectRow(msgspec.Struct):
    """What every record of an object has, whatever else; segmentations are not looked into."""

    id: int
    image_id: int
    category_id: int


class ImageRow(msgspec.Struct):
    """What every record of an image has."""

    id: int
    width: int
    height: int


class JsonRecount:
    """Recounts json files below `folder` that hold a record a line, images first, then what stands behind the key `objects`."""

    def __init__(self, folder: str, objects: str, classes: int) -> None:
        self.images = 0
        self.objects: int | None = 0
        self._folder = folder
        self._classes = classes
        self._keys: Mapping[bytes, msgspec.json.Decoder[Any]] = {
            b'"images":[': msgspec.json.Decoder(ImageRow),
            f'"{objects}":['.encode(): msgspec.json.Decoder(ObjectRow),
        }
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def open(self, name: str) -> Reader | None:
        """Return the reader of a file of this format."""
        return self if name.startswith(self._folder) and name.endswith(".json") else None

    def add(self, line: bytes) -> None:
        """Take a line."""
        for key, decoder in self._keys.items():
            if line.startswith(key):
                self._decoder = decoder
                return
        if self._decoder is None or not line.startswith(b"{"):
            return
        for end in (b"],", b"]}", b","):
            if line.endswith(end):
                line = line[: -len(end)]
                break
        try:
            row = self._decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise ValueError(f"a record cannot be read: {error}") from None
        if isinstance(row, ImageRow):
            self.images += 1
        else:
            self.objects = (self.objects or 0) + 1
            if not 1 <= row.category_id <= self._classes:
                raise ValueError(f"object {row.id} is of the class {row.category_id}, which is not there")

    def close(self) -> None:
        """Say that the file has ended."""
        if self._decoder is not list(self._keys.values())[-1]:
            raise ValueError("the file ends before its objects")
        self._decoder = None


class YoloRecount:
    """Recounts label files below `folder`: a class and `numbers` numbers from 0 to 1 a row, or (None) an even number of them for a ring.

    Objects are not compared: YOLO cannot say all of them, and what it leaves out is a finding.
    """

    def __init__(self, folder: str, numbers: int | None, classes: int) -> None:
        self.images = 0
        self.objects: int | None = None
        self._folder = folder
        self._numbers = numbers
        self._classes = classes

    def open(self, name: str) -> Reader | None:
        """Return the reader of a label file."""
        return self if name.startswith(self._folder) and name.endswith(".txt") else None

    def add(self, line: bytes) -> None:
        """Take a row."""
        index, _, rest = line.partition(b" ")
        count = rest.count(b" ") + 1
        right = count == self._numbers if self._numbers else count >= LEAST_RING and count % 2 == 0
        if not right or not 0 <= int(index) < self._classes or not _are_shares(rest):
            raise ValueError(f"the row {line[:60].decode(errors='replace')!r} is none that YOLO reads")

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
