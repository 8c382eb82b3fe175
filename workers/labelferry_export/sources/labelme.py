"""LabelMe: a folder of json files, one an image, each naming its image by `imagePath`, relative to itself.

Shapes of one label that share a `group_id` are one object of several parts, as LabelMe's own conversion has it. Polygons,
rectangles (also oriented ones), circles (polygons of `outlines.ELLIPSE_VERTICES` vertices) and masks (traced along the edges
of their pixels) are objects; points and lines enclose nothing. Classes are in the order of `labels.txt`, then of their names.

A shape's `description` and flags are attributes, but for the flags `crowd`, and `hole` of a ring that is cut out of the others of
its group. Images are files: one that is only inside its json (`imageData`) is a complaint. An image without a json is not
annotated, and left out with a note.
"""

import itertools
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.shape import Part, Ring
from labelferry_export.paths import inside
from labelferry_export.reading.json_stream import WrongType, first_keys
from labelferry_export.selection import listed
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_export.sources.class_list import read_class_list
from labelferry_export.sources.folder_files import ImageFiles, files_below, read_json
from labelferry_export.sources.labelme_form import (
    BODY,
    HEAD,
    LabelmeHead,
    LabelmeShape,
    attributes_of,
    has_flag,
    is_id,
    label_text,
    parts_of,
    size_of,
    with_holes,
)
from labelferry_export.sources.outlines import Unusable
from labelferry_protocol.errors import Code

MOST_SNIFFED = 32
"""Json files that are looked into to recognise a project."""
FIRST_PASS = 0.3
"""Of the time, the part that finding the images and classes takes."""
JSON = frozenset([".json"])


@dataclass(frozen=True)
class _Page:
    """A json file whose image was told: its name, and the image's in the project."""

    file: str
    image: str


class LabelmeSource:
    """See the module."""

    name = "labelme"
    title = "LabelMe"
    looks_for = "json files with 'shapes' and 'imagePath', one an image"
    reads = Reads(
        holes="in masks; rings flagged `hole`",
        parts="shapes of one group_id",
        crowds="flag",
        attributes="flags, description",
        subsets="of a bundle",
        ids="kept where labelferry wrote them, else new",
    )

    def recognises(self, path: Path) -> bool:
        """As `Source.recognises`."""
        try:
            if path.is_file():
                return path.suffix.lower() in JSON and _is_labelme(path.parent, path.name)
            return any(_is_labelme(path, each) for each in itertools.islice(files_below(path, "", JSON), MOST_SNIFFED))
        except (OSError, ExportError):
            return False

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        root = path.parent if path.is_file() else path
        files = [path.name] if path.is_file() else list(files_below(root, "", JSON))
        sink.begin(FoundProject(path.stem if path.is_file() else path.name, root))
        yield from _Reading(root, sink, files).run()


SOURCE = LabelmeSource()


class _Reading:
    def __init__(self, root: Path, sink: Sink, files: list[str]) -> None:
        self._root = root
        self._sink = sink
        self._files = files
        self._pages: list[_Page] = []
        self._images: list[FoundImage] = []
        self._numbers = itertools.count(1)

    def run(self) -> Iterator[float]:
        labels = dict.fromkeys(read_class_list(self._root, ("labels.txt",)))
        found: set[str] = set()
        for turn, file in enumerate(self._files):
            found |= self._look_into(file)
            yield FIRST_PASS * turn / len(self._files)
        if not self._pages:
            raise ExportError(Code.SOURCE, "no json file of the folder is one of LabelMe's with an image to export")
        for label in (*labels, *sorted(found - set(labels))):
            if label not in ("__ignore__", "_background_"):
                self._sink.add_category(FoundCategory(label, label))
        for image in self._images:
            self._sink.add_image(image)
            yield FIRST_PASS
        self._note_others()
        for turn, page in enumerate(self._pages):
            self._tell(page)
            yield FIRST_PASS + (1 - FIRST_PASS) * turn / len(self._pages)

    def _look_into(self, file: str) -> set[str]:
        """Remember a file's image; return the labels of its shapes."""
        if len(self._files) > 1 and not _is_labelme(self._root, file):
            return set()
        try:
            head = HEAD.decode(read_json(self._root, file), file)
            image = self._image(file, head)
        except WrongType as error:
            self._sink.complain(Finding.IMAGE_BROKEN, f"{file} is not what LabelMe writes: {error}", file)
        except ExportError as error:
            self._sink.complain(Finding.IMAGE_BROKEN, error.message, file)
        else:
            self._pages.append(_Page(file, image.name))
            self._images.append(image)
            return {label_text(each.get("label")) for each in head.shapes if isinstance(each, dict)}
        return set()

    def _image(self, file: str, head: LabelmeHead) -> FoundImage:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), head.image_path.replace("\\", "/")))
        beside = posixpath.join(posixpath.dirname(file), posixpath.basename(path))
        if path.startswith(("../", "/")) or path == "..":
            raise ExportError(
                Code.SOURCE,
                f"{file}: its image {head.image_path!r} lies outside of the project: export the folder that holds both",
            )
        file_name = next((each for each in (path, beside) if inside(self._root, each).is_file()), path)
        if head.image_data and not inside(self._root, file_name).is_file():
            raise ExportError(
                Code.SOURCE,
                f"{file}: its image {head.image_path!r} is only inside the json (imageData): save it as a file beside it",
            )
        return FoundImage(
            key=file,
            name=file_name.removeprefix("images/"),
            file=file_name,
            width=size_of(head.image_width),
            height=size_of(head.image_height),
        )

    def _note_others(self) -> None:
        """Say which images beside the json files have none."""
        taken = {image.file for image in self._images}
        folders = dict.fromkeys(posixpath.dirname(image.file or "") for image in self._images)
        below = [f"{each}/" if each else "" for each in folders]
        others = [each for each in ImageFiles(self._root, (), below) if each not in taken]
        if others and len(self._files) > 1:
            message = f"{len(others)} images beside the json files have no json, and are left out: {listed(others, 4)}"
            self._sink.note(Finding.OTHER, message)

    def _tell(self, page: _Page) -> None:
        try:
            shapes = BODY.decode(read_json(self._root, page.file), page.file).shapes
        except (WrongType, ExportError) as error:
            raise ExportError(Code.SOURCE, f"{page.file} was changed while it was read: {error}", page.file) from None
        groups: dict[object, list[tuple[int, LabelmeShape]]] = {}
        broken: dict[object, str] = {}
        for count, element in enumerate(shapes, 1):
            try:
                shape = msgspec.convert(element, LabelmeShape)
            except (msgspec.ValidationError, OverflowError) as error:
                groups[count], broken[count] = [], str(error)
                continue
            lone = shape.group_id is None
            groups.setdefault(count if lone else (label_text(shape.label), str(shape.group_id)), []).append(
                (count, shape)
            )
        for key, members in groups.items():
            if key in broken:
                self._refuse(page, next(self._numbers), f"shape {key} of {page.file}", broken[key])
            else:
                self._tell_object(page, members)

    def _tell_object(self, page: _Page, members: list[tuple[int, LabelmeShape]]) -> None:
        first = members[0][1]
        number = first.id if is_id(first.id) else next(self._numbers)
        names = ", ".join(str(count) for count, _ in members[:4])
        label = f"shape {names} of {page.file}"
        if label_text(first.label) in ("__ignore__", "_background_"):
            self._sink.note(
                Finding.OTHER, f"{label} is of the label {first.label!r}, which is no class: left out", page.image
            )
            return
        parts: list[Part] = []
        holes: list[Ring] = []
        for count, member in members:
            try:
                found = parts_of(member, page.file)
            except Unusable as error:
                self._refuse(page, number, f"shape {count} of {page.file}", str(error))
                continue
            if has_flag(member, "hole") and len(members) > 1:
                holes += [part.outer for part in found]
            else:
                parts += found
        if parts:
            self._sink.add_object(
                FoundObject(
                    image=page.file,
                    category=label_text(first.label),
                    shape=with_holes(parts, holes),
                    label=label,
                    id=number,
                    crowd=has_flag(first, "crowd"),
                    attributes=attributes_of([member for _, member in members]),
                )
            )

    def _refuse(self, page: _Page, number: int, label: str, why: str) -> None:
        self._sink.complain(Finding.OBJECT_DROPPED, f"{label} cannot be exported: {why}", page.image, number)


def _is_labelme(root: Path, file: str) -> bool:
    """Whether a json file is LabelMe's; a broken one is when it says `shapes` before it breaks. A link that leads out is not looked into."""
    try:
        path = inside(root, file)
        keys = first_keys(path, {"shapes", "images", "annotations", "categories", "features"})
    except ExportError:
        return False
    return "shapes" in keys
