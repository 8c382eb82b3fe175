"""COCO instances: one json with images, annotations and categories. Polygons where they are exact, RLE where there are holes.

COCO unions the rings of a `segmentation`, so a hole cannot be said by rings; it is said by run lengths, with `iscrowd` 0. `area`
and `bbox` are those of the mask that a reader makes of what is written here, as pycocotools computes them.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import ClassVar

import msgspec
import numpy as np

from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, Written, loss, no_pixel, pieces_of
from labelferry_export.formats._holes import KINDS, rings_of, what_became
from labelferry_export.formats._joined import write_joined
from labelferry_export.formats._numbers import flat, flat_rings, joined_lines
from labelferry_export.formats._recounts.coco import CocoRecount
from labelferry_export.geometry.raster import cover_of_all, runs_of, runs_of_all
from labelferry_export.geometry.ring import Rings
from labelferry_export.geometry.rle import counts_of, packed_counts_of
from labelferry_export.geometry.runs import Runs
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.instances import Columns, columns_of
from labelferry_export.lanes.task import Piece
from labelferry_export.lossiness import Lossiness
from labelferry_export.model import Attribute, Image, Instance, ProjectFacts
from labelferry_export.plan import Step

Number = int | float
Outlines = list[list[Number]]
HEADS_PER_STEP = 256
"""After so many image records the caller may stop."""


class Rle(msgspec.Struct, frozen=True):
    """Run lengths, column by column, zeros first: a list of them, or COCO's compressed string."""

    size: tuple[int, int]
    counts: list[int] | str


class CocoAnnotation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An element of `annotations`. `attributes` is what CVAT and Datumaro call it; other readers ignore it."""

    id: int
    image_id: int
    category_id: int
    segmentation: Outlines | Rle
    area: int
    bbox: tuple[Number, Number, Number, Number]
    iscrowd: int
    attributes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class CocoImage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An element of `images`; `file_name` is relative to the bundle's `images/`. `attributes` are as those of annotations."""

    id: int
    width: int
    height: int
    file_name: str
    attributes: dict[str, Attribute] = {}


class CocoCategory(msgspec.Struct, frozen=True, kw_only=True):
    """An element of `categories`."""

    id: int
    name: str
    supercategory: str


class CocoRows(msgspec.Struct, frozen=True):
    """The task of writing an image's annotations; the fields are the options."""

    pixels: ClassVar[bool] = False

    rle: str
    holes: str = "rle"

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the annotations, joined by commas."""
        return pieces_of(image, instances, lambda image, batch: annotations_of(image, batch, self.rle, self.holes))


_encode = msgspec.json.Encoder().encode


def annotations_of(image: Image, instances: Sequence[Instance], rle: str, holes: str = "rle") -> Written:
    """Return an image's annotations, joined by commas; `rle` is `compressed` or `uncompressed`, `holes` what is made of holes."""
    columns = columns_of(instances)
    changed = _by_rings(instances, holes)
    rings = columns.with_shapes(changed).rings if changed else columns.rings
    cover = cover_of_all(rings, image.width, image.height)
    ids, areas, boxes = columns.ids.tolist(), cover.areas.tolist(), list(map(tuple, cover.boxes.tolist()))
    losses = [
        _holes_loss(image, instances[place], holes, len(shape.parts), areas[place]) for place, shape in changed.items()
    ]
    for place in np.flatnonzero(cover.areas == 0).tolist():
        message = f"object {ids[place]} covers no pixel centre: COCO area 0, bbox of its vertices"
        losses.append(no_pixel(Loss.ROUNDED, "coco", message, image, ids[place]))
        boxes[place] = _vertex_box(instances[place].shape)
    attributes = columns.attributes or [b""] * len(columns)
    rows = [
        CocoAnnotation(
            id=ids[place],
            image_id=image.id,
            category_id=category,
            segmentation=segmentation,
            area=areas[place],
            bbox=boxes[place],
            iscrowd=int(crowd),
            attributes=msgspec.Raw(attributes[place]) if attributes[place] else msgspec.UNSET,
        )
        for place, (category, crowd, segmentation) in enumerate(
            zip(
                columns.categories.tolist(),
                columns.crowds.tolist(),
                _segmentations(image, columns, rings, rle),
                strict=True,
            )
        )
    ]
    return Written(joined_lines(rows), tuple(losses))


def _segmentations(image: Image, columns: Columns, rings: Rings, rle: str) -> list[Outlines | Rle]:
    """Return rings for each object, run lengths for one that is a crowd or has holes."""
    numbers = iter(flat_rings(rings))
    said: list[Outlines | Rle] = []
    if rings.are_single:
        said += [[ring] for ring in numbers]
    else:
        outlines = iter([ring for ring, hole in zip(numbers, rings.hole.tolist(), strict=True) if not hole])
        said += [list(islice(outlines, count)) for count in rings.parts_of_shape.tolist()]
    as_runs = columns.crowds.copy()
    as_runs[rings.part_shape[rings.part[rings.hole]]] = True
    places = np.flatnonzero(as_runs)
    if len(places):
        for place, runs in zip(
            places.tolist(), runs_of_all(rings.taken(places), image.width, image.height), strict=True
        ):
            said[place] = _rle(runs, rle)
    return said


def _by_rings(instances: Sequence[Instance], holes: str) -> dict[int, Shape]:
    """Return, by place, the new shapes of objects whose holes are said by rings, as the option is; crowds stay as they are."""
    if holes == "rle":
        return {}
    return {
        place: Shape(tuple(map(Part, rings_of(each.shape, holes))))
        for place, each in enumerate(instances)
        if each.shape.has_holes and not each.crowd
    }


def _holes_loss(image: Image, instance: Instance, holes: str, rings: int, area: int) -> Warn:
    more = area - runs_of(instance.shape, image.width, image.height).area
    changed = f", {abs(more)} px {'more' if more > 0 else 'less'}" if more else ""
    message = f"object {instance.id}: {what_became(instance.shape, holes, rings)}{changed}"
    return loss(KINDS[holes], "coco", message, image, instance.id)


def _rle(runs: Runs, kind: str) -> Rle:
    counts = packed_counts_of(runs) if kind == "compressed" else counts_of(runs)
    return Rle(size=(runs.height, runs.width), counts=counts)


def _vertex_box(shape: Shape) -> tuple[Number, Number, Number, Number]:
    points = np.concatenate([part.outer for part in shape.parts])
    low, high = points.min(axis=0), points.max(axis=0)
    x, y, width, height = flat(np.stack([low, high - low]))
    return x, y, width, height


def _head(facts: ProjectFacts) -> bytes:
    info = {**facts.info, "description": facts.info.get("description", facts.name)}
    categories = [
        CocoCategory(id=each.id, name=each.name, supercategory=each.supercategory) for each in facts.categories
    ]
    return b'{"info":%b,\n"licenses":[],\n"categories":%b,\n"images":[' % (_encode(info), _encode(categories))


def _image(image: Image) -> CocoImage:
    return CocoImage(
        id=image.id,
        width=image.width,
        height=image.height,
        file_name=image.bundle_file,
        attributes=image.attributes,
    )


def write(job: FormatJob) -> Iterator[Step]:
    """Write `instances.json`, or with splits `instances_<split>.json` for each."""
    if not job.splits:
        yield from _write_file(job, "instances", None)
    for split in job.splits:
        yield from _write_file(job, f"instances_{split}", split)


def _write_file(job: FormatJob, stem: str, split: str | None) -> Iterator[Step]:
    with job.open(f"annotations/coco/{stem}.json") as file:
        file.write(_head(job.facts))
        comma = b"\n"
        for number, image in enumerate(job.images(split), start=1):
            file.write(comma + _encode(_image(image)))
            comma = b",\n"
            if number % HEADS_PER_STEP == 0:
                yield Step(0.0, f"Writing {FORMAT.name}", image.bundle_name, 0)
        file.write(b'],\n"annotations":[')
        task = CocoRows(str(job.options["rle"]), str(job.options["holes"]))
        yield from write_joined(job, file, task, split)
        file.write(b"]}\n")


FORMAT = Format(
    name="coco",
    title="COCO instances",
    usage=(
        "`pycocotools.coco.COCO('annotations/coco/instances.json')`, with splits `instances_<split>.json`. `file_name` is "
        "relative to `images/`. Objects with holes are run lengths (RLE) with `iscrowd` 0 (by the option `holes`, rings: joined by "
        "bridges, filled, or cut open), crowds run lengths with `iscrowd` 1. "
        "`area` and `bbox` are those of the mask, as pycocotools computes them."
    ),
    properties=Properties(
        holes="exact (run lengths); or bridged, filled or split, reported",
        parts="exact (several rings)",
        crowds="exact (run lengths, iscrowd 1)",
        attributes="yes",
        splits="a file each",
        coordinates="pixel edges, full precision",
    ),
    cost=Cost(image=0.25, object=0.016),
    write=write,
    recount=lambda claim: CocoRecount("annotations/coco/", claim.classes),
    options={
        "rle": Option("compressed", "how run lengths are written", choices=("compressed", "uncompressed")),
        "holes": Option(
            "rle",
            "how an object with holes is written: run lengths, or for readers without them one ring with bridges, its outline alone, or "
            "rings side by side",
            choices=("rle", "bridge", "fill", "split"),
        ),
    },
    lossiness=Lossiness(single=(Loss.BRIDGED, Loss.FILLED, Loss.SPLIT, Loss.ROUNDED)),
)
