"""YOLO as Ultralytics lays it out: `data.yaml` with the images and, by the last `/images/` of each path, the labels in `labels/`.

Rows of a class and 3 or more points are outlines (so are the four corners of oriented boxes); rows of a class and a box become
rectangles, with a note for the image. With `kpt_shape` in data.yaml a row is a box with key points, which are left out.
`train`, `val` and `test` are subsets, but for images that are in several; each is a folder, a list of files, or several of these,
relative to `path`. A relative `path` counts from the folder of data.yaml, and nothing outside of that folder is read. Without a
data.yaml, `images/` and `labels/` with the class names in `classes.txt` are read.

An image without a label file has no objects. Coordinates are shares of the image as it is shown, so a quarter turn by EXIF is followed.
"""

import itertools
import os
import posixpath
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.paths import inside
from labelferry_export.picture import read_header
from labelferry_export.selection import listed
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_export.sources.class_list import read_text
from labelferry_export.sources.folder_files import IMAGE_SUFFIXES, files_below, read_bytes, read_start
from labelferry_export.sources.outlines import Unusable
from labelferry_export.sources.yolo_data import CLASS_LISTS, ROLES, YoloData, is_inside
from labelferry_protocol.errors import Code

LABELS = frozenset([".txt"])
YAML = frozenset([".yaml", ".yml"])
SPLIT_KEYS = (*ROLES, "valid", "validation")
MAX_YAML_BYTES = 4 << 20
MAX_LABEL_BYTES = 64 << 20
MOST_SNIFFED = 16
BOX_NUMBERS = 4
OBJECTS_AT_ONCE = 200
IMAGE_SHARE = 0.2
"""Of the time, the part that finding the images takes."""


class YoloSource:
    """See the module."""

    name = "yolo"
    title = "YOLO"
    looks_for = "data.yaml with 'names' and 'train' or 'val', or images/ and labels/*.txt with classes.txt"
    reads = Reads(
        holes="bridges stay",
        parts="no",
        crowds="no",
        attributes="no",
        subsets="train, val, test",
        ids="new",
    )

    def recognises(self, path: Path) -> bool:
        """As `Source.recognises`."""
        try:
            if path.is_file():
                return path.suffix.lower() in YAML and _is_data_yaml(path.parent, path.name)
            return bool(_yamls(path)) or _is_bare(path)
        except (OSError, ExportError):
            return False

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        root = path.parent if path.is_file() else path
        files = [path.name] if path.is_file() else _yamls(path)
        if len(files) > 1:
            message = f"{path.name} holds several data files, {listed(files)}: name one of them as the source"
            raise ExportError(Code.USAGE, message, path.name)
        sink.begin(FoundProject(path.stem if path.is_file() else path.name, root))
        data = YoloData.bare(root) if not files else YoloData.of(root, files[0])
        yield from _Reading(root, sink, data).run()


SOURCE = YoloSource()


class _Reading:
    def __init__(self, root: Path, sink: Sink, data: YoloData) -> None:
        self._root = root
        self._sink = sink
        self._data = data
        self._numbers = itertools.count(1)
        self._key_points = 0

    def run(self) -> Iterator[float]:
        for index, name in self._data.names.items():
            self._sink.add_category(FoundCategory(index, name))
        if self._data.remark:
            self._sink.note(Finding.OTHER, self._data.remark)
        subsets: dict[str, str | None] = {}
        for role, places in self._data.places.items():
            for image in itertools.chain.from_iterable(map(self._images, places)):
                subsets[image] = role if subsets.get(image, role) == role else None
        images: list[FoundImage] = []
        for name, subset in subsets.items():
            images.append(self._image(name, subset))
            self._sink.add_image(images[-1])
            yield IMAGE_SHARE * len(images) / len(subsets)
        for turn, found in enumerate(images):
            for _ in self._tell(found):
                yield IMAGE_SHARE + (1 - IMAGE_SHARE) * turn / len(images)
        if self._key_points:
            message = f"the key points of {self._key_points} objects are left out: their boxes are exported"
            self._sink.note(Finding.OTHER, message)
        self._tell_strays(_label_file(image.file or "") for image in images)

    def _tell_strays(self, of_images: Iterable[str]) -> None:
        """Tell of the label files beside those of the images that are of none."""
        known = set(of_images)
        folders = {f"{posixpath.dirname(each)}/" for each in known if "/labels/" in f"/{each}"}
        within = [folder for folder in folders if is_inside(self._root, folder)]
        beside = {each for folder in within for each in files_below(self._root, folder, LABELS, deepest=1)}
        strays = sorted(each for each in beside - known if posixpath.basename(each) not in CLASS_LISTS)
        if strays:
            message = f"label files that are of no image of the project, and are not read: {len(strays)}, the first is {strays[0]}"
            self._sink.note(Finding.OTHER, message)

    def _images(self, place: str) -> Iterator[str]:
        """Yield the images of a folder or a list of files, relative to the root."""
        if (self._root / place).is_dir():
            yield from files_below(self._root, "" if place == "." else f"{place}/", IMAGE_SUFFIXES)
            return
        folder = posixpath.dirname(place)
        for line in filter(None, map(str.strip, read_text(self._root, place).splitlines())):
            yield posixpath.normpath(posixpath.join(folder, line.replace("\\", "/")))

    def _image(self, file: str, subset: str | None) -> FoundImage:
        name = f"/{file}".rpartition("/images/")[2] if "/images/" in f"/{file}" else file
        before = f"/{file}".rpartition("/images/")[0].removeprefix("/") if "/images/" in f"/{file}" else ""
        width, height = self._size(file)
        return FoundImage(
            key=file, name=f"{before}/{name}" if before else name, file=file, width=width, height=height, subset=subset
        )

    def _size(self, file: str) -> tuple[int | None, int | None]:
        """Return the size that an image shows, None where it cannot be read (which is told when its turn comes)."""
        try:
            header = read_header(inside(self._root, file), file)
        except ExportError:
            return None, None
        return header.width, header.height

    def _tell(self, image: FoundImage) -> Iterator[None]:
        yield
        file = _label_file(image.file or "")
        if image.width is None or not os.path.lexists(self._root / file):
            return
        try:
            lines = read_bytes(self._root, file, MAX_LABEL_BYTES).removeprefix(BOM_UTF8).splitlines()
        except ExportError as error:
            self._sink.complain(Finding.OBJECT_DROPPED, error.message, image.name)
            return
        boxes = 0
        for count, line in enumerate(lines, 1):
            words = line.split()
            if words:
                boxes += self._tell_object(image, f"row {count} of {file}", words)
            if count % OBJECTS_AT_ONCE == 0:
                yield
        if boxes:
            message = f"{boxes} objects of {image.name!r} have no outline: their boxes are used as outlines"
            self._sink.note(Finding.OTHER, message, image.name)

    def _tell_object(self, image: FoundImage, label: str, words: list[bytes]) -> bool:
        """Tell of a row; whether it is a box."""
        number = next(self._numbers)
        try:
            index, values = _row(words)
            if self._data.key_points and len(values) > BOX_NUMBERS:
                self._key_points += 1
                values = values[:BOX_NUMBERS]
            with np.errstate(over="ignore", invalid="ignore"):
                ring = _ring(values) * (image.width or 0, image.height or 0)
        except Unusable as error:
            message = f"{label} cannot be exported: {error}"
            self._sink.complain(Finding.OBJECT_DROPPED, message, image.name, number)
            return False
        self._sink.add_object(FoundObject(image.key, index, Shape((Part(ring),)), label, id=number))
        return len(values) == BOX_NUMBERS


def _row(words: list[bytes]) -> tuple[int, list[float]]:
    try:
        index, values = float(words[0]), [float(each) for each in words[1:]]
    except ValueError:
        raise Unusable("it holds something that is not a number") from None
    if not (index.is_integer() and 0 <= index < 2**53):
        raise Unusable("its class is no number of a class")
    return int(index), values


def _ring(values: list[float]) -> Ring:
    """Return the outline of a row in shares of the image."""
    if len(values) == BOX_NUMBERS:
        x, y, width, height = values
        if not (width > 0 and height > 0):
            raise Unusable("its box is empty")
        half = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
        ring: Ring = half + np.array((x, y))
        return ring
    if len(values) % 2 or len(values) < 6:
        raise Unusable(f"it has {len(values)} numbers behind its class: a box has 4, an outline 6 or more, in pairs")
    return np.array(values).reshape(-1, 2)


def _label_file(image: str) -> str:
    """Return where an image's labels are: `/labels/` for the last `/images/` of its path, and `.txt` for its suffix."""
    before, found, after = f"/{image}".rpartition("/images/")
    labels = f"{before}/labels/{after}" if found else f"/{image}"
    return posixpath.splitext(labels)[0].removeprefix("/") + ".txt"


def _yamls(path: Path) -> list[str]:
    found = itertools.islice(files_below(path, "", YAML, deepest=1), MOST_SNIFFED)
    return [each for each in found if _is_data_yaml(path, each)]


def _is_data_yaml(root: Path, name: str) -> bool:
    """Whether a file has the keys of a data.yaml at the begin of its lines."""
    lines = read_start(root, name, MAX_YAML_BYTES).splitlines()
    keys = {line.partition(b":")[0].strip(b"\"' \xef\xbb\xbf") for line in lines if not line.startswith((b" ", b"#"))}
    return bool(keys & {b"names", b"nc"}) and any(key.encode() in keys for key in SPLIT_KEYS)


def _is_bare(path: Path) -> bool:
    if not (path / "images").is_dir() or not any((path / each).is_file() for each in CLASS_LISTS):
        return False
    return next(files_below(path, "labels/", LABELS), None) is not None
