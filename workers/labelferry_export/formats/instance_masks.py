"""Instance masks: a 16-bit grey PNG (or 32-bit TIFF) an image whose values 1..n are its objects; a table says which, and previews show it in colour.

What the tools of microscopy read as label images. By the option `layout` it is a binary mask an object instead: `_object_masks`. Crowds are no single objects and are left out. Where objects overlap, the z-order of
`_painting` decides, and what is lost is reported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np

from labelferry_export.bundle.packed import pack
from labelferry_export.errors import ExportError
from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, loss
from labelferry_export.formats._object_masks import NAME, OBJECTS, SET, ObjectMasks, copy_images, mask_of, seen
from labelferry_export.formats._painting import (
    ORDER,
    Painting,
    empty_losses,
    filled,
    in_painting_order,
    mask_file,
    object_losses,
    packed_mask,
    painted,
)
from labelferry_export.formats._recounts.masks import MaskRecount, numbered, single
from labelferry_export.formats._tiff import encode_tiff
from labelferry_export.lanes.task import Piece
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Category, Image, Instance
from labelferry_export.overlays.palette import COLOURS
from labelferry_export.overlays.png import Bytes
from labelferry_export.plan import Step
from labelferry_export.recount import Claim
from labelferry_export.tables.csv_table import line_of
from labelferry_protocol.errors import Code

FOLDER = f"annotations/{NAME}"
MASKS = "masks"
LABELS = "labels"
ENDINGS = {16: ".png", 32: ".tif"}
MOST_OBJECTS = {16: 0xFFFF, 32: 0xFFFF_FFFF}
"""By the bits of a mask."""
DECODED = {16: "I;16", 32: "I"}
"""Pillow's word for such pixels."""
COLUMNS = ("file", "value", "object_id", "category_id", "category")
PREVIEW: Bytes = np.array([(0, 0, 0), *COLOURS], np.uint8)
"""Background and the overlays' colours of objects."""


@dataclass(frozen=True)
class Layout:
    """How masks are laid out: `single` is a file an object, else numbers of so many `bits` in a file an image."""

    bits: int
    single: bool


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


def rows_of(image: Image, instances: Sequence[Instance], categories: Sequence[Category], layout: Layout) -> bytes:
    """Return the rows of an image in `objects.csv`."""
    said = said_objects(instances)
    if layout.single:
        places = [(each, (mask_of(image, each.id), SET)) for each in seen(image, said)]
    else:
        file = mask_file(MASKS, image, ENDINGS[layout.bits])
        places = [(each, (file, value)) for value, each in enumerate(said, start=1)]
    return b"".join(
        line_of([*place, each.id, each.category_id, categories[each.category_id - 1].name]) for each, place in places
    )


def recount(claim: Claim) -> MaskRecount:
    """Return what reads the masks again, of either layout."""
    if claim.options["layout"] == OBJECTS:
        return MaskRecount(f"{FOLDER}/{OBJECTS}/", ("L",), single, f"{MASKS}/")
    return MaskRecount(f"{FOLDER}/{MASKS}/", (DECODED[int(claim.options["bits"])],), numbered)


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
            pixels = yield from filled(painting, np.arange(len(said) + 1, dtype=np.uint32))
            mask = pack(name, encode_tiff(pixels))
        yield Piece(objects=objects, findings=losses, file=mask, last=not self.preview)
        if self.preview:
            shown = np.array([0, *(1 + (each.id - 1) % len(COLOURS) for each in said)], np.uint8)
            name = mask_file(f"{FOLDER}/preview", image)
            yield Piece(file=(yield from packed_mask(name, painting, shown, PREVIEW)), last=True)


def write(job: FormatJob) -> Iterator[Step]:
    """Write a mask and its preview for every image, or a mask for every object, then `objects.csv`."""
    layout = Layout(int(job.options["bits"]), job.options["layout"] == OBJECTS)
    if layout.single:
        if job.options["images"]:
            yield from copy_images(job, FOLDER)
        yield from job.files(ObjectMasks(FOLDER))
    else:
        yield from job.files(InstanceMask(bool(job.options["preview"]), layout.bits))
    with job.open(f"{FOLDER}/objects.csv") as file:
        file.write(line_of(list(COLUMNS)))
        for image in job.images():
            file.write(rows_of(image, job.instances(image), job.facts.categories, layout))
            yield job.step(image, 0, last=False)


FORMAT = Format(
    name=NAME,
    title="Instance masks",
    usage=(
        "`annotations/instance_masks/masks/`: a 16-bit grey PNG (by the option `bits=32` a TIFF) for every image, with its stem (with splits in folders): 0 is "
        "background, 1 to n are its objects: `skimage.io.imread(...)`. `objects.csv` says which object and class a value is. Most viewers "
        f"show such masks as nearly black; `preview/` shows them in colour. Where objects overlap: {ORDER}. Crowds are left out. With "
        "`layout=objects` there are folders `objects/STEM/` as in the 2018 Data Science Bowl: `images/` with the image, and `masks/` with a PNG of 0 and 255 "
        "for every object, called by its id; nothing is hidden there."
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
        "layout": Option(
            LABELS,
            f"{LABELS}: a mask an image; {OBJECTS}: a binary PNG an object, in a folder an image, as in the 2018 Data Science Bowl",
            choices=(LABELS, OBJECTS),
        ),
        "images": Option(
            True,
            f"in the layout {OBJECTS}, put the images beside their masks, whether or not they are in `images/` too",
        ),
        "preview": Option(True, "masks in colour beside those in numbers"),
        "bits": Option(16, "16: PNG, up to 65535 objects an image; 32: TIFF, for images with more", choices=(16, 32)),
    },
    recount=recount,
    lossiness=Lossiness(
        single=(Loss.DROPPED, Loss.HIDDEN),
        alike={Loss.ROUNDED: "outlines are rounded to whole pixels"},
        unsaid=(Aspect.ATTRIBUTES, Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
