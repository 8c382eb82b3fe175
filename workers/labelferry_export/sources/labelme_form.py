"""What stands in a LabelMe json, and what its shapes cover. The reading is `labelme`'s."""

import math
from typing import Any

from msgspec import Struct

from labelferry_export.geometry.nest import nest
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.reading.json_stream import Decoder
from labelferry_export.sources.label_pixels import mask_in_text, traced
from labelferry_export.sources.outlines import FARTHEST, Unusable, box_ring, ellipse_ring, is_sound, ring_of

NO_AREA = {"point": "is a point", "points": "is points", "line": "is a line", "linestrip": "is a line"}
OUR_FLAGS = ("hole", "crowd")


class LabelmeHead(Struct, rename="camel"):
    """A file without what its shapes are; `image_data` is the image itself, or null."""

    shapes: list[Any]
    image_path: str
    image_width: int | float | None = None
    image_height: int | float | None = None
    image_data: str | None = None


class LabelmeBody(Struct):
    """A file's shapes, each to be checked by itself."""

    shapes: list[Any]


class LabelmeShape(Struct):
    """An element of `shapes`; `mask` is a png in base64; `id` and `attributes` are there where labelferry wrote it."""

    label: str | int | float | None = None
    points: list[Any] = []
    shape_type: str | None = "polygon"
    group_id: int | str | None = None
    flags: dict[str, Any] | None = None
    description: str | None = None
    mask: str | None = None
    id: Any = None
    attributes: Any = None


HEAD = Decoder(LabelmeHead)
BODY = Decoder(LabelmeBody)


def parts_of(shape: LabelmeShape, file: str) -> tuple[Part, ...]:
    """Return what a shape covers; raise `Unusable` when that is nothing."""
    kind = shape.shape_type or "polygon"
    if kind in NO_AREA:
        raise Unusable(f"it {NO_AREA[kind]}, which has no area")
    if kind == "polygon" or (kind in ("rectangle", "oriented_rectangle") and len(shape.points) == 4):
        return (Part(ring_of(shape.points)),)
    if kind not in ("rectangle", "circle", "mask"):
        raise Unusable(f"it has the shape_type {kind!r}, which is not known")
    if len(shape.points) != 2:
        raise Unusable(f"it is a {kind} of {len(shape.points)} points, and not of 2")
    (x, y), (far_x, far_y) = ring_of([*shape.points, [1e9, 1e9]])[:2].tolist()
    if kind == "rectangle":
        return (Part(box_ring(x, y, far_x, far_y)),)
    if kind == "circle":
        radius = math.hypot(far_x - x, far_y - y)
        return (Part(ellipse_ring((x, y), (radius, radius))),)
    if shape.mask is None:
        raise Unusable("it is a mask without the mask")
    if not (abs(x) < FARTHEST and abs(y) < FARTHEST):
        raise Unusable("its place is absurdly far out")
    return traced(mask_in_text(shape.mask, file), (int(x), int(y))).parts


def with_holes(parts: list[Part], holes: list[Ring]) -> Shape:
    """Return the union of parts with `holes` cut out of whichever of them are around."""
    if not holes or any(part.holes for part in parts):
        return Shape(tuple(parts))
    if not all(map(is_sound, (*holes, *(part.outer for part in parts)))):
        return Shape(tuple(parts))
    return nest([part.outer for part in parts], holes)[0]


def attributes_of(members: list[LabelmeShape]) -> dict[str, object]:
    """Return the attributes of an object: its own where labelferry wrote it, else flags and description."""
    if isinstance(members[0].attributes, dict):
        return members[0].attributes
    attributes: dict[str, object] = {}
    for member in members:
        flags = member.flags or {}
        attributes.update({key: value for key, value in flags.items() if key not in OUR_FLAGS})
        if member.description:
            attributes["description"] = member.description
    return attributes


def has_flag(shape: LabelmeShape, name: str) -> bool:
    """Whether a flag of a shape is set."""
    return (shape.flags or {}).get(name) is True


def is_id(value: object) -> bool:
    """Whether a value is an id that an object can keep."""
    return type(value) is int and 1 <= value <= 2**53


def label_text(label: object) -> str:
    """Return a label as the name of a class."""
    return "" if label is None else str(label)


def size_of(value: float | None) -> int | None:
    """Return a width or height, px, None where the file says none."""
    return int(value) if value is not None and 1 <= value < 2**31 else None
