"""LabelMe: a json an image, beside nothing else. Polygons as they are; an object with holes as a mask, which LabelMe knows too.

After `labelme/_label_file.py` of LabelMe 6: `imageData` must be there (null: the file named by `imagePath` is read), `group_id`
is a whole number or null, `flags` hold truth values only, and keys that LabelMe does not know are kept as they are. The two points of a
`mask` shape are its first and its last pixel.
"""

import base64
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import msgspec
import numpy as np

from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, Written, batches, loss, no_pixel
from labelferry_export.formats._points import Pair, file_beside, pairs
from labelferry_export.formats._recounts.pages import LabelmeRecount
from labelferry_export.formats._regions import counted, is_made_of_pixels
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.shape import Part
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Attribute, Image, Instance
from labelferry_export.overlays.png import encode_png
from labelferry_export.plan import Step

VERSION = "5.5.0"
"""The form's version as LabelMe counts it: the first to read masks, descriptions and a null `imageData` as they are written here."""
FOLDER = "annotations/labelme"


class LabelmeShape(msgspec.Struct, frozen=True, kw_only=True):
    """An element of `shapes`. `id` and `attributes` are ours: LabelMe keeps them, and its dialog shows `description`."""

    label: str
    points: list[Pair]
    group_id: int | None
    description: str
    shape_type: str
    flags: dict[str, bool]
    mask: str | None = None
    id: int
    attributes: dict[str, Attribute]


_encode = msgspec.json.Encoder().encode


def shapes_of(image: Image, instances: Sequence[Instance], names: Sequence[str], holes: str) -> Written:
    """Return an image's shapes, joined by commas; `names` are those of the classes 1..K, `holes` is `mask` or `rings`."""
    rows: list[LabelmeShape] = []
    losses: list[Warn] = []
    for each in instances:
        label = names[each.category_id - 1]
        if each.shape.has_holes and holes == "mask":
            row, warn = _mask(image, each, label)
            losses += [warn] if warn else []
            rows += [row] if row else []
            continue
        if each.shape.has_holes:
            message = f"object {each.id}: {counted(each.shape)} written as rings of one group; LabelMe itself sees a hole as filled"
            losses.append(loss(Loss.FILLED, "labelme", message, image, each.id))
        rows += _polygons(each, label)
    return Written(b",\n".join(map(_encode, rows)), tuple(losses))


def _polygons(instance: Instance, label: str) -> Iterator[LabelmeShape]:
    """Yield a polygon a ring; those of one object share its id as their group."""
    flags = _flags(instance)
    rings = [(ring, hole) for part in instance.shape.parts for ring, hole in _rings(part)]
    for ring, hole in rings:
        yield LabelmeShape(
            label=label,
            points=ring,
            group_id=instance.id if len(rings) > 1 else None,
            description=f"id {instance.id}",
            shape_type="polygon",
            flags={**flags, "hole": True} if hole else flags,
            id=instance.id,
            attributes=instance.attributes,
        )


def _rings(part: Part) -> Iterator[tuple[list[Pair], bool]]:
    yield pairs(part.outer), False
    for hole in part.holes:
        yield pairs(hole), True


def _mask(image: Image, instance: Instance, label: str) -> tuple[LabelmeShape | None, Warn | None]:
    """Return an object as its pixels, and what that loses; None for an object that has no pixel."""
    runs = runs_of(instance.shape, image.width, image.height)
    box = runs.bbox
    if box is None:
        message = f"object {instance.id} has holes and covers no pixel centre: left out, as its mask would be empty"
        return None, no_pixel(Loss.DROPPED, "labelme", message, image, instance.id)
    warn = None
    if not is_made_of_pixels(instance.shape):
        message = f"object {instance.id}: {counted(instance.shape)} written as a mask, rounded to whole pixels"
        warn = loss(Loss.ROUNDED, "labelme", message, image, instance.id)
    left, top, width, height = box
    png = b"".join(encode_png(runs.mask(box).astype(np.uint8) * np.uint8(255)))
    shape = LabelmeShape(
        label=label,
        points=[(left, top), (left + width - 1, top + height - 1)],
        group_id=None,
        description=f"id {instance.id}",
        shape_type="mask",
        flags=_flags(instance),
        mask=base64.b64encode(png).decode("ascii"),
        id=instance.id,
        attributes=instance.attributes,
    )
    return shape, warn


def _flags(instance: Instance) -> dict[str, bool]:
    flags = {name: value for name, value in instance.attributes.items() if isinstance(value, bool)}
    return {**flags, "crowd": True} if instance.crowd else flags


def image_path(image: Image, has_images: bool) -> str:
    """Return `imagePath`: the way from the json to the image, or the image's name alone when the bundle does not hold it."""
    if not has_images:
        return image.bundle_name
    up = "../" * len(PurePosixPath(FOLDER, image.bundle_file).parent.parts)
    return f"{up}images/{image.bundle_file}"


def write(job: FormatJob) -> Iterator[Step]:
    """Write a json for every image."""
    names = [each.name for each in job.facts.categories]
    for image in job.images():
        with job.open(file_beside(image, FOLDER, ".json")) as file:
            file.write(b'{"version":%b,\n"flags":{},\n"shapes":[' % _encode(VERSION))
            comma = b"\n"
            for batch, last in batches(job.instances(image)):
                written = shapes_of(image, batch, names, str(job.options["holes"]))
                for warn in written.losses:
                    job.report(warn)
                if written.data:
                    file.write(comma + written.data)
                    comma = b",\n"
                yield job.step(image, len(batch), last)
            tail = (_encode(image_path(image, job.has_images)), image.height, image.width)
            file.write(b'],\n"imagePath":%b,\n"imageData":null,\n"imageHeight":%d,\n"imageWidth":%d}\n' % tail)


FORMAT = Format(
    name="labelme",
    title="LabelMe",
    usage=(
        "`labelme images --output annotations/labelme` in the unzipped folder, with splits `images/<split>` and "
        "`annotations/labelme/<split>`. A json an image, named like it. Parts of one object share its id as their `group_id`; "
        "objects with holes are `mask` shapes (or, by the option `holes=rings`, polygons of one group, the holes flagged `hole`). "
        "`id` and `attributes` of a shape are the object's own."
    ),
    properties=Properties(
        holes="mask in whole pixels, reported; or rings of a group",
        parts="exact (polygons of a group)",
        crowds="flag",
        attributes="yes",
        splits="folders",
        coordinates="pixel edges, full precision",
        depth="images as they are; LabelMe shows 8 bits",
    ),
    cost=Cost(image=0.3, object=0.035),
    write=write,
    options={
        "holes": Option(
            "mask", "how an object with holes is written: its pixels, or its rings", choices=("mask", "rings")
        ),
    },
    recount=lambda _: LabelmeRecount(f"{FOLDER}/"),
    lossiness=Lossiness(
        single=(Loss.ROUNDED, Loss.FILLED, Loss.DROPPED),
        unsaid=(Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
