"""labelferry's own json, the form of `labelferry_form`: the file itself, a folder with it, or the unzipped bundle it came in."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from msgspec import Struct

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.reading.json_stream import Decoder, JsonStream, WrongType, first_keys
from labelferry_export.selection import listed
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_export.sources.labelferry_form import (
    FORM_VERSION,
    MARK,
    FlatRing,
    FormCategory,
    FormImage,
    FormInstance,
    Plain,
)
from labelferry_protocol.errors import Code

ARRAYS = ("categories", "images", "instances")
PLACES = ("annotations/json/annotations.json", "annotations.json")
IN_BUNDLE = Path(PLACES[0])
MANIFEST = "manifest.json"
"""Of a bundle; it says by the same key which labelferry made it, and holds no annotations."""
INDEX_SHARE = 0.3
ELEMENTS_AT_ONCE = 64
MOST_OTHERS = 32
"""Of the json files that happen to lie in a folder, how many are looked into."""

T = TypeVar("T")
E = TypeVar("E", bound=Struct)
_VERSION = Decoder(int)
_TEXT = Decoder(str)
_PLAIN = Decoder(dict[str, Plain])
_CATEGORY = Decoder(FormCategory)
_IMAGE = Decoder(FormImage)
_INSTANCE = Decoder(FormInstance)


class _OddRing(Exception):
    """A ring's numbers are no pairs."""


class LabelferrySource:
    """See the module."""

    name = "labelferry"
    title = "labelferry json"
    looks_for = f"{PLACES[0]} of an unzipped bundle, or a json file that begins with the key {MARK!r}"
    reads = Reads(
        holes="yes",
        parts="yes",
        crowds="yes",
        attributes="yes, of images too",
        subsets="yes",
        ids="kept",
    )

    def recognises(self, path: Path) -> bool:
        """As `Source.recognises`."""
        return _find(path) is not None

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        file = _find(path)
        if file is None:
            raise ExportError(Code.SOURCE, f"{path.name} holds no labelferry json", path.name)
        with JsonStream(file.resolve(), file.name) as stream:
            reading = _Reading(stream, sink)
            yield from reading.index()
            sink.begin(reading.project(path, file))
            yield from reading.tell()


SOURCE = LabelferrySource()


class _Reading:
    def __init__(self, stream: JsonStream, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink
        self._places: dict[str, int] = {}
        self._offset = 0

    def index(self) -> Iterator[float]:
        """Find the keys and check the version; yield how far the file is read."""
        self._places = yield from self._stream.index_within(INDEX_SHARE)
        name = self._stream.name
        missing = [key for key in (MARK, *ARRAYS) if key not in self._places]
        if missing:
            raise ExportError(Code.SOURCE, f"{name} is not labelferry json: it has no {listed(missing)}", name)
        version = self._value(MARK, _VERSION, 0)
        if not 1 <= version <= FORM_VERSION:
            message = f"{name} is of version {version} of labelferry json, this labelferry reads up to {FORM_VERSION}: update it"
            raise ExportError(Code.SOURCE, message, name)

    def project(self, path: Path, file: Path) -> FoundProject:
        """Return what the file says of the project as a whole."""
        root = file.parent
        if root.parts[-2:] == IN_BUNDLE.parts[:-1]:
            root = root.parent.parent
        fallback = path.stem if path.is_file() else path.name
        info: dict[str, Plain] = self._value("info", _PLAIN, {})
        return FoundProject(self._value("name", _TEXT, "") or fallback, root, info)

    def tell(self) -> Iterator[float]:
        """Tell the sink what is in the arrays; yield how far the file is read."""
        for category in self._each("categories", _CATEGORY, Finding.REFERENCE_BROKEN):
            self._sink.add_category(FoundCategory(category.id, category.name, category.supercategory))
        for count, image in enumerate(self._each("images", _IMAGE, Finding.IMAGE_MISSING)):
            self._sink.add_image(_found_image(image))
            if count % ELEMENTS_AT_ONCE == 0:
                yield self._done()
        for count, instance in enumerate(self._each("instances", _INSTANCE, Finding.OBJECT_DROPPED)):
            self._tell_object(instance)
            if count % ELEMENTS_AT_ONCE == 0:
                yield self._done()
        self._stream.check_unchanged()

    def _tell_object(self, instance: FormInstance) -> None:
        label = f"instance {instance.id} of {self._stream.name}"
        try:
            shape = _shape(instance)
        except _OddRing:
            message = f"{label} cannot be exported: its outline has an odd number of coordinates"
            self._sink.complain(Finding.OBJECT_DROPPED, message, object_id=instance.id)
            return
        self._sink.add_object(
            FoundObject(
                image=instance.image_id,
                category=instance.category_id,
                shape=shape,
                label=label,
                id=instance.id,
                crowd=instance.crowd,
                attributes=instance.attributes,
            )
        )

    def _done(self) -> float:
        return INDEX_SHARE + (1 - INDEX_SHARE) * self._offset / max(1, self._stream.size)

    def _value(self, key: str, decoder: Decoder[T], default: T) -> T:
        if key not in self._places:
            return default
        try:
            return decoder.decode(self._stream.value(self._places[key]), self._stream.name)
        except WrongType as error:
            raise ExportError(
                Code.SOURCE, f"{self._stream.name}: the value of {key!r}: {error}", self._stream.name
            ) from None

    def _each(self, key: str, decoder: Decoder[E], finding: Finding) -> Iterator[E]:
        """Yield the elements of an array that are what they should be; complain of the others."""
        for count, element in enumerate(self._stream.elements(self._places[key]), 1):
            self._offset = element.offset
            try:
                yield decoder.decode(element, self._stream.name)
            except WrongType as error:
                message = f"number {count} of the {key} of {self._stream.name} (at byte {element.offset}) cannot be read: {error}"
                self._sink.complain(finding, message)


def _found_image(image: FormImage) -> FoundImage:
    return FoundImage(
        key=image.id,
        name=image.name,
        file=image.file or image.name,
        folders=("images/", ""),
        width=image.width,
        height=image.height,
        id=image.id,
        # What was a split in the bundle is what the project puts the image in, now that the bundle is the project.
        subset=image.split or image.subset,
        attributes=image.attributes,
    )


def _shape(instance: FormInstance) -> Shape:
    return Shape(tuple(Part(_ring(part.outer), tuple(map(_ring, part.holes))) for part in instance.parts))


def _ring(numbers: FlatRing) -> Ring:
    if len(numbers) % 2:
        raise _OddRing
    return np.array(numbers, np.float64).reshape(-1, 2)


def _find(path: Path) -> Path | None:
    """Return the file to read: `path`, the one in a known place below it, or the only one of this form that lies in it."""
    if path.is_file():
        return path if _is_ours(path, path) else None
    for place in PLACES:
        if (path / place).is_file() and _is_ours(path / place, path):
            return path / place
    others = (each for each in sorted(path.glob("*.json")) if each.name != MANIFEST)
    found = [each for each in islice(others, MOST_OTHERS) if _is_ours(each, path)]
    return found[0] if len(found) == 1 else None


def _is_ours(path: Path, project: Path) -> bool:
    """Whether a file is of this form; a link that leads out of the project is not looked into."""
    try:
        if not path.resolve().is_relative_to(project):
            return False
        return MARK in first_keys(path, {MARK, *ARRAYS})
    except (OSError, RuntimeError, ExportError):
        return False
