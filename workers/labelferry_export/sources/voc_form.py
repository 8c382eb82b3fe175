"""One xml of Pascal VOC: the image's name and size, and its objects. The files around it are `voc`'s."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from labelferry_export.sources.xml_elements import XmlElement, xml_elements

_NAMES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
STANDARD_CLASSES: Mapping[int, str] = MappingProxyType(dict(enumerate(_NAMES.split(), 1)))
"""The classes of the VOC challenge by their index in its masks."""
FLAGS = ("truncated", "difficult", "occluded")
SIDES = ("xmin", "ymin", "xmax", "ymax")
FARTHEST = 1e9


@dataclass(frozen=True)
class VocObject:
    """An `object`. `box` is left, top, right, bottom as they stand; `id` is there where labelferry wrote it.

    `parts` is how many parts of it (head, hand, foot) have boxes of their own, which are not read.
    """

    name: str
    box: tuple[float, float, float, float] | None
    id: int | None = None
    attributes: dict[str, object] = field(default_factory=dict)
    parts: int = 0

    @property
    def upright_box(self) -> tuple[float, float, float, float] | None:
        """Return the box with the lesser side first, whichever way round its sides stand."""
        if self.box is None:
            return None
        left, top, right, bottom = self.box
        return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


@dataclass(frozen=True)
class VocImage:
    """An `annotation`. Sizes in px, None where it does not say them."""

    filename: str = ""
    width: int | None = None
    height: int | None = None
    objects: tuple[VocObject, ...] = ()


def read_voc(root: Path, name: str) -> VocImage | None:
    """Return what an xml inside `root` says, None when it is something else than VOC; raise `ExportError` when it is no xml."""
    for step in xml_elements(root, name, (("annotation",),)):
        if step.element is not None:
            element = step.element
            size = element.first("size") or XmlElement("size", {})
            return VocImage(
                filename=element.text_of("filename"),
                width=_size(size.text_of("width")),
                height=_size(size.text_of("height")),
                objects=tuple(map(_object, element.all("object"))),
            )
    return None


def _object(element: XmlElement) -> VocObject:
    number = element.text_of("id")
    is_id = number.isascii() and number.isdigit() and len(number) < 16
    return VocObject(
        name=element.text_of("name"),
        box=_box(element.first("bndbox")),
        id=int(number) if is_id else None,
        attributes=_attributes(element),
        parts=sum(1 for _ in element.all("part")),
    )


def _box(element: XmlElement | None) -> tuple[float, float, float, float] | None:
    if element is None:
        return None
    try:
        left, top, right, bottom = (float(element.text_of(side)) for side in SIDES)
    except ValueError:
        return None
    box = (left, top, right, bottom)
    return box if all(abs(side) < FARTHEST for side in box) else None


def _attributes(element: XmlElement) -> dict[str, object]:
    attributes: dict[str, object] = {flag: True for flag in FLAGS if element.text_of(flag) == "1"}
    pose = element.text_of("pose")
    if pose and pose != "Unspecified":
        attributes["pose"] = pose
    listed = element.first("attributes")
    for each in listed.all("attribute") if listed else ():
        attributes[each.text_of("name")] = each.text_of("value")
    return attributes


def _size(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0 else None
