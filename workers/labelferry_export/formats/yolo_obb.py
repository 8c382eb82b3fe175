"""YOLO oriented boxes, as Ultralytics reads them: the four corners of the rectangle of least area around an object, a row each.

Corners go clockwise from the uppermost one. The reader refuses what lies outside of the image. So such a corner is moved to the border,
and the row is no exact rectangle any more (the reader puts one around it); or, as an option, the least rectangle within the
image takes its place, at another angle. Either is reported.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec
import numpy as np

from labelferry_export.findings import Loss
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, Written, loss
from labelferry_export.formats._numbers import spelled
from labelferry_export.formats._recounts.lines import YoloRecount
from labelferry_export.formats._yolo import packed_labels, rows_of, sayable, write_tree
from labelferry_export.geometry.rectangle import least_rectangles
from labelferry_export.lanes.task import Piece
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Image, Instance
from labelferry_export.plan import Step

NAME = "yolo_obb"
DECIMALS = 6
LEAST_MOVE = 0.01
"""A corner this near to the image, px, is moved to the border without a word."""
DONE = {"clip": "corners moved to the border", "fit": "the least one within it was taken"}
"""What the values of the option `border` do to such a rectangle."""


class ObbRows(msgspec.Struct, frozen=True):
    """The task of writing an image's label file; the field is the option."""

    pixels: ClassVar[bool] = False

    border: str = "clip"

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the file."""
        yield packed_labels(
            f"annotations/{NAME}/labels", image, labels_of(image, instances, self.border), len(instances)
        )


def labels_of(image: Image, instances: Sequence[Instance], border: str = "clip") -> Written:
    """Return an image's label file: empty for an image without objects; `border` is the option."""
    columns, losses = sayable(image, instances, NAME)
    size = (image.width, image.height)
    corners = least_rectangles(columns.rings)
    reach = np.abs(corners.clip(0, size) - corners).max(axis=(1, 2))
    outside = np.flatnonzero(reach > LEAST_MOVE).tolist()
    if border == "fit":
        corners[outside] = least_rectangles(columns.rings.taken(np.array(outside, np.int64)), size)
    for place in outside:
        number = int(columns.ids[place])
        message = f"object {number}: its rectangle reaches {reach[place]:.2f} px out of the image: {DONE[border]}"
        losses.append(loss(Loss.CLIPPED, NAME, message, image, number))
    inside = corners.clip(0, size)
    text = spelled(np.rint(inside / size * 10**DECIMALS).astype(np.int64), DECIMALS)
    data, doubles = rows_of(image, columns, text, NAME)
    return Written(data, (*losses, *doubles))


def write(job: FormatJob) -> Iterator[Step]:
    """Write data.yaml, the lists of images and a label file for every image."""
    yield from write_tree(job, NAME, ObbRows(str(job.options["border"])))


FORMAT = Format(
    name=NAME,
    title="YOLO oriented boxes",
    usage=(
        "One row an object in `annotations/yolo_obb/labels/`: class index from 0, then x and y of the four corners of the rectangle "
        "of least area around it, 0 to 1. Ultralytics finds labels by the path of the images, so link these to the tree, once: "
        "`ln -s ../../images annotations/yolo_obb/images` (Windows: `mklink /J annotations\\yolo_obb\\images images`), then "
        "`yolo obb train data=annotations/yolo_obb/data.yaml`. Without splits, `train` and `val` are the same images; crowds "
        "are left out."
    ),
    properties=Properties(
        holes="no (rectangle)",
        parts="one rectangle around all",
        crowds="left out, reported",
        attributes="no",
        splits="folders and lists",
        coordinates="normalised, four corners, 6 decimals",
    ),
    cost=Cost(image=0.3, object=0.04),
    write=write,
    options={
        "border": Option(
            "clip",
            "what becomes of a rectangle that reaches out of the image: its corners move to the border, or another one is fitted",
            choices=("clip", "fit"),
        ),
    },
    recount=lambda claim: YoloRecount(f"annotations/{NAME}/labels/", 8, claim.classes),
    lossiness=Lossiness(
        single=(Loss.CLIPPED, Loss.DROPPED, Loss.REFUSED),
        alike={Loss.REDUCED: "an object is the rectangle around it: its outline is left out"},
        unsaid=(Aspect.ATTRIBUTES, Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
