"""The features of QuPath's GeoJSON, in all the forms it ever had, and the outlines in them. The reading is `geojson`'s."""

from typing import Any

from msgspec import Struct, field

from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.reading.json_stream import Decoder
from labelferry_export.sources.outlines import Unusable, ring_of

UNCLASSIFIED = "object"


class Class(Struct):
    """A classification: one name, or those that it is made of."""

    name: str | None = None
    names: list[str] | None = None


class Geometry(Struct):
    """A geometry of any type; its coordinates are looked at when the type is one that encloses something."""

    type: str
    coordinates: Any = None


class Properties(Struct):
    """What QuPath keeps of an object; `legacy_type` is what versions before 0.3 call `object_type`."""

    classification: Class | None = None
    object_type: str | None = field(default=None, name="objectType")
    legacy_type: str | None = field(default=None, name="object_type")
    name: str | int | None = None
    measurements: Any = None
    metadata: Any = None


class Feature(Struct):
    """An element of `features`; `nucleus` is a second geometry that cells have."""

    geometry: Geometry | None = None
    nucleus: Any = field(default=None, name="nucleusGeometry")
    properties: Properties | None = None


class HeadProperties(Struct):
    """The properties of a feature of which only the class is looked at."""

    classification: Class | None = None


class Head(Struct):
    """A feature, of which only the class is looked at."""

    properties: HeadProperties | None = None


FEATURE = Decoder(Feature)
HEAD = Decoder(Head)


def shape_of(geometry: Geometry | None) -> Shape:
    """Return what a geometry covers; raise `Unusable` when that is nothing."""
    if geometry is None:
        raise Unusable("it has no geometry")
    polygons = geometry.coordinates
    if geometry.type == "Polygon":
        polygons = [polygons]
    elif geometry.type != "MultiPolygon":
        raise Unusable(f"it is a {geometry.type[:40]}, which has no area")
    if not isinstance(polygons, list) or not polygons:
        raise Unusable("it has no outline")
    return Shape(tuple(map(_part, polygons)))


def _part(rings: object) -> Part:
    if not isinstance(rings, list) or not rings:
        raise Unusable("it has no outline")
    return Part(ring_of(rings[0]), tuple(map(ring_of, rings[1:])))


def class_name(found: Class | None) -> str:
    """Return the name of a class, as QuPath shows it."""
    if found is None:
        return UNCLASSIFIED
    return found.name or ": ".join(found.names or ()) or UNCLASSIFIED


def attributes_of(properties: Properties) -> dict[str, object]:
    """Return measurements, metadata, name and type, as far as they say something."""
    attributes: dict[str, object] = {}
    measured = properties.measurements
    if isinstance(measured, list):
        pairs = [each for each in measured if isinstance(each, dict)]
        measured = {str(each.get("name")): each.get("value") for each in pairs}
    for words in (measured, properties.metadata):
        if isinstance(words, dict):
            attributes.update(words)
    if properties.name is not None and id_of(properties.name) is None:
        attributes["name"] = properties.name
    kind = properties.object_type or properties.legacy_type or "annotation"
    if kind.lower() not in ("annotation", "unknown"):
        attributes["object_type"] = kind.lower()
    return attributes


def id_of(name: str | int | None) -> int | None:
    """Return the id that an object's name is, as labelferry writes it; None when the name is a name."""
    text = str(name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 and not text.startswith("0") else None
