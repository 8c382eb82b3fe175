"""YOLO segment, as Ultralytics reads it: a text file an image, a row an object, and `data.yaml` at the bundle's root.

A row is one ring, normalised to the image: several parts and holes become one ring by bridges of no width (or, by the options, several
rows), and every object this happens to is reported. The reader finds a label by replacing the last `/images/` of an image's path by `/labels/`, so the
labels lie in a tree beside `images/`, and `data.yaml` has no `path`: its own folder is the root.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar

import msgspec
import numpy as np

from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, Written, loss
from labelferry_export.formats._bridge import bridged
from labelferry_export.formats._holes import BRIDGE, FILL, KINDS, SPLIT, rings_of, what_became
from labelferry_export.formats._numbers import spelled
from labelferry_export.formats._recounts.lines import YoloRecount
from labelferry_export.formats._regions import counted, valid_parts
from labelferry_export.formats._yolo import chosen_splits, double_loss, packed_labels, sayable, yaml_of
from labelferry_export.geometry.ring import Integers, Rings, lay_out
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.instances import Instances
from labelferry_export.lanes.task import Piece
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Image, Instance
from labelferry_export.plan import Step

DECIMALS = 6
NUMBER_BYTES = 1 + 2 + DECIMALS
MIXED = np.array([1, 7919, 104_729, 1_299_709, 15_485_863], np.int64)
"""What class and edges of a box are multiplied with, so that their sum tells boxes apart."""


class YoloRows(msgspec.Struct, frozen=True):
    """The task of writing an image's label file; the fields are the options."""

    pixels: ClassVar[bool] = False

    parts: str = "bridge"
    holes: str = "bridge"

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the file."""
        yield packed_labels("labels", image, labels_of(image, instances, self.parts, self.holes), len(instances))


def labels_of(image: Image, instances: Sequence[Instance], parts: str = "bridge", holes: str = "bridge") -> Written:
    """Return an image's label file: empty for an image without objects; `parts` and `holes` are the options."""
    columns, losses = sayable(image, instances, "yolo")
    if columns.rings.are_single:
        data, doubles = _rows(image, columns.ids.tolist(), columns.categories.tolist(), columns.rings)
        return Written(data, (*losses, *doubles))
    numbers: list[int] = []
    classes: list[int] = []
    rings: list[Ring] = []
    for each in Instances(image.id, columns):
        said: tuple[Ring, ...] = (each.shape.parts[0].outer,)
        if len(each.shape.parts) > 1 or each.shape.has_holes:
            said, done = _rings(each.shape, parts, holes)
            losses += [loss(kind, "yolo", f"object {each.id}: {what}", image, each.id) for kind, what in done]
        numbers += [each.id] * len(said)
        classes += [each.category_id] * len(said)
        rings += said
    data, doubles = _rows(image, numbers, classes, lay_out([Shape((Part(ring),)) for ring in rings]))
    return Written(data, (*losses, *doubles))


def _rings(shape: Shape, parts: str, holes: str) -> tuple[tuple[Ring, ...], list[tuple[Loss, str]]]:
    """Return the rings that an object becomes, a row each, and what was done, in words too."""
    done: list[tuple[Loss, str]] = []
    if (apart := valid_parts(shape)) is not shape.parts:
        # Readers fill a ring by the even-odd rule: what two parts share would be a hole.
        shape = Shape(apart)
        done.append((Loss.JOINED, "its parts overlap: joined"))
        if len(apart) == 1 and not shape.has_holes:
            return (apart[0].outer,), done
    if parts == holes == BRIDGE:
        return (bridged(shape),), [*done, (Loss.BRIDGED, f"{counted(shape)} joined to one ring")]
    rings = rings_of(shape, holes)
    done += [(KINDS[holes], what_became(shape, holes, len(rings)))] if shape.has_holes else []
    if len(shape.parts) > 1 and parts == BRIDGE and not (shape.has_holes and holes == SPLIT):
        done.append((Loss.BRIDGED, f"{len(rings)} parts joined to one ring"))
        return (bridged(Shape(tuple(map(Part, rings)))),), done
    if len(rings) > 1:
        done.append((Loss.SPLIT, f"{len(rings)} rows, which readers take for {len(rings)} objects"))
    return rings, done


def _rows(image: Image, ids: Sequence[int], classes: Sequence[int], rings: Rings) -> tuple[bytes, list[Warn]]:
    """Return a row a ring, and what the reader takes for one; `ids` are those of their objects, `classes` the numbers of theirs, from 1."""
    values = (rings.points / (image.width, image.height)).clip(0.0, 1.0)
    units = np.rint(values * 10**DECIMALS).astype(np.int64)
    numbers = spelled(units, DECIMALS)
    ends = (2 * NUMBER_BYTES * np.cumsum(rings.sizes)).tolist()
    rows = zip(classes, pairwise([0, *ends]), strict=True)
    data = b"".join([b"%d%b\n" % (number - 1, numbers[start:end]) for number, (start, end) in rows])
    return data, _doubles(image, ids, classes, units, rings)


def _doubles(image: Image, ids: Sequence[int], classes: Sequence[int], units: Integers, rings: Rings) -> list[Warn]:
    """Return a finding for each ring of a class and a box that an earlier one has, of another object: the reader drops its row.

    So does Ultralytics (`verify_image_label`): it puts a box around every outline and keeps the first of rows that are equal then.
    """
    if len(ids) < 2:
        return []
    low, high = (edge.reduceat(units, rings.starts) for edge in (np.minimum, np.maximum))
    boxes = np.column_stack([np.array(classes), low, high])
    # A sum that is equal for equal rows, and hardly ever for others: in one look, as nearly no image has any.
    if len(np.unique(boxes @ MIXED)) == len(ids):
        return []
    first: dict[tuple[int, ...], int] = {}
    earlier = [first.setdefault(tuple(box), number) for number, box in zip(ids, boxes.tolist(), strict=True)]
    return [
        double_loss(image, number, before, "yolo")
        for number, before in zip(ids, earlier, strict=True)
        if number != before
    ]


def data_yaml(splits: Sequence[str], names: Sequence[str]) -> str:
    """Return data.yaml. `train` and `val` are always there, as the reader wants it, if need be with the same images."""
    if not splits:
        return yaml_of({"train": "images", "val": "images"}, names)
    return yaml_of({role: f"images/{split}" for role, split in chosen_splits(splits).items()}, names)


def write(job: FormatJob) -> Iterator[Step]:
    """Write `data.yaml` and a label file for every image."""
    with job.open("data.yaml") as file:
        file.write(data_yaml(job.splits, [each.name for each in job.facts.categories]).encode())
    yield from job.files(YoloRows(str(job.options["parts"]), str(job.options["holes"])))


FORMAT = Format(
    name="yolo",
    title="YOLO segment",
    usage=(
        "`yolo segment train data=data.yaml` in the unzipped folder; `yolo detect train` takes the same labels and puts boxes around "
        "them. Labels lie in `labels/`, beside `images/`, one row an object: "
        "class index from 0, then x and y in turn, 0 to 1. Objects of several parts or with holes are one ring with bridges of no "
        "width (by the options `parts` and `holes` several rows, or filled); crowds are left out. Without splits, `train` and `val` are the same images."
    ),
    properties=Properties(
        holes="bridged (keyhole), filled or split, reported",
        parts="bridged or split, reported",
        crowds="left out, reported",
        attributes="no",
        splits="folders",
        coordinates="normalised, 6 decimals",
    ),
    cost=Cost(image=0.1, object=0.009),
    write=write,
    recount=lambda claim: YoloRecount("labels/", None, claim.classes, SPLIT not in claim.options.values()),
    options={
        "parts": Option(
            BRIDGE,
            "how an object of several parts is written: one ring with bridges, or a row a part, which readers take for an object each",
            choices=(BRIDGE, SPLIT),
        ),
        "holes": Option(
            BRIDGE,
            "how an object with holes is written: one ring with bridges, its outline alone, or rings side by side, a row each",
            choices=(BRIDGE, FILL, SPLIT),
        ),
    },
    lossiness=Lossiness(
        single=(Loss.BRIDGED, Loss.SPLIT, Loss.FILLED, Loss.JOINED, Loss.DROPPED, Loss.REFUSED),
        alike={Loss.ROUNDED: "coordinates are shares of the image, rounded to 6 decimals"},
        unsaid=(Aspect.ATTRIBUTES, Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
