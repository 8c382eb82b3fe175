"""Pascal VOC: an xml of boxes an image, lists of images, and masks of classes and objects with the VOC palette.

After the VOC devkit: boxes are whole pixels, both ends included, the first pixel is 1 (`base` 0 counts from 0, as many tools do). In
masks 0 is background and 255 void (crowds, and, where it is wanted, the border of objects); value n of an object mask is the n-th object of the xml. The images are not stored again: they are
in the bundle's `images/`, where the devkit has `JPEGImages/`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import ClassVar, Self

import msgspec
import numpy as np

from labelferry_export.bundle.packed import pack
from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, Written, loss, loss_of_all
from labelferry_export.formats._painting import (
    ORDER,
    Painting,
    empty_losses,
    in_painting_order,
    object_losses,
    packed_mask,
    painted,
)
from labelferry_export.formats._recounts.voc import VocRecount
from labelferry_export.formats._voc_border import WIDTHS, border_losses, void_border
from labelferry_export.formats._voc_colours import voc_colours
from labelferry_export.formats._voc_lists import MOST_VALUES, NAME, VOID, class_losses, image_sets, labelmap
from labelferry_export.formats._xml import element_text, is_xml
from labelferry_export.geometry.rectangle import upright_boxes
from labelferry_export.geometry.ring import Flags, Shapes
from labelferry_export.instances import columns_of
from labelferry_export.lanes.task import Piece
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Attribute, Image, Instance, ProjectFacts
from labelferry_export.plan import Step

FOLDER = f"annotations/{NAME}"
CHANNELS = {"1": 1, "L": 1, "F": 1, "I": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "LA": 2, "RGBA": 4, "CMYK": 4}
"""By Pillow's word for the pixels; all others are read as three."""
OWN_ATTRIBUTES = ("pose", "truncated", "difficult", "occluded")
"""Attributes of an object that VOC has a place of its own for."""
TRUE = ("1", "true", "yes")
IMAGES_PER_STEP = 256
WITH_MASKS, BOXES_ALONE = Cost(image=1.8, object=0.027), Cost(image=0.3, object=0.005)


class VocFiles(msgspec.Struct, frozen=True):
    """The task of making an image's xml and masks. `names` of the classes, in order; `base` is the number of the first pixel, `border` the width of a void border in masks, 0 for none."""

    pixels: ClassVar[bool] = False

    project: str
    names: tuple[str, ...]
    base: int
    masks: bool
    border: int = 0

    @classmethod
    def of(cls, facts: ProjectFacts, base: int, masks: bool, border: int = 0) -> Self:
        """Return the task for a project."""
        return cls(facts.name, tuple(each.name for each in facts.categories), base, masks, border)

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the xml, and if wanted the class mask and the object mask; an image with too many objects has none of objects.

        `instances` come by ascending id, as a snapshot has them.
        """
        written = annotation_of(image, instances, self)
        stem = PurePosixPath(image.bundle_name).stem
        xml = pack(f"{FOLDER}/Annotations/{stem}.xml", written.data)
        if not self.masks:
            yield Piece(objects=len(instances), findings=written.losses, file=xml, last=True)
            return
        order = in_painting_order(instances)
        painting, objects = yield from painted(image, order)
        void = (yield from void_border(painting, self.border)) if self.border else None
        losses = (*written.losses, *mask_losses(image, order, painting, void))
        yield Piece(objects=objects, findings=losses, file=xml)
        whole = len(instances) <= MOST_VALUES
        classes = np.array([0, *(VOID if each.crowd else each.category_id for each in order)], np.uint8)
        name = f"{FOLDER}/SegmentationClass/{stem}.png"
        yield Piece(file=(yield from packed_mask(name, painting, classes, voc_colours(), void)), last=not whole)
        if whole:
            place = {each.id: number for number, each in enumerate(instances, start=1)}
            values = np.array([0, *(VOID if each.crowd else place[each.id] for each in order)], np.uint8)
            name = f"{FOLDER}/SegmentationObject/{stem}.png"
            yield Piece(file=(yield from packed_mask(name, painting, values, voc_colours(), void)), last=True)


def annotation_of(image: Image, instances: Sequence[Instance], task: VocFiles) -> Written:
    """Return an image's xml, and what it cannot say."""
    folder = f"images/{image.split}" if image.split else "images"
    lines = [
        f"<annotation>\n\t<folder>{element_text(folder)}</folder>\n\t<filename>{element_text(image.bundle_name)}</filename>\n",
        f"\t<source>\n\t\t<database>{element_text(task.project)}</database>\n\t\t<annotation>labelferry</annotation>\n\t</source>\n",
        f"\t<size>\n\t\t<width>{image.width}</width>\n\t\t<height>{image.height}</height>\n",
        f"\t\t<depth>{CHANNELS.get(image.mode, 3)}</depth>\n\t</size>\n\t<segmented>{int(task.masks)}</segmented>\n",
    ]
    losses = []
    names = [element_text(name) for name in task.names]
    columns = columns_of(instances)
    numbers, categories, crowds = columns.ids.tolist(), columns.categories.tolist(), columns.crowds.tolist()
    boxes = _boxes(image, columns.rings, task.base)
    for number, category, crowd, given, box in zip(
        numbers, categories, crowds, columns.attribute_maps(), boxes, strict=True
    ):
        lines.append(_object(number, names[category - 1], box, crowd, given))
        if crowd:
            message = f"object {number} is a crowd: `difficult` in the xml, void in masks"
            losses.append(loss(Loss.MARKED, NAME, message, image, number))
        if given and not all(is_xml(f"{key}{value}") for key, value in given.items()):
            message = f"object {number}: characters of its attributes that XML cannot say were replaced"
            losses.append(loss(Loss.RENAMED, NAME, message, image, number))
    return Written("".join([*lines, "</annotation>\n"]).encode(errors="replace"), tuple(losses))


def _object(number: int, name: str, box: Sequence[int], crowd: bool, given: Mapping[str, Attribute]) -> str:
    """Return the element of an object; `name` is that of its class as XML says it."""
    left, top, right, bottom = box
    difficult = 1 if crowd else _flag(given.get("difficult"))
    return (
        f"\t<object>\n\t\t<name>{name}</name>\n"
        f"\t\t<pose>{_pose(given.get('pose'))}</pose>\n\t\t<truncated>{_flag(given.get('truncated'))}</truncated>\n"
        f"\t\t<difficult>{difficult}</difficult>\n\t\t<occluded>{_flag(given.get('occluded'))}</occluded>\n\t\t<id>{number}</id>\n"
        f"\t\t<bndbox>\n\t\t\t<xmin>{left}</xmin>\n\t\t\t<ymin>{top}</ymin>\n"
        f"\t\t\t<xmax>{right}</xmax>\n\t\t\t<ymax>{bottom}</ymax>\n\t\t</bndbox>\n"
        f"{_attributes(given) if given else ''}\t</object>\n"
    )


def _boxes(image: Image, outlines: Shapes, base: int) -> list[list[int]]:
    """Return the first and last column and row that each outline touches: left, top, right, bottom."""
    edges = upright_boxes(outlines)
    first = np.minimum(np.floor(edges[:, :2]), (image.width - 1, image.height - 1))
    last = np.maximum(np.ceil(edges[:, 2:]) - 1, first)
    boxes: list[list[int]] = (np.concatenate([first, last], axis=1).astype(np.int64) + base).tolist()
    return boxes


def _pose(value: Attribute | None) -> str:
    return element_text(value) if isinstance(value, str) else "Unspecified"


def _flag(value: Attribute | None) -> int:
    return 0 if value is None else int(value.lower() in TRUE if isinstance(value, str) else bool(value))


def _attributes(given: Mapping[str, Attribute]) -> str:
    """Return what VOC has no place for, in the form of CVAT and Datumaro."""
    rows = [
        f"\t\t\t<attribute>\n\t\t\t\t<name>{element_text(key)}</name>\n\t\t\t\t<value>{_value(value)}</value>\n\t\t\t</attribute>\n"
        for key, value in given.items()
        if key not in OWN_ATTRIBUTES
    ]
    return f"\t\t<attributes>\n{''.join(rows)}\t\t</attributes>\n" if rows else ""


def _value(value: Attribute) -> str:
    return element_text(str(value).lower() if isinstance(value, bool) else str(value))


def write(job: FormatJob) -> Iterator[Step]:
    """Write the lists, labelmap.txt, and for every image its xml and, if wanted, its masks."""
    categories = job.facts.categories
    wanted = bool(job.options["masks"])
    masks = wanted and len(categories) <= MOST_VALUES
    names = labelmap(categories)
    for warn in (*class_losses(categories, wanted), *names.losses):
        job.report(warn)
    with job.open(f"{FOLDER}/labelmap.txt") as file:
        file.write(names.data)
    yield from _write_sets(job, ("Main", "Segmentation") if masks else ("Main",))
    border = int(job.options["border"]) if masks else 0
    if border and job.facts.instances:
        message = f"a border of {border} pixels along the outline of every object is void in masks"
        job.report(loss_of_all(Loss.MARKED, NAME, message))
    yield from job.files(VocFiles.of(job.facts, int(job.options["base"]), masks, border))


def _write_sets(job: FormatJob, kinds: Sequence[str]) -> Iterator[Step]:
    for kind in kinds:
        for name, splits in image_sets(job.splits).items():
            with job.open(f"{FOLDER}/ImageSets/{kind}/{name}.txt") as file:
                for number, image in enumerate(job.images(), start=1):
                    if not splits or image.split in splits:
                        file.write(f"{PurePosixPath(image.bundle_name).stem}\n".encode())
                    if number % IMAGES_PER_STEP == 0:
                        yield job.step(image, 0, last=False)


def mask_losses(image: Image, order: Sequence[Instance], painting: Painting, void: Flags | None = None) -> list[Warn]:
    """Return what an image's masks cannot say; `order` is what was painted, `void` their border if they have one."""
    losses = [
        *empty_losses(image, order, painting, NAME, Loss.REDUCED),
        *object_losses(image, order, painting, NAME, Loss.REDUCED),
        *(() if void is None else border_losses(image, order, painting, void)),
    ]
    if len(order) > MOST_VALUES:
        message = (
            f"{len(order)} objects are more than the {MOST_VALUES} of a VOC mask: there is no mask of objects of this image; "
            "instance_masks can hold them"
        )
        losses.append(loss(Loss.REDUCED, NAME, message, image))
    return losses


FORMAT = Format(
    name=NAME,
    title="Pascal VOC",
    usage=(
        "`annotations/voc/` has `Annotations/`, `ImageSets/`, `SegmentationClass/`, `SegmentationObject/` and `labelmap.txt`. The images "
        "are not stored twice: they are in `images/`, with splits in folders; tools that look for `JPEGImages/` need a copy, "
        "or without splits a link: `ln -s ../../images annotations/voc/JPEGImages`. Boxes are whole pixels, both ends included, the first "
        "pixel is 1 (devkit rule) unless `base` is 0. Masks are palette PNGs: 0 background, 255 void (crowds; with the option `border=5` outlines too), n in "
        f"`SegmentationObject` the n-th object of the xml. Where objects overlap: {ORDER}. `<id>` is the object's id everywhere. In "
        "`ImageSets/` a line is a stem, which may hold blanks."
    ),
    properties=Properties(
        holes="exact in masks",
        parts="exact in masks",
        crowds="difficult, void in masks, reported",
        attributes="yes",
        splits="lists",
        coordinates="whole pixels from 1 (option base), outwards",
        depth="images as they are; masks of 8 bits",
    ),
    cost=WITH_MASKS,
    cost_with=lambda options: WITH_MASKS if options["masks"] else BOXES_ALONE,
    write=write,
    options={
        "base": Option(1, "the number of the first pixel in boxes: 1 is the devkit's rule", choices=(0, 1)),
        "masks": Option(True, "masks of classes and objects beside the boxes"),
        "border": Option(0, "the width in px of a void border along outlines in masks: 5 is VOC2012's", choices=WIDTHS),
    },
    recount=lambda claim: VocRecount(f"{FOLDER}/", claim),
    lossiness=Lossiness(
        single=(Loss.MARKED, Loss.RENAMED, Loss.HIDDEN, Loss.REDUCED),
        alike={Loss.ROUNDED: "boxes are whole pixels, and so are masks"},
        unsaid=(Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
