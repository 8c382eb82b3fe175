"""Semantic index masks: a grey PNG an image whose values are classes; 0 is background, the greatest value (255 or 65535) void.

8 bits up to 254 classes, 16 bits beyond. Crowds are void. Where classes overlap, the z-order of `_painting` decides, and the
pixels that are lost are reported by image.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np

from labelferry_export.errors import ExportError
from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, loss
from labelferry_export.formats._painting import (
    ORDER,
    Painting,
    empty_losses,
    in_painting_order,
    mask_file,
    packed_mask,
    painted,
)
from labelferry_export.formats._recounts.masks import MaskRecount, within
from labelferry_export.formats._voc_colours import voc_colours
from labelferry_export.lanes.task import Piece
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Category, Image, Instance
from labelferry_export.plan import Step
from labelferry_protocol.errors import Code

NAME = "semantic_masks"
FOLDER = f"annotations/{NAME}"
VOID_8, VOID_16 = 0xFF, 0xFFFF


def void_of(classes: int) -> int:
    """Return the value of void, which also says the depth; raise `ExportError` for more classes than 16 bits can number."""
    if classes < VOID_8:
        return VOID_8
    if classes < VOID_16:
        return VOID_16
    raise ExportError(
        Code.SOURCE,
        f"the project has {classes} classes, an index mask holds at most {VOID_16 - 1}: export without the format {NAME}",
    )


def classes_json(categories: Sequence[Category], palette: bool) -> bytes:
    """Return `classes.json`: what the values of the masks mean."""
    void = void_of(len(categories))
    colours = voc_colours().tolist() if palette and void == VOID_8 else None

    def value(number: int, name: str, **more: Any) -> dict[str, Any]:
        return {"value": number, "name": name, **more, **({"colour": colours[number]} if colours else {})}

    document = {
        "bits": 8 if void == VOID_8 else 16,
        "background": value(0, "background"),
        "void": value(void, "void"),
        "overlaps": ORDER,
        "classes": [value(each.id, each.name, supercategory=each.supercategory) for each in categories],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def losses_of(image: Image, instances: Sequence[Instance], painting: Painting) -> list[Warn]:
    """Return what the mask of these painted objects cannot say."""
    losses = [
        loss(Loss.MARKED, NAME, f"object {each.id} is a crowd: its pixels are void", image, each.id)
        for each in instances
        if each.crowd
    ]
    losses += empty_losses(image, instances, painting, NAME)
    hidden = painting.hidden([0, *(0 if each.crowd else each.category_id for each in instances)])
    if hidden:
        message = f"{sum(hidden.values())} px of classes lie under another class: that of the object with the greatest id shows"
        losses.append(loss(Loss.HIDDEN, NAME, message, image))
    return losses


class SemanticMask(msgspec.Struct, frozen=True):
    """The task of making an image's mask; `void` is its value of crowds, `palette` whether it has colours."""

    pixels: ClassVar[bool] = False

    void: int
    palette: bool

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the mask."""
        order = in_painting_order(instances)
        painting, objects = yield from painted(image, order)
        values = [0, *(self.void if each.crowd else each.category_id for each in order)]
        table = np.array(values, np.uint8) if self.void == VOID_8 else np.array(values, np.uint16)
        palette = voc_colours() if self.palette else None
        file = yield from packed_mask(mask_file(f"{FOLDER}/masks", image), painting, table, palette)
        yield Piece(objects=objects, findings=tuple(losses_of(image, order, painting)), file=file, last=True)


def write(job: FormatJob) -> Iterator[Step]:
    """Write `classes.json` and a mask for every image."""
    void = void_of(len(job.facts.categories))
    with job.open(f"{FOLDER}/classes.json") as file:
        file.write(classes_json(job.facts.categories, bool(job.options["palette"])))
    yield from job.files(SemanticMask(void, bool(job.options["palette"]) and void == VOID_8))


FORMAT = Format(
    name=NAME,
    title="Semantic masks",
    usage=(
        "`annotations/semantic_masks/masks/`: a grey PNG for every image, with its stem (with splits in folders), whose values are the "
        "class ids of `classes.json`: `numpy.asarray(PIL.Image.open(...))`. 0 is background; 255 (65535 in masks of 16 bits, where there are "
        f"more than 254 classes) is void: to be ignored. Where objects overlap: {ORDER}. Most viewers show such masks as "
        "nearly black; the option `palette` gives 8-bit masks colours."
    ),
    properties=Properties(
        holes="exact, in pixels",
        parts="exact, in pixels",
        crowds="void, reported",
        attributes="no",
        splits="folders",
        coordinates="pixels",
        depth="masks of 16 bits beyond 254 classes",
    ),
    cost=Cost(image=1.1, object=0.022),
    write=write,
    options={
        "palette": Option(
            False, "8-bit masks have the colours of Pascal VOC; some readers then see colours, not classes"
        )
    },
    recount=lambda claim: MaskRecount(
        f"{FOLDER}/masks/", ("L", "P", "I;16"), within(claim.classes, void_of(claim.classes))
    ),
    lossiness=Lossiness(
        single=(Loss.MARKED, Loss.DROPPED, Loss.HIDDEN),
        alike={
            Loss.ROUNDED: "outlines are rounded to whole pixels",
            Loss.JOINED: "objects of one class that touch are one region",
        },
        unsaid=(Aspect.ATTRIBUTES, Aspect.IMAGE_ATTRIBUTES),
    ),
)
