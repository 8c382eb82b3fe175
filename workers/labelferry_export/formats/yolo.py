"""YOLO segment, as Ultralytics reads it: a text file an image, a row an object, and `data.yaml` at the bundle's root.

A row is one ring, normalised to the image: several parts and holes become one ring by bridges of no width, and every object
this happens to is reported. The reader finds a label by replacing the last `/images/` of an image's path by `/labels/`, so the
labels lie in a tree beside `images/`, and `data.yaml` has no `path`: its own folder is the root.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import msgspec
import numpy as np

from labelferry_export.findings import Warn
from labelferry_export.format import Cost, Format, FormatJob, Properties, Written, loss
from labelferry_export.formats._bridge import bridged
from labelferry_export.formats._numbers import spelled
from labelferry_export.formats._recount import YoloRecount
from labelferry_export.formats._yolo import chosen_splits, crowd_loss, size_losses, yaml_of
from labelferry_export.geometry.shape import Ring
from labelferry_export.lanes.task import Piece
from labelferry_export.model import Image, Instance
from labelferry_export.plan import Step

DECIMALS = 6
NUMBER_BYTES = 1 + 2 + DECIMALS


class YoloRows(msgspec.Struct, frozen=True):
    """The task of writing an image's label file."""

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the file."""
        written = labels_of(image, instances)
        yield Piece(written.data, len(instances), written.losses, last=True)


def labels_of(image: Image, instances: Sequence[Instance]) -> Written:
    """Return an image's label file: empty for an image without objects."""
    classes: list[int] = []
    rings: list[Ring] = []
    losses: list[Warn] = size_losses(image, "yolo")
    for each in instances:
        if each.crowd:
            losses.append(crowd_loss(image, each, "yolo"))
            continue
        ring = each.shape.parts[0].outer
        if len(each.shape.parts) > 1 or each.shape.has_holes:
            losses.append(
                loss(image, each.id, "yolo", f"object {each.id}: {_what_was_bridged(each)} joined to one ring")
            )
            ring = bridged(each.shape)
        classes.append(each.category_id - 1)
        rings.append(ring)
    return Written(_rows(image, classes, rings), tuple(losses))


def _what_was_bridged(instance: Instance) -> str:
    parts = len(instance.shape.parts)
    holes = sum(len(part.holes) for part in instance.shape.parts)
    counted = [f"{parts} parts" if parts > 1 else "", f"{holes} hole{'s' if holes > 1 else ''}" if holes else ""]
    return " and ".join(filter(None, counted))


def _rows(image: Image, classes: Sequence[int], rings: Sequence[Ring]) -> bytes:
    if not rings:
        return b""
    values = (np.concatenate(rings) / (image.width, image.height)).clip(0.0, 1.0)
    numbers = spelled(np.rint(values * 10**DECIMALS).astype(np.int64), DECIMALS)
    rows, start = [], 0
    for index, ring in zip(classes, rings, strict=True):
        end = start + 2 * len(ring) * NUMBER_BYTES
        rows.append(b"%d%b\n" % (index, numbers[start:end]))
        start = end
    return b"".join(rows)


def data_yaml(splits: Sequence[str], names: Sequence[str]) -> str:
    """Return data.yaml. `train` and `val` are always there, as the reader wants it, if need be with the same images."""
    if not splits:
        return yaml_of({"train": "images", "val": "images"}, names)
    return yaml_of({role: f"images/{split}" for role, split in chosen_splits(splits).items()}, names)


def write(job: FormatJob) -> Iterator[Step]:
    """Write `data.yaml` and a label file for every image."""
    with job.open("data.yaml") as file:
        file.write(data_yaml(job.splits, [each.name for each in job.facts.categories]).encode())
    for image, piece, step in job.pieces(YoloRows()):
        if piece.last:
            with job.open(f"labels/{PurePosixPath(image.bundle_file).with_suffix('')}.txt") as file:
                file.write(piece.data)
        yield step


FORMAT = Format(
    name="yolo",
    title="YOLO segment",
    usage=(
        "`yolo segment train data=data.yaml` in the unzipped folder; `yolo detect train` takes the same labels and puts boxes around "
        "them. Labels lie in `labels/`, beside `images/`, one row an object: "
        "class index from 0, then x and y in turn, 0 to 1. Objects of several parts or with holes are one ring with bridges of no "
        "width; crowds are left out. Without splits, `train` and `val` are the same images."
    ),
    properties=Properties(
        holes="bridged (keyhole), reported",
        parts="bridged, reported",
        crowds="left out, reported",
        attributes="no",
        splits="folders",
        coordinates="normalised, 6 decimals",
    ),
    cost=Cost(image=0.2, object=0.025),
    write=write,
    recount=lambda facts: YoloRecount("labels/", None, len(facts.categories)),
)
