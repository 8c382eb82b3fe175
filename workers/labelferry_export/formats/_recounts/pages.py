"""Formats with a json an image, a shape or feature a line, read again: LabelMe and GeoJSON."""

from typing import Any

import msgspec

from labelferry_export.bundle.readers import Lines, Reader
from labelferry_export.formats._recounts.lines import decoded, record_of

LEAST_CLOSED = 4
"""Points of a ring whose first is repeated at the end."""
MASK_POINTS = 2


class ShapeRow(msgspec.Struct):
    """What is looked at of LabelMe's `shapes`; `id` is ours."""

    label: str
    points: list[tuple[float, float]]
    shape_type: str
    id: int
    mask: str | None = None


class GeometryRow(msgspec.Struct):
    """A Polygon or a MultiPolygon."""

    type: str
    coordinates: list[Any]


class FeatureRow(msgspec.Struct):
    """What is looked at of GeoJSON's `features`."""

    id: str
    geometry: GeometryRow


class LabelmeRecount:
    """Recounts LabelMe's files; shapes of one object follow each other."""

    def __init__(self, folder: str) -> None:
        self.images = 0
        self.objects = 0
        self._folder = folder
        self._last: int | None = None
        self._tail = b""
        self._decoder = msgspec.json.Decoder(ShapeRow)

    def open(self, name: str) -> Reader | None:
        """Return the reader of a file of this format."""
        return Lines(self) if name.startswith(self._folder) and name.endswith(".json") else None

    def add(self, line: bytes) -> None:
        """Take a line."""
        self._tail = line
        if not line.startswith(b'{"label"'):
            return
        shape = decoded(self._decoder, record_of(line))
        right = len(shape.points) == MASK_POINTS and shape.mask if shape.shape_type == "mask" else len(shape.points) > 2
        if not right or not shape.label:
            raise ValueError(f"the shape of object {shape.id} is none that LabelMe reads")
        self.objects += shape.id != self._last
        self._last = shape.id

    def close(self) -> None:
        """Say that the file has ended."""
        if not self._tail.startswith(b'"imageWidth":'):
            raise ValueError("the file ends before the size of its image")
        self.images += 1
        self._last, self._tail = None, b""


class GeojsonRecount:
    """Recounts GeoJSON's files, and checks that every ring is closed."""

    def __init__(self, folder: str) -> None:
        self.images = 0
        self.objects = 0
        self._folder = folder
        self._tail = b""
        self._decoder = msgspec.json.Decoder(FeatureRow)

    def open(self, name: str) -> Reader | None:
        """Return the reader of a file of this format."""
        return Lines(self) if name.startswith(self._folder) and name.endswith(".geojson") else None

    def add(self, line: bytes) -> None:
        """Take a line."""
        self._tail = line
        if not line.startswith(b'{"type":"Feature",'):
            return
        geometry = decoded(self._decoder, record_of(line)).geometry
        self.objects += 1
        polygons = geometry.coordinates if geometry.type == "MultiPolygon" else [geometry.coordinates]
        for ring in (ring for polygon in polygons for ring in polygon):
            if len(ring) < LEAST_CLOSED or ring[0] != ring[-1]:
                raise ValueError(f"feature {self.objects}: a ring is not closed, or has fewer than three points")

    def close(self) -> None:
        """Say that the file has ended."""
        if not self._tail.endswith(b"]}"):
            raise ValueError("the file ends before its features do")
        self.images += 1
        self._tail = b""
