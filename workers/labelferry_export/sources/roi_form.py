"""The binary form of one ImageJ ROI, decoded from bytes that may be anything. Files and zips are the business of `imagej`.

After ImageJ's `ij/io/RoiDecoder.java`: big-endian, a header of 64 bytes, then coordinates (whole ones from the corner of the
bounds, floats of the image) or the segments of a path, and a second header with the places of name and properties.
Coordinates of areas are pixel edges, as ours.
"""

import itertools
import re
import struct
from dataclasses import dataclass, field

import numpy as np

from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.sources.outlines import Unusable, box_ring, ellipse_ring, even_odd_shape, ring_of

MAGIC = b"Iout"
HEADER_BYTES = 64
SUB_PIXEL = 128
"""Option: float coordinates follow the whole ones."""
SUB_PIXEL_SINCE, SUB_PIXEL_BOXES_SINCE = 222, 223
RECTANGLE, OVAL = 1, 2
POLYGONS = {0: "polygon", 7: "freehand", 8: "traced"}
NO_AREA = {3: "a line", 4: "a freehand line", 5: "a polyline", 6: "no region", 9: "an angle", 10: "points"}
CURVE_STEPS = 16
"""Sides that a curve of a path becomes."""
SEGMENTS = {0: 2, 1: 2, 2: 4, 3: 6, 4: 0}
"""Numbers behind each kind of segment: move, line, quadratic curve, cubic curve, close."""
MOVE, LINE, CLOSE = 0, 1, 4
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SEPARATOR = re.compile(r"(?<!\\)(?:\\\\)*[:=]\s*")
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


@dataclass(frozen=True)
class Roi:
    """A ROI that is an area. `position` is the page it lies on, 0 for none; `words` are its properties."""

    shape: Shape
    name: str = ""
    position: int = 0
    words: dict[str, str] = field(default_factory=dict)


def decode_roi(data: bytes) -> Roi:
    """Return what the bytes of a `.roi` file say; raise `Unusable` when that is no area, or no ROI at all."""
    if len(data) < HEADER_BYTES or data[:4] != MAGIC:
        raise Unusable("it is no ROI of ImageJ")
    try:
        name, position, words = _second_header(data)
        return Roi(_shape(data), name, position, words)
    except (struct.error, ValueError, IndexError, OverflowError):
        raise Unusable("its bytes are cut off or mixed up") from None


def _shape(data: bytes) -> Shape:
    kind = data[6]
    version, options = _short(data, 4), _short(data, 50)
    path = _int(data, 36)
    if path > 0:
        return even_odd_shape(_path(_floats(data, HEADER_BYTES, path)))
    fine = bool(options & SUB_PIXEL)
    if kind in (RECTANGLE, OVAL):
        return Shape((Part(_box(data, kind, fine and version >= SUB_PIXEL_BOXES_SINCE)),))
    if kind in POLYGONS:
        return Shape((Part(_polygon(data, fine and version >= SUB_PIXEL_SINCE)),))
    raise Unusable(f"it is {NO_AREA[kind]}, which has no area" if kind in NO_AREA else f"its type {kind} is not known")


def _box(data: bytes, kind: int, fine: bool) -> Ring:
    if fine:
        left, top, width, height = struct.unpack_from(">4f", data, 18)
        right, bottom = left + width, top + height
    else:
        top, left, bottom, right = _bounds(data)
    if kind == OVAL:
        return ellipse_ring(((left + right) / 2, (top + bottom) / 2), (abs(right - left) / 2, abs(bottom - top) / 2))
    return box_ring(left, top, right, bottom)


def _polygon(data: bytes, fine: bool) -> Ring:
    count = struct.unpack_from(">H", data, 16)[0] or _int(data, 18)
    if count <= 0:
        raise Unusable("it has no vertices")
    if HEADER_BYTES + (12 if fine else 4) * count > len(data):
        raise Unusable("its bytes are cut off")
    if fine:
        points = _floats(data, HEADER_BYTES + 4 * count, 2 * count).reshape(2, count).T
        return ring_of(points)
    whole = np.frombuffer(data, ">i2", 2 * count, HEADER_BYTES).reshape(2, count).T.astype(np.float64)
    top, left, _, _ = _bounds(data)
    return ring_of(np.maximum(whole, 0) + np.array((left, top)))


def _bounds(data: bytes) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right; ImageJ keeps them in 16 bits, and lets top and left be below 0."""
    top, left, bottom, right = struct.unpack_from(">2h2H", data, 8)
    return (
        top,
        left,
        bottom if bottom < 0x8000 or top >= 0 else bottom - 0x10000,
        right if (right < 0x8000 or left >= 0) else right - 0x10000,
    )


def _floats(data: bytes, offset: int, count: int) -> Ring:
    if count < 0 or offset + 4 * count > len(data):
        raise Unusable("its bytes are cut off")
    with np.errstate(invalid="ignore"):
        return np.frombuffer(data, ">f4", count, offset).astype(np.float64)


def _path(numbers: Ring) -> list[Ring]:
    """Return the rings of a path; curves become lines."""
    rings: list[Ring] = []
    open_ring: list[tuple[float, float]] = []
    values = numbers.tolist()
    at = 0
    while at < len(values):
        kind = int(values[at]) if values[at] in SEGMENTS else -1
        if kind < 0 or at + 1 + SEGMENTS[kind] > len(values):
            raise Unusable("its path is mixed up")
        points = [(values[place], values[place + 1]) for place in range(at + 1, at + 1 + SEGMENTS[kind], 2)]
        at += 1 + SEGMENTS[kind]
        if kind in (MOVE, CLOSE) and len(open_ring) > 2:
            rings.append(ring_of(open_ring))
        if kind in (MOVE, CLOSE):
            open_ring = points
        elif kind == LINE or not open_ring:
            open_ring += points[-1:]
        else:
            open_ring += _curve([open_ring[-1], *points])
    if len(open_ring) > 2:
        rings.append(ring_of(open_ring))
    return rings


def _curve(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points along a Bezier curve behind its first, by de Casteljau's way."""
    along = np.arange(1, CURVE_STEPS + 1)[:, None] / CURVE_STEPS
    levels = [np.broadcast_to(np.array(point), (CURVE_STEPS, 2)) for point in points]
    while len(levels) > 1:
        levels = [first + (second - first) * along for first, second in itertools.pairwise(levels)]
    return [(x, y) for x, y in levels[0].tolist()]


def _second_header(data: bytes) -> tuple[str, int, dict[str, str]]:
    start = _int(data, 60)
    if not HEADER_BYTES <= start <= len(data) - 52:
        return "", _int(data, 56), {}
    name = _text(data, _int(data, start + 16), _int(data, start + 20))
    properties = _text(data, _int(data, start + 40), _int(data, start + 44))
    page = _int(data, start + 8) or _int(data, 56)
    return name, page, _words(properties)


def _text(data: bytes, offset: int, characters: int) -> str:
    if not (offset >= HEADER_BYTES and 0 < characters <= (len(data) - offset) // 2):
        return ""
    return data[offset : offset + 2 * characters].decode("utf-16-be", errors="replace")


def _words(text: str) -> dict[str, str]:
    """Return properties as `java.util.Properties` spells them, a line each."""
    words: dict[str, str] = {}
    for line in text.splitlines():
        found = _SEPARATOR.search(line.strip())
        if found:
            words[_unescaped(line.strip()[: found.end()].rstrip(" \t:="))] = _unescaped(line.strip()[found.end() :])
    return words


def _unescaped(text: str) -> str:
    units = _ESCAPE.sub(lambda match: _character(match[1]), text)
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


def _character(escape: str) -> str:
    return chr(int(escape[1:], 16)) if len(escape) == 5 else _PLAIN.get(escape, escape)


def _short(data: bytes, offset: int) -> int:
    value: int = struct.unpack_from(">h", data, offset)[0]
    return value


def _int(data: bytes, offset: int) -> int:
    value: int = struct.unpack_from(">i", data, offset)[0]
    return value
