"""ImageJ: RoiSet zips, and single .roi files, beside an image of the same stem (`a.png`, `a_RoiSet.zip`).

Polygons, freehand and traced outlines, rectangles, ovals (polygons of `outlines.ELLIPSE_VERTICES` vertices) and composites
(holes by the even-odd rule) are objects; lines, angles and points enclose nothing. The class is the ROI's property `class`,
as labelferry writes it, else `object`; other properties and the name are attributes. A zip is opened within limits: entries,
their sizes and the sum of them, whatever its directory says.

The images lie beside, in `images/`, or, in a bundle, in `images/` with the sets in `annotations/imagej/`.
"""

import io
import itertools
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_export.sources.folder_files import ImageFiles, files_below, read_bytes, read_start
from labelferry_export.sources.outlines import Unusable
from labelferry_export.sources.pairing import find_image
from labelferry_export.sources.roi_form import MAGIC, Roi, decode_roi
from labelferry_protocol.errors import Code

FOLDERS = ("", "annotations/imagej/")
SUFFIXES = frozenset([".roi", ".zip"])
ENDINGS = ("_RoiSet", "_roiset", "-RoiSet", "_ROIs", "_rois", "")
UNNAMED = "object"
MAX_ROI_BYTES = 16 << 20
MAX_SET_BYTES = 512 << 20
"""Of all ROIs of a zip together."""
MAX_DIRECTORY_BYTES = 8 << 20
"""Of a zip's list of its entries, which is held in memory."""
MOST_SNIFFED = 32
SNIFF_BYTES = 1024
LOCAL_HEADER_BYTES = 30
ROIS_AT_ONCE = 100
FIRST_PASS = 0.4
_END = struct.Struct("<4s4H2LH")
_OURS = ("class", "object_id", "crowd")


class ImagejSource:
    """See the module."""

    name = "imagej"
    title = "ImageJ ROIs"
    looks_for = "RoiSet zips (or .roi files) with the stem of an image, as a_RoiSet.zip for a.png"
    reads = Reads(
        holes="composites (even-odd)",
        parts="composites",
        crowds="property",
        attributes="properties, name",
        subsets="of a bundle",
        ids="property object_id, else new",
    )

    def recognises(self, path: Path) -> bool:
        """As `Source.recognises`."""
        try:
            return path.is_dir() and any(_holds_rois(path, each) for each in _files(path, MOST_SNIFFED))
        except (OSError, ExportError):
            return False

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        sink.begin(FoundProject(path.name, path))
        yield from _Reading(path, sink).run()


SOURCE = ImagejSource()


class _Reading:
    def __init__(self, root: Path, sink: Sink) -> None:
        self._root = root
        self._sink = sink
        self._images: dict[str, FoundImage] = {}
        """By the image's file: several ROI files may belong to one."""
        self._numbers = itertools.count(1)

    def run(self) -> Iterator[float]:
        files: list[tuple[str, FoundImage]] = []
        classes: set[str] = set()
        found_files = [each for each in _files(self._root) if _holds_rois(self._root, each)]
        beside = [f"{folder}/" if folder else "" for folder in dict.fromkeys(map(posixpath.dirname, found_files))]
        images = ImageFiles(self._root, ["images/"], beside)
        for turn, file in enumerate(found_files):
            image = find_image(self._sink, images, file, FOLDERS, ENDINGS)
            if image is None or image.file is None:
                continue
            image = self._images.setdefault(image.file, image)
            files.append((file, image))
            for _ in self._look_into(file, classes):
                yield FIRST_PASS * turn / len(found_files)
        for name in sorted(classes):
            self._sink.add_category(FoundCategory(name, name))
        for image in (*self._images.values(), *self._others(images)):
            self._sink.add_image(image)
            yield FIRST_PASS
        for turn, (file, image) in enumerate(files):
            for _ in self._tell(file, image):
                yield FIRST_PASS + (1 - FIRST_PASS) * turn / len(files)

    def _others(self, images: ImageFiles) -> Iterator[FoundImage]:
        """Yield the images without ROIs that lie in folders of images with ROIs: ImageJ saves no empty set."""
        folders = {posixpath.dirname(name) for name in self._images}
        for name in images:
            if name not in self._images and posixpath.dirname(name) in folders:
                yield FoundImage(key=name, name=images.shown(name), file=name)

    def _look_into(self, file: str, classes: set[str]) -> Iterator[None]:
        try:
            for turn, (_, data) in enumerate(_rois(self._root, file)):
                try:
                    classes.add(_class_name(decode_roi(data)))
                except Unusable:
                    continue
                if turn % ROIS_AT_ONCE == 0:
                    yield
        except ExportError as error:
            self._sink.complain(Finding.OBJECT_DROPPED, error.message, file)
        yield

    def _tell(self, file: str, image: FoundImage) -> Iterator[None]:
        elsewhere = 0
        for turn, (name, data) in enumerate(_readable_rois(self._root, file)):
            elsewhere += self._tell_object(f"{name} of {file}" if name != file else file, data, image)
            if turn % ROIS_AT_ONCE == 0:
                yield
        if elsewhere:
            message = f"{elsewhere} ROIs of {file} lie on later pages of a stack: they are laid on the image as it is"
            self._sink.note(Finding.OTHER, message, image.name)
        yield

    def _tell_object(self, label: str, data: bytes, image: FoundImage) -> bool:
        """Tell of a ROI; whether it lies on a page behind the first."""
        try:
            roi = decode_roi(data)
        except Unusable as error:
            number = next(self._numbers)
            message = f"{label} cannot be exported: {error}"
            self._sink.complain(Finding.OBJECT_DROPPED, message, image.name, number)
            return False
        own = roi.words.get("object_id", "")
        number = int(own) if own.isascii() and own.isdigit() and len(own) < 16 else next(self._numbers)
        attributes: dict[str, object] = {key: value for key, value in roi.words.items() if key not in _OURS}
        if roi.name and not own:
            attributes["name"] = roi.name
        self._sink.add_object(
            FoundObject(
                image=image.key,
                category=_class_name(roi),
                shape=roi.shape,
                label=label,
                id=number,
                crowd=roi.words.get("crowd") == "true",
                attributes=attributes,
            )
        )
        return roi.position > 1


def _class_name(roi: Roi) -> str:
    return roi.words.get("class") or UNNAMED


def _rois(root: Path, file: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each ROI in a file; raise `ExportError` for a zip that is broken, or beyond the limits."""
    data = read_bytes(root, file)
    if file.lower().endswith(".roi"):
        yield file, data
        return
    _check_directory(data, file)
    room = MAX_SET_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if entry.is_dir() or not entry.filename.lower().endswith(".roi"):
                    continue
                with archive.open(entry) as opened:
                    roi = opened.read(MAX_ROI_BYTES + 1)
                room -= len(roi)
                if len(roi) > MAX_ROI_BYTES or room < 0:
                    raise ExportError(
                        Code.SOURCE, f"{file} unpacks to far more than it should: {entry.filename[:80]!r}", file
                    )
                yield entry.filename[:200], roi
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise ExportError(Code.SOURCE, f"{file} is a broken zip: {error}", file) from None
    except (struct.error, KeyError, IndexError, OverflowError):
        raise ExportError(Code.SOURCE, f"{file} is a broken zip: its directory is mixed up", file) from None


def _readable_rois(root: Path, file: str) -> Iterator[tuple[str, bytes]]:
    """Yield the ROIs up to the first that cannot be read, which was complained of when the classes were looked for."""
    rois = _rois(root, file)
    while True:
        try:
            yield next(rois)
        except (StopIteration, ExportError):
            return


def _check_directory(data: bytes, file: str) -> None:
    """Raise unless the end of a zip says that its directory is of a size that can be held in memory."""
    place = data.rfind(b"PK\x05\x06", max(0, len(data) - 0xFFFF - _END.size))
    if place < 0 or place + _END.size > len(data):
        raise ExportError(Code.SOURCE, f"{file} is a broken zip: it has no directory", file)
    size = _END.unpack_from(data, place)[5]
    if size > MAX_DIRECTORY_BYTES:
        raise ExportError(
            Code.SOURCE, f"{file} says it has a directory of {size} bytes: too many ROIs for one image", file
        )


def _files(path: Path, most: int | None = None) -> Iterator[str]:
    """Yield the files that may hold ROIs, or the first `most` of each folder."""
    seen: set[str] = set()
    for folder in ("annotations/imagej/", ""):
        for name in itertools.islice(files_below(path, folder, SUFFIXES), most):
            if name not in seen:
                seen.add(name)
                yield name


def _holds_rois(root: Path, name: str) -> bool:
    """Whether a file is a ROI, or a zip whose first file is called like one; reads its first bytes only."""
    try:
        start = read_start(root, name, SNIFF_BYTES)
    except ExportError:
        return False
    if name.lower().endswith(".roi"):
        return start[:4] == MAGIC
    if start[:4] != b"PK\x03\x04" or len(start) < LOCAL_HEADER_BYTES:
        return False
    length = int.from_bytes(start[26:28], "little")
    return start[LOCAL_HEADER_BYTES : LOCAL_HEADER_BYTES + length].lower().endswith((b".roi", b"/"))
