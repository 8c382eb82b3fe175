"""CVAT for images 1.1: `annotations.xml` with the images in `images/` beside it, or the xml file itself. Read as a stream.

Boxes (also turned ones), polygons, ellipses (polygons of `outlines.ELLIPSE_VERTICES` vertices) and masks (run lengths row by row
inside their box, traced along the edges of their pixels) are objects; points, polylines, cuboids and skeletons enclose nothing.
Shapes of one label and one `group_id` are one object of several parts, as CVAT's own COCO export has it. Classes are those
of the file's `meta`, in its order. Attributes get the type that `meta` gives them; `occluded`, `z_order` and `source` are attributes
where they say something, and an image's tags are its attribute `tags`. A task that is a video (`track`) is refused with a sentence.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.rle import RleError, runs_of_rle
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.geometry.trace import shape_of_mask
from labelferry_export.selection import listed
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Sink
from labelferry_export.sources.folder_files import files_below
from labelferry_export.sources.label_pixels import MAX_MASK_PIXELS
from labelferry_export.sources.outlines import Unusable, box_ring, ellipse_ring, ring_of, turned
from labelferry_export.sources.xml_elements import XmlElement, outermost, xml_elements
from labelferry_protocol.errors import Code

PLACES = ("annotations.xml", "annotations/annotations.xml", "annotations/cvat/annotations.xml")
SUBSETS = "annotations/cvat/"
"""Where a bundle has an xml file for each of its splits."""
OUR_ID, OUR_CROWD = "object_id", "is_crowd"
"""Attributes that labelferry writes: the object's id, and whether it is a crowd (as Datumaro has it)."""
ROOT = "annotations"
META, IMAGE, TRACK = (ROOT, "meta"), (ROOT, "image"), (ROOT, "track")
XML = frozenset([".xml"])
MOST_SNIFFED = 16
OBJECTS_AT_ONCE = 500
NO_AREA = {"points": "points", "polyline": "a line", "cuboid": "a cuboid", "skeleton": "a skeleton"}

Types = dict[tuple[str, str], str]
"""By label and attribute: `checkbox`, `number`, `select`, `radio` or `text`."""


class CvatSource:
    """See the module."""

    name = "cvat"
    title = "CVAT for images 1.1"
    looks_for = "annotations.xml, or another xml file whose outermost element is <annotations>"

    def recognises(self, path: Path) -> bool:
        """As `Source.recognises`."""
        try:
            return _find(path) is not None
        except (OSError, ExportError):
            return False

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        found = _find(path)
        if found is None:
            raise ExportError(Code.SOURCE, f"{path.name} holds no CVAT annotations", path.name)
        root, files = found
        sink.begin(FoundProject(path.stem if path.is_file() else path.name, root))
        reading = _Reading(root, sink)
        for turn, file in enumerate(files):
            yield from ((turn + part) / len(files) for part in reading.run(file))


SOURCE = CvatSource()


class _Reading:
    def __init__(self, root: Path, sink: Sink) -> None:
        self._root = root
        self._file = ""
        self._sink = sink
        self._types: Types = {}
        self._classes: set[str] = set()
        self._numbers = itertools.count(1)

    def run(self, file: str) -> Iterator[float]:
        """Tell the sink all that is in a file; yield how much of it is read."""
        self._file = file
        size = max(1, (self._root / self._file).stat().st_size)
        for step in xml_elements(self._root, self._file, (META, IMAGE, TRACK)):
            element = step.element
            if element is None:
                yield step.offset / size
            elif element.tag == "meta":
                self._tell_classes(element)
            elif element.tag == "image":
                for _ in self._tell_image(element):
                    yield step.offset / size
            else:
                raise ExportError(
                    Code.SOURCE,
                    f"{self._file} annotates a video (it has tracks): export the task from CVAT as 'CVAT for images 1.1', "
                    "which has an image for every frame",
                    self._file,
                )

    def _tell_classes(self, meta: XmlElement) -> None:
        for label in _below(meta, "label"):
            name = label.text_of("name")
            if label.first("parent") is None:
                self._add_class(name)
            for attribute in _below(label, "attribute"):
                self._types[name, attribute.text_of("name")] = attribute.text_of("input_type").lower()

    def _add_class(self, name: str) -> None:
        if name not in self._classes:
            self._classes.add(name)
            self._sink.add_category(FoundCategory(name, name))

    def _tell_image(self, element: XmlElement) -> Iterator[None]:
        name = element.attributes.get("name", "").replace("\\", "/")
        if not name:
            self._sink.complain(Finding.IMAGE_MISSING, f"an image of {self._file} has no name")
            return
        subset = element.attributes.get("subset") or None
        tags = sorted({each.attributes.get("label", "") for each in element.all("tag")})
        key = f"{self._file}/{element.attributes.get('id', '')}/{name}"
        self._sink.add_image(
            FoundImage(
                key=key,
                name=name,
                folders=("images/", f"images/{subset}/", "") if subset and "/" not in subset else ("images/", ""),
                width=_size(element, "width"),
                height=_size(element, "height"),
                subset=subset if subset not in (None, "default") else None,
                attributes={"tags": ", ".join(tags)} if tags else {},
            )
        )
        shapes = [each for each in element.children if each.tag != "tag"]
        groups: dict[object, list[XmlElement]] = {}
        for turn, shape in enumerate(shapes):
            group = shape.attributes.get("group_id", "0")
            mark = turn if group in ("0", "") else (shape.attributes.get("label", ""), group)
            groups.setdefault(mark, []).append(shape)
        for turn, members in enumerate(groups.values()):
            self._tell_object(key, name, members)
            if turn % OBJECTS_AT_ONCE == OBJECTS_AT_ONCE - 1:
                yield
        yield

    def _tell_object(self, key: str, image: str, members: list[XmlElement]) -> None:
        first = members[0]
        category = first.attributes.get("label", "")
        attributes = self._attributes(members)
        number = _id(attributes.pop(OUR_ID, None)) or next(self._numbers)
        crowd = attributes.pop(OUR_CROWD, False) is True
        parts: list[Part] = []
        for member in members:
            label = f"the {member.tag} number {number} of image {image!r} in {self._file}"
            try:
                parts += _parts(member)
            except Unusable as error:
                self._sink.complain(Finding.OBJECT_DROPPED, f"{label} cannot be exported: {error}", image, number)
        if not parts:
            return
        if category not in self._classes:
            self._sink.note(Finding.OTHER, f"the label {category!r} is not declared in the meta of {self._file}: added")
            self._add_class(category)
        label = f"the {first.tag} number {number} of {self._file}"
        self._sink.add_object(
            FoundObject(key, category, Shape(tuple(parts)), label, id=number, crowd=crowd, attributes=attributes)
        )

    def _attributes(self, members: list[XmlElement]) -> dict[str, object]:
        attributes: dict[str, object] = {}
        for member in members:
            label = member.attributes.get("label", "")
            for each in member.all("attribute"):
                name = each.attributes.get("name", "")
                attributes[name] = _typed(each.text, self._types.get((label, name), "text"))
            if member.attributes.get("occluded") == "1":
                attributes.setdefault("occluded", True)
            if member.attributes.get("source", "manual") not in ("manual", ""):
                attributes.setdefault("source", member.attributes["source"])
            z_order = member.attributes.get("z_order", "0")
            if z_order not in ("0", ""):
                attributes.setdefault("z_order", _typed(z_order, "number"))
        return attributes


def _parts(element: XmlElement) -> tuple[Part, ...]:
    """Return what a shape covers; raise `Unusable` when that is nothing."""
    if element.tag in NO_AREA:
        raise Unusable(f"it is {NO_AREA[element.tag]}, which has no area")
    if element.tag not in _READ:
        raise Unusable(f"<{element.tag}> is not known")
    return _READ[element.tag](element)


def _box(element: XmlElement) -> tuple[Part, ...]:
    left, top, right, bottom = _numbers(element, "xtl", "ytl", "xbr", "ybr")
    return (Part(turned(box_ring(left, top, right, bottom), _number(element, "rotation", 0.0))),)


def _ellipse(element: XmlElement) -> tuple[Part, ...]:
    x, y, radius_x, radius_y = _numbers(element, "cx", "cy", "rx", "ry")
    return (Part(turned(ellipse_ring((x, y), (radius_x, radius_y)), _number(element, "rotation", 0.0))),)


def _polygon(element: XmlElement) -> tuple[Part, ...]:
    pairs = [pair.split(",") for pair in element.attributes.get("points", "").split(";") if pair]
    return (Part(ring_of(pairs)),)


def _mask(element: XmlElement) -> tuple[Part, ...]:
    left, top, width, height = (int(each) for each in _numbers(element, "left", "top", "width", "height"))
    if not (width > 0 and height > 0 and width * height <= MAX_MASK_PIXELS and max(abs(left), abs(top)) < 2**31):
        raise Unusable(f"its mask is in a box of {width}x{height} px, which no image has")
    try:
        counts = [int(each) for each in element.attributes.get("rle", "").split(",")]
        # Row by row is column by column of the mask turned over.
        runs = runs_of_rle(counts, height, width)
    except (RleError, ValueError) as error:
        raise Unusable(f"its mask: {error}") from None
    box = runs.bbox
    if box is None:
        raise Unusable("its mask is empty")
    shape = shape_of_mask(runs.mask(box).T, (left + box[1], top + box[0]))
    assert shape is not None  # noqa: S101 - it has a box
    return shape.parts


_READ: dict[str, Callable[[XmlElement], tuple[Part, ...]]] = {
    "box": _box,
    "ellipse": _ellipse,
    "polygon": _polygon,
    "mask": _mask,
}


def _numbers(element: XmlElement, *names: str) -> tuple[float, ...]:
    return tuple(_number(element, name) for name in names)


def _number(element: XmlElement, name: str, default: float | None = None) -> float:
    text = element.attributes.get(name)
    if text is None and default is not None:
        return default
    try:
        number = float(text or "")
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e12:
        raise Unusable(f"its {name} is {(text or '')[:40]!r}, and no number")
    return number


def _typed(text: str, kind: str) -> str | int | float | bool:
    """Return the value of an attribute as what its `input_type` says it is, as text where it is not that."""
    if kind == "checkbox" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "number":
        for wanted in (int, float):
            try:
                value = wanted(text)
            except ValueError:
                continue
            return value if abs(value) < 2**63 else text
    return text


def _id(value: object) -> int | None:
    """Return the id that labelferry wrote, as a number or as text; None for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _size(element: XmlElement, name: str) -> int | None:
    text = element.attributes.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1 else None


def _below(element: XmlElement, tag: str) -> Iterator[XmlElement]:
    """Yield the elements with a tag anywhere in an element, not those inside one another."""
    for child in element.children:
        if child.tag == tag:
            yield child
        else:
            yield from _below(child, tag)


def _find(path: Path) -> tuple[Path, tuple[str, ...]] | None:
    """Return the folder of the project, and the annotation files in it."""
    if path.is_file():
        is_ours = path.suffix.lower() in XML and outermost(path.parent, path.name) == ROOT
        return (path.parent, (path.name,)) if is_ours else None
    for place in PLACES:
        if (path / place).is_file() and outermost(path, place) == ROOT:
            return path, (place,)
    if subsets := tuple(each for each in files_below(path, SUBSETS, XML, deepest=1) if outermost(path, each) == ROOT):
        return path, subsets
    others = itertools.islice(files_below(path, "", XML, deepest=1), MOST_SNIFFED)
    found = [each for each in others if outermost(path, each) == ROOT]
    if len(found) > 1:
        names = listed(found)
        raise ExportError(Code.USAGE, f"{path.name} holds several CVAT files, {names}: name one of them as the source")
    return (path, (found[0],)) if found else None
