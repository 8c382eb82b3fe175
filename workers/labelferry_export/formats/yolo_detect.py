"""YOLO detect: a box an object, as Ultralytics reads it, in a tree of its own: rows of boxes and of polygons never mix in one file.

A box is the one around the vertices, its edges to a millionth of the image, never smaller than the object; centre and size are
written with the seventh decimal, so that they say exactly these edges.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec
import numpy as np

from labelferry_export.findings import Loss
from labelferry_export.format import Cost, Format, FormatJob, Properties, Written
from labelferry_export.formats._numbers import spelled
from labelferry_export.formats._recounts.lines import YoloRecount
from labelferry_export.formats._yolo import packed_labels, rows_of, sayable, write_tree
from labelferry_export.geometry.rectangle import upright_boxes
from labelferry_export.geometry.ring import Floats, Integers
from labelferry_export.lanes.task import Piece
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Image, Instance
from labelferry_export.plan import Step

NAME = "yolo_detect"
DECIMALS = 7
STEPS = 1_000_000
"""Steps of an edge over the image."""
NOISE = 1e-4
"""So much of a step is an error of the division, and rounds to the step."""


class DetectRows(msgspec.Struct, frozen=True):
    """The task of writing an image's label file."""

    pixels: ClassVar[bool] = False

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the file."""
        yield packed_labels(f"annotations/{NAME}/labels", image, labels_of(image, instances), len(instances))


def labels_of(image: Image, instances: Sequence[Instance]) -> Written:
    """Return an image's label file: empty for an image without objects."""
    columns, losses = sayable(image, instances, NAME)
    low, high = _edges(upright_boxes(columns.rings).reshape(-1, 2, 2) / (image.width, image.height))
    scale = 10**DECIMALS // STEPS
    text = spelled(np.concatenate([(low + high) * scale // 2, (high - low) * scale], axis=1), DECIMALS)
    data, doubles = rows_of(image, columns, text, NAME)
    return Written(data, (*losses, *doubles))


def _edges(shares: Floats) -> tuple[Integers, Integers]:
    """Return upper left and lower right corners, (n, 2) each, in steps, from boxes (n, 2, 2) in shares of the image: outwards."""
    low = np.floor(shares[:, 0] * STEPS + NOISE).clip(0, STEPS - 1).astype(np.int64)
    high = np.ceil(shares[:, 1] * STEPS - NOISE).clip(1, STEPS).astype(np.int64)
    return low, np.maximum(high, low + 1)


def write(job: FormatJob) -> Iterator[Step]:
    """Write data.yaml, the lists of images and a label file for every image."""
    yield from write_tree(job, NAME, DetectRows())


FORMAT = Format(
    name=NAME,
    title="YOLO detect",
    usage=(
        "One row an object in `annotations/yolo_detect/labels/`: class index from 0, then centre and size of its box, 0 to 1. Ultralytics "
        "finds labels by the path of the images, so link these to the tree, once: "
        "`ln -s ../../images annotations/yolo_detect/images` (Windows: `mklink /J annotations\\yolo_detect\\images images`), then "
        "`yolo detect train data=annotations/yolo_detect/data.yaml`. The labels of YOLO segment at the root stay usable beside it. "
        "Without splits, `train` and `val` are the same images; crowds are left out."
    ),
    properties=Properties(
        holes="no (box)",
        parts="one box around all",
        crowds="left out, reported",
        attributes="no",
        splits="folders and lists",
        coordinates="normalised, centre and size, 7 decimals",
    ),
    cost=Cost(image=0.2, object=0.007),
    write=write,
    recount=lambda claim: YoloRecount(f"annotations/{NAME}/labels/", 4, claim.classes),
    lossiness=Lossiness(
        single=(Loss.DROPPED, Loss.REFUSED),
        alike={Loss.REDUCED: "an object is the box around it: its outline is left out"},
        unsaid=(Aspect.ATTRIBUTES, Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
