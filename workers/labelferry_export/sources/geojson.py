"""GeoJSON as QuPath writes it: a file an image, found by its stem, with polygons in pixels of the full image. Read as a stream.

A FeatureCollection, or the array of features that older versions write; `objectType` or the older `object_type`. A feature's
classification is its class, `object` where it has none. Measurements, metadata and a name are attributes. Of a cell the
outline is exported, its nucleus not. Points and lines enclose nothing. Classes are in the order of their names.

The images lie beside the json files, in `images/`, or, in a bundle, in `images/` with the json files in `annotations/geojson/`.
"""

import itertools
import posixpath
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.paths import inside
from labelferry_export.reading.json_cursor import Element
from labelferry_export.reading.json_stream import JsonStream, WrongType, first_keys
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_export.sources.folder_files import ImageFiles, files_below, first_byte
from labelferry_export.sources.geojson_form import FEATURE, HEAD, Properties, attributes_of, class_name, id_of, shape_of
from labelferry_export.sources.outlines import Unusable
from labelferry_export.sources.pairing import find_image
from labelferry_protocol.errors import Code

FOLDERS = ("", "annotations/geojson/")
SUFFIXES = frozenset([".geojson", ".json"])
MOST_SNIFFED = 32
FEATURES_AT_ONCE = 200
FIRST_PASS = 0.3
"""Of the time, the part that finding the classes takes."""
CROWD = "crowd"
"""The word of the metadata by which labelferry marks a crowd."""


@dataclass(frozen=True)
class _Page:
    """A file, where its features begin, and its image."""

    file: str
    offset: int
    image: FoundImage


class GeojsonSource:
    """See the module."""

    name = "geojson"
    title = "GeoJSON (QuPath)"
    looks_for = "a .geojson (or .json) FeatureCollection for an image of the same stem"
    reads = Reads(
        holes="yes",
        parts="MultiPolygon",
        crowds="metadata",
        attributes="measurements, metadata, name",
        subsets="of a bundle",
        ids="a name that is a number, else new",
    )

    def recognises(self, path: Path) -> bool:
        """As `Source.recognises`."""
        try:
            if path.is_file():
                return path.suffix.lower() in SUFFIXES and _is_geojson(path.parent, path.name)
            return next(_files(path, MOST_SNIFFED), None) is not None
        except (OSError, ExportError):
            return False

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        root = path.parent if path.is_file() else path
        files = [path.name] if path.is_file() else list(_files(path))
        sink.begin(FoundProject(path.stem if path.is_file() else path.name, root))
        yield from _Reading(root, sink, files).run()


SOURCE = GeojsonSource()


class _Reading:
    def __init__(self, root: Path, sink: Sink, files: list[str]) -> None:
        self._root = root
        self._sink = sink
        self._files = files
        self._pages: list[_Page] = []
        self._classes: set[str] = set()
        self._nuclei = 0
        self._numbers = itertools.count(1)

    def run(self) -> Iterator[float]:
        images = ImageFiles(self._root, ["images/"], list(dict.fromkeys(_folder(each) for each in self._files)))
        for turn, file in enumerate(self._files):
            image = find_image(self._sink, images, file, FOLDERS)
            if image is None:
                continue
            try:
                for part in self._look_into(file, image):
                    yield FIRST_PASS * (turn + part) / len(self._files)
            except ExportError as error:
                self._sink.complain(Finding.IMAGE_BROKEN, error.message, file)
        pages = self._pages
        for name in sorted(self._classes):
            self._sink.add_category(FoundCategory(name, name))
        for page in pages:
            self._sink.add_image(page.image)
            yield FIRST_PASS
        for turn, page in enumerate(pages):
            for part in self._tell(page):
                yield FIRST_PASS + (1 - FIRST_PASS) * (turn + part) / len(pages)
        if self._nuclei:
            message = f"the nuclei of {self._nuclei} cells are left out: an object has one outline, which is the cell's"
            self._sink.note(Finding.OTHER, message)

    def _features(self, file: str) -> Generator[int, None, int]:
        """Return where in a file the array of features begins, -1 for a file that is one feature; yield the bytes looked at, once a window."""
        start, byte = first_byte(self._root, file)
        if byte == b"[":
            return start
        with JsonStream(inside(self._root, file), file) as stream:
            found = yield from stream.index()
        if "features" in found:
            return found["features"]
        if "geometry" in found:
            return -1
        raise ExportError(Code.SOURCE, f"{file} is no GeoJSON of QuPath: it has no 'features'", file)

    def _elements(self, page: _Page, stream: JsonStream) -> Iterator[Element]:
        if page.offset < 0:
            yield stream.value(first_byte(self._root, page.file)[0])
        else:
            yield from stream.elements(page.offset)

    def _look_into(self, file: str, image: FoundImage) -> Iterator[float]:
        """Remember a file whose features can be read; yield how far it is."""
        offset = 0
        steps = self._features(file)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                offset = end.value
                break
            yield 0.0
        page = _Page(file, offset, image)
        yield from self._find_classes(page)
        self._pages.append(page)

    def _find_classes(self, page: _Page) -> Iterator[float]:
        with JsonStream(inside(self._root, page.file), page.file) as stream:
            for turn, element in enumerate(self._elements(page, stream)):
                try:
                    head = HEAD.decode(element, page.file)
                except WrongType:
                    continue
                self._classes.add(class_name(head.properties.classification if head.properties else None))
                if turn % FEATURES_AT_ONCE == 0:
                    yield element.offset / max(1, stream.size)

    def _tell(self, page: _Page) -> Iterator[float]:
        with JsonStream(inside(self._root, page.file), page.file) as stream:
            for turn, element in enumerate(self._elements(page, stream)):
                self._tell_object(page, turn + 1, element)
                if turn % FEATURES_AT_ONCE == 0:
                    yield element.offset / max(1, stream.size)
            stream.check_unchanged()
        yield 1.0

    def _tell_object(self, page: _Page, count: int, element: Element) -> None:
        label = f"feature {count} of {page.file}"
        number: int | None = None
        try:
            feature = FEATURE.decode(element, page.file)
            properties = feature.properties or Properties()
            number = id_of(properties.name) or next(self._numbers)
            shape = shape_of(feature.geometry)
        except (WrongType, Unusable) as error:
            message = f"{label} cannot be exported: {error}"
            self._sink.complain(Finding.OBJECT_DROPPED, message, page.image.name, number or next(self._numbers))
            return
        self._nuclei += feature.nucleus is not None
        attributes = attributes_of(properties)
        crowd = attributes.get(CROWD) == "true" and attributes.pop(CROWD) == "true"
        self._sink.add_object(
            FoundObject(
                image=page.image.key,
                category=class_name(properties.classification),
                shape=shape,
                label=label,
                id=number,
                crowd=crowd,
                attributes=attributes,
            )
        )


def _folder(file: str) -> str:
    folder = posixpath.dirname(file)
    return f"{folder}/" if folder else ""


def _files(path: Path, most: int | None = None) -> Iterator[str]:
    """Yield the GeoJSON files of a folder; look into at most so many."""
    for folder, deepest in zip(FOLDERS, (1, 4), strict=True):
        for name in itertools.islice(files_below(path, folder, SUFFIXES, deepest), most):
            if _is_geojson(path, name):
                yield name


def _is_geojson(root: Path, name: str) -> bool:
    """Whether a file is GeoJSON: by its suffix, else by its keys. A link that leads out of the project is not looked into."""
    try:
        path = inside(root, name)
        if name.lower().endswith(".geojson"):
            return True
        return "features" in first_keys(path, {"features", "images", "annotations", "categories", "shapes"})
    except ExportError:
        return False
