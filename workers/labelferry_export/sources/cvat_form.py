"""The elements of a CVAT file: what a shape covers, what a number or an attribute is. The reading is `cvat`'s."""

from collections.abc import Callable

from labelferry_export.geometry.rle import RleError, runs_of_rle
from labelferry_export.geometry.shape import Part
from labelferry_export.geometry.trace import shape_of_mask
from labelferry_export.sources.label_pixels import MAX_MASK_PIXELS
from labelferry_export.sources.outlines import Unusable, box_ring, ellipse_ring, ring_of, turned
from labelferry_export.sources.xml_elements import XmlElement

NO_AREA = {"points": "points", "polyline": "a line", "cuboid": "a cuboid", "skeleton": "a skeleton"}


def parts_of(element: XmlElement) -> tuple[Part, ...]:
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


def typed(text: str, kind: str) -> str | int | float | bool:
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


def size_of(element: XmlElement, name: str) -> int | None:
    """Return a width or height, px, None where the element says none."""
    text = element.attributes.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1 else None


def id_of(value: object) -> int | None:
    """Return the id that labelferry wrote, as a number or as text; None for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
