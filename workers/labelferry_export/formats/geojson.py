"""GeoJSON as QuPath reads it: a FeatureCollection an image, in pixels, polygons with their holes, valid by the rules of JTS.

A feature's `id` is a UUID made of the project's name, the image's name and the object's id: the same in every export.
"""

import math
import uuid
from collections.abc import Iterator, Sequence

import msgspec

from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, Written, batches, loss
from labelferry_export.formats._points import Pair, file_beside, pairs
from labelferry_export.formats._recounts.pages import GeojsonRecount
from labelferry_export.formats._regions import valid_parts
from labelferry_export.geometry.measure import QUANTITY, Quantity, measure_all
from labelferry_export.geometry.shape import Part
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Attribute, Category, Image, Instance
from labelferry_export.overlays.palette import COLOURS
from labelferry_export.plan import Step

FOLDER = "annotations/geojson"
NAMESPACE = uuid.UUID("5a0b7a52-2c1d-5c3e-9b51-7f3f0c6d1e84")
"""Of the UUIDs that are made here; never changes."""
UNITS = {Quantity.LENGTH: " px", Quantity.AREA: " px^2", Quantity.POSITION: " px", Quantity.ANGLE: " rad"}

Rings = list[list[Pair]]


class Geometry(msgspec.Struct, frozen=True):
    """A Polygon, whose coordinates are rings, or a MultiPolygon, whose coordinates are polygons."""

    type: str
    coordinates: Rings | list[Rings]


class Classification(msgspec.Struct, frozen=True):
    """QuPath's class: its name, and its colour as red, green, blue."""

    name: str
    color: tuple[int, int, int]


class FeatureProperties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What QuPath keeps of an object; `metadata` holds text only."""

    objectType: str  # noqa: N815 - QuPath's own word
    name: str
    classification: Classification
    metadata: dict[str, str] = {}
    measurements: dict[str, float] = {}


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """An element of `features`."""

    type: str = "Feature"
    id: str
    geometry: Geometry
    properties: FeatureProperties


_encode = msgspec.json.Encoder().encode


def features_of(
    image: Image,
    instances: Sequence[Instance],
    categories: Sequence[Category],
    project: str,
    object_type: str = "annotation",
    measured: bool = False,
) -> Written:
    """Return an image's features, joined by commas."""
    rows: list[bytes] = []
    losses: list[Warn] = []
    measures = measure_all([each.shape for each in instances]) if measured else []
    for index, each in enumerate(instances):
        parts = valid_parts(each.shape)
        if parts is not each.shape.parts:
            message = f"object {each.id}: its parts overlap, which GeoJSON's polygons must not: joined"
            losses.append(loss(Loss.JOINED, "geojson", message, image, each.id))
        values = measures[index]._asdict() if measured else {}
        properties = FeatureProperties(
            objectType=object_type,
            name=str(each.id),
            classification=_classification(categories[each.category_id - 1]),
            metadata=_metadata(each),
            measurements={_measurement(name): value for name, value in values.items() if math.isfinite(value)},
        )
        number = str(uuid.uuid5(NAMESPACE, f"{project}\0{image.name}\0{each.id}"))
        rows.append(_encode(Feature(id=number, geometry=_geometry(parts), properties=properties)))
    return Written(b",\n".join(rows), tuple(losses))


def _geometry(parts: Sequence[Part]) -> Geometry:
    polygons = [[pairs(ring, closed=True) for ring in (part.outer, *part.holes)] for part in parts]
    return Geometry("Polygon", polygons[0]) if len(polygons) == 1 else Geometry("MultiPolygon", polygons)


def _classification(category: Category) -> Classification:
    return Classification(category.name, COLOURS[(category.id - 1) % len(COLOURS)])


def _metadata(instance: Instance) -> dict[str, str]:
    words = {name: _text(value) for name, value in instance.attributes.items()}
    return {**words, "crowd": "true"} if instance.crowd else words


def _text(value: Attribute) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _measurement(name: str) -> str:
    return f"{name}{UNITS.get(QUANTITY[name], '')}"


def write(job: FormatJob) -> Iterator[Step]:
    """Write a FeatureCollection for every image."""
    facts, options = job.facts, job.options
    chosen = (str(options["object_type"]), bool(options["measurements"]))
    for image in job.images():
        with job.open(file_beside(image, FOLDER, ".geojson")) as file:
            file.write(b'{"type":"FeatureCollection","features":[')
            comma = b"\n"
            for batch, last in batches(job.instances(image)):
                written = features_of(image, batch, facts.categories, facts.name, *chosen)
                for warn in written.losses:
                    job.report(warn)
                if batch:
                    file.write(comma + written.data)
                    comma = b",\n"
                yield job.step(image, len(batch), last)
            file.write(b"]}\n")


FORMAT = Format(
    name="geojson",
    title="GeoJSON for QuPath",
    usage=(
        "Drag `annotations/geojson/<image>.geojson` onto the opened image in QuPath (0.4 or newer), with splits "
        "`annotations/geojson/<split>/<image>.geojson`; or `geopandas.read_file(...)`. Coordinates are pixels of the full image, the "
        "origin its upper left corner. An object's `name` is its id in every format; its attributes are `metadata`."
    ),
    properties=Properties(
        holes="exact",
        parts="exact (MultiPolygon); overlapping parts are joined, reported",
        crowds="metadata",
        attributes="as text",
        splits="folders",
        coordinates="pixel edges, full precision",
    ),
    cost=Cost(image=0.3, object=0.045),
    write=write,
    options={
        "object_type": Option("annotation", "QuPath's kind of object", choices=("annotation", "detection", "cell")),
        "measurements": Option(False, "write the shape measures of every object, in pixels"),
    },
    recount=lambda _: GeojsonRecount(f"{FOLDER}/"),
    lossiness=Lossiness(
        single=(Loss.JOINED,),
        unsaid=(Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
