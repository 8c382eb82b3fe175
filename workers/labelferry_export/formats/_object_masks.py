"""Instance masks in the layout of the 2018 Data Science Bowl: a folder an image, in it the image and a binary PNG (0 and 255) an object.

    objects/STEM/images/NAME  objects/STEM/masks/OBJECT_ID.png      with splits: objects/SPLIT/STEM/...

Objects hide nothing of each other here.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import ClassVar

import msgspec
import numpy as np

from labelferry_export.bundle.packed import pack
from labelferry_export.conversion.blocks import blocks_of
from labelferry_export.findings import Loss, Warn
from labelferry_export.format import FormatJob, batches, loss, no_pixel
from labelferry_export.formats._painting import OBJECTS_PER_STEP
from labelferry_export.geometry.raster import cover_of_all, runs_of_all
from labelferry_export.geometry.runs import Runs
from labelferry_export.instances import shapes_of
from labelferry_export.lanes.task import Piece
from labelferry_export.model import Image, Instance
from labelferry_export.overlays.png import encode_png
from labelferry_export.plan import Step

NAME = "instance_masks"
OBJECTS = "objects"
SET = 255


def folder_of(image: Image) -> str:
    """Return an image's folder, below that of the format."""
    return f"{OBJECTS}/{PurePosixPath(image.bundle_file).with_suffix('')}"


def mask_of(image: Image, number: int) -> str:
    """Return where the mask of the object with this id is, below the folder of the format."""
    return f"{folder_of(image)}/masks/{number}.png"


def seen(image: Image, instances: Sequence[Instance]) -> Iterator[Instance]:
    """Yield the objects that cover a pixel."""
    for batch, _ in batches(instances):
        areas = cover_of_all(shapes_of(batch), image.width, image.height).areas
        yield from (each for each, area in zip(batch, areas.tolist(), strict=True) if area)


class ObjectMasks(msgspec.Struct, frozen=True):
    """The task of making a mask of every object of an image that covers a pixel; crowds are left out. `folder` is that of the format."""

    pixels: ClassVar[bool] = False

    folder: str

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield a file an object."""
        said = [each for each in instances if not each.crowd]
        crowds = tuple(_crowd(image, each) for each in instances if each.crowd)
        for start in range(0, len(said), OBJECTS_PER_STEP):
            few = said[start : start + OBJECTS_PER_STEP]
            for each, runs in zip(few, runs_of_all(shapes_of(few), image.width, image.height), strict=True):
                yield from self._mask(image, each, runs)
        yield Piece(objects=len(crowds), findings=crowds, last=True)

    def _mask(self, image: Image, instance: Instance, runs: Runs) -> Iterator[Piece]:
        if not runs.area:
            message = f"object {instance.id} covers no pixel centre: it has no mask"
            yield Piece(objects=1, findings=(no_pixel(Loss.DROPPED, NAME, message, image, instance.id),))
            return
        blocks = []
        for block in encode_png(runs.mask().astype(np.uint8) * np.uint8(SET)):
            blocks.append(block)
            yield Piece()
        yield Piece(objects=1, file=pack(f"{self.folder}/{mask_of(image, instance.id)}", b"".join(blocks)))


def _crowd(image: Image, instance: Instance) -> Warn:
    return loss(Loss.DROPPED, NAME, f"object {instance.id} is a crowd: left out", image, instance.id)


def copy_images(job: FormatJob, folder: str) -> Iterator[Step]:
    """Put every image into its folder, as it is in the bundle."""
    for image in job.images():
        with job.open(f"{folder}/{folder_of(image)}/images/{image.bundle_name}") as file:
            for block in blocks_of(image):
                file.write(block)
                yield job.step(image, 0, last=False)
