"""Instance masks: a 16-bit grey PNG (or 32-bit TIFF) an image whose values 1..n are its objects; a table says which, and previews show it in colour.

What the tools of microscopy read as label images. Crowds are no single objects and are left out. Where objects overlap, the z-order of
`_painting` decides, and what is lost is reported.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec
import numpy as np

from labelferry_export.bundle.packed import pack
from labelferry_export.errors import ExportError
from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, loss
from labelferry_export.formats._painting import (
    ORDER,
    Painting,
    empty_losses,
    in_painting_order,
    mask_file,
    object_losses,
    packed_mask,
    painted,
)
from labelferry_export.formats._recounts.masks import MaskRecount, numbered
from labelferry_export.formats._tiff import encode_tiff
from labelferry_export.lanes.task import Piece
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Category, Image, Instance
from labelferry_export.overlays.palette import COLOURS
from labelferry_export.overlays.png import Bytes
from labelferry_export.plan import Step
from labelferry_export.tables.csv_table import line_of
from labelferry_protocol.errors import Code

NAME = "instance_masks"
FOLDER = f"annotations/{NAME}"
MASKS = "masks"
ENDINGS = {16: ".png", 32: ".tif"}
MOST_OBJECTS = {16: 0xFFFF, 32: 0xFFFF_FFFF}
"""By the bits of a mask."""
DECODED = {16: "I;16", 32: "I"}
"""Pillow's word for such pixels."""
COLUMNS = ("file", "value", "object_id", "category_id", "category")
PREVIEW: Bytes = np.array([(0, 0, 0), *COLOURS], np.uint8)
"""Background and the overlays' colours of objects."""


def said_objects(instances: Sequence[Instance]) -> Sequence[Instance]:
    """Return an image's objects in the order of their values in its mask, from 1: all but crowds."""
    return in_painting_order([each for each in instances if not each.crowd])


def losses_of(image: Image, instances: Sequence[Instance], painting: Painting) -> list[Warn]:
    """Return what the mask cannot say; `instances` are all of the image, `painting` holds those that are said."""
    said = said_objects(instances)
    return [
        *(
            loss(Loss.DROPPED, NAME, f"object {each.id} is a crowd: left out", image, each.id)
            for each in instances
            if each.crowd
        ),
        *empty_losses(image, said, painting, NAME),
        *object_losses(image, said, painting, NAME),
    ]


def rows_of(image: Image, instances: Sequence[Instance], categories: Sequence[Category], bits: int) -> bytes:
    """Return the rows of an image in `objects.csv`."""
    file = mask_file(MASKS, image, ENDINGS[bits])
    return b"".join(
        line_of([file, value, each.id, each.category_id, categories[each.category_id - 1].name])
        for value, each in enumerate(said_objects(instances), start=1)
    )


def check_count(image: Image, objects: int, bits: int = 16) -> None:
    """Raise `ExportError` when an image has more objects than its mask has values."""
    if objects > MOST_OBJECTS[bits]:
        raise ExportError(
            Code.ITEM,
            f"the image {image.name!r} has {objects} objects, a {bits}-bit mask holds at most {MOST_OBJECTS[bits]}: set the option "
            f"bits of {NAME} to 32, or cut the image into tiles",
            item=image.name,
        )


class InstanceMask(msgspec.Struct, frozen=True):
    """The task of making an image's mask, and if wanted its preview."""

    pixels: ClassVar[bool] = False

    preview: bool
    bits: int = 16

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield both. Raises `ExportError` for more objects than a mask has values."""
        said = said_objects(instances)
        check_count(image, len(said), self.bits)
        painting, objects = yield from painted(image, said)
        losses = tuple(losses_of(image, instances, painting))
        name = mask_file(f"{FOLDER}/{MASKS}", image, ENDINGS[self.bits])
        if self.bits == 16:
            mask = yield from packed_mask(name, painting, np.arange(len(said) + 1, dtype=np.uint16))
        else:
            mask = pack(name, encode_tiff(painting.mask(np.arange(len(said) + 1, dtype=np.uint32))))
        yield Piece(objects=objects, findings=losses, file=mask, last=not self.preview)
        if self.preview:
            shown = np.array([0, *(1 + (each.id - 1) % len(COLOURS) for each in said)], np.uint8)
            name = mask_file(f"{FOLDER}/preview", image)
            yield Piece(file=(yield from packed_mask(name, painting, shown, PREVIEW)), last=True)


def write(job: FormatJob) -> Iterator[Step]:
    """Write a mask and its preview for every image, then `objects.csv`."""
    bits = int(job.options["bits"])
    yield from job.files(InstanceMask(bool(job.options["preview"]), bits))
    with job.open(f"{FOLDER}/objects.csv") as file:
        file.write(line_of(list(COLUMNS)))
        for image in job.images():
            file.write(rows_of(image, job.instances(image), job.facts.categories, bits))
            yield job.step(image, 0, last=False)


FORMAT = Format(
    name=NAME,
    title="Instance masks",
    usage=(
        "`annotations/instance_masks/masks/`: a 16-bit grey PNG (by the option `bits=32` a TIFF) for every image, with its stem (with splits in folders): 0 is "
        "background, 1 to n are its objects: `skimage.io.imread(...)`. `objects.csv` says which object and class a value is. Most viewers "
        f"show such masks as nearly black; `preview/` shows them in colour. Where objects overlap: {ORDER}. Crowds are left out."
    ),
    properties=Properties(
        holes="exact, in pixels",
        parts="exact, in pixels",
        crowds="left out, reported",
        attributes="no",
        splits="folders",
        coordinates="pixels",
        depth="masks of 16 bits, or of 32",
    ),
    cost=Cost(image=1.8, object=0.024),
    write=write,
    options={
        "preview": Option(True, "masks in colour beside those in numbers"),
        "bits": Option(16, "16: PNG, up to 65535 objects an image; 32: TIFF, for images with more", choices=(16, 32)),
    },
    recount=lambda claim: MaskRecount(f"{FOLDER}/{MASKS}/", (DECODED[int(claim.options["bits"])],), numbered),
    lossiness=Lossiness(
        single=(Loss.DROPPED, Loss.HIDDEN),
        alike={Loss.ROUNDED: "outlines are rounded to whole pixels"},
        unsaid=(Aspect.ATTRIBUTES, Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
