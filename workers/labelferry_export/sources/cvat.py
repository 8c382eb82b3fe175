"""CVAT for images 1.1: `annotations.xml` with the images in `images/` beside it, or the xml file itself. Read as a stream.

Boxes (also turned ones), polygons, ellipses (polygons of `outlines.ELLIPSE_VERTICES` vertices) and masks (run lengths row by row
inside their box, traced along the edges of their pixels) are objects; points, polylines, cuboids and skeletons enclose nothing.
Shapes of one label and one `group_id` are one object of several parts, as CVAT's own COCO export has it. Classes are those
of the file's `meta`, in its order. Attributes get the type that `meta` gives them; `occluded`, `z_order` and `source` are attributes
where they say something, an image's tags are its attribute `tags`, and what they say its other ones. A task that is a video (`track`) is refused with a sentence.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.selection import listed
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_export.sources.cvat_form import id_of, parts_of, size_of, typed
from labelferry_export.sources.folder_files import files_below
from labelferry_export.sources.outlines import Unusable
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

Types = dict[tuple[str, str], str]
"""By label and attribute: `checkbox`, `number`, `select`, `radio` or `text`."""


class CvatSource:
    """See the module."""

    name = "cvat"
    title = "CVAT for images 1.1"
    looks_for = "annotations.xml, or another xml file whose outermost element is <annotations>"
    reads = Reads(
        holes="in masks",
        parts="shapes of one group_id",
        crowds="attribute is_crowd",
        attributes="yes; tags of images",
        subsets="yes",
        ids="attribute object_id, else new",
    )

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
        key = f"{self._file}/{element.attributes.get('id', '')}/{name}"
        self._sink.add_image(
            FoundImage(
                key=key,
                name=name,
                folders=("images/", f"images/{subset}/", "") if subset and "/" not in subset else ("images/", ""),
                width=size_of(element, "width"),
                height=size_of(element, "height"),
                subset=subset if subset not in (None, "default") else None,
                attributes=self._image_attributes(element),
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

    def _image_attributes(self, element: XmlElement) -> dict[str, object]:
        """Return the names of an image's tags, as `tags`, and the attributes of the tags."""
        attributes: dict[str, object] = {}
        tags = element.all("tag")
        for tag in tags:
            label = tag.attributes.get("label", "")
            for each in tag.all("attribute"):
                name = each.attributes.get("name", "")
                attributes[name] = typed(each.text, self._types.get((label, name), "text"))
        labels = sorted({tag.attributes.get("label", "") for tag in tags})
        return {**attributes, "tags": ", ".join(labels)} if labels else attributes

    def _tell_object(self, key: str, image: str, members: list[XmlElement]) -> None:
        first = members[0]
        category = first.attributes.get("label", "")
        attributes = self._attributes(members)
        number = id_of(attributes.pop(OUR_ID, None)) or next(self._numbers)
        crowd = attributes.pop(OUR_CROWD, False) is True
        parts: list[Part] = []
        for member in members:
            label = f"the {member.tag} number {number} of image {image!r} in {self._file}"
            try:
                parts += parts_of(member)
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
                attributes[name] = typed(each.text, self._types.get((label, name), "text"))
            if member.attributes.get("occluded") == "1":
                attributes.setdefault("occluded", True)
            if member.attributes.get("source", "manual") not in ("manual", ""):
                attributes.setdefault("source", member.attributes["source"])
            z_order = member.attributes.get("z_order", "0")
            if z_order not in ("0", ""):
                attributes.setdefault("z_order", typed(z_order, "number"))
        return attributes


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
