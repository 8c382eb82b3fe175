"""CVAT for images 1.1: one xml, streamed. Polygons as they are; holes, and by default several parts, as masks.

After CVAT's own documentation of the form and Datumaro's reader of it: labels and their attributes are declared in `meta`, an
image's `id` is its place in the order of names, a mask's run lengths go row by row inside of its box, zeros first, and
add up to the box's width times its height (COCO's go down the columns of the whole image).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from labelferry_export.findings import Loss, Warn
from labelferry_export.format import (
    Cost,
    Format,
    FormatJob,
    Option,
    Properties,
    Written,
    batches,
    loss,
    loss_of_all,
    no_pixel,
)
from labelferry_export.formats._numbers import flat
from labelferry_export.formats._recounts.xml import CvatRecount
from labelferry_export.formats._regions import counted, is_made_of_pixels
from labelferry_export.formats._xml import element_text, is_xml
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.shape import Ring
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Attribute, Category, Image, Instance, ProjectFacts
from labelferry_export.overlays.palette import COLOURS
from labelferry_export.plan import Step

NUMBER_ATTRIBUTE = "object_id"
"""Of a label: the object's id, the same as in every other format."""
CROWD_ATTRIBUTE = "is_crowd"
"""As Datumaro calls it."""
OWN_ATTRIBUTES = frozenset({"occluded", "z_order", "source"})
"""Attributes of an object that CVAT has a place of its own for."""
IMAGES_PER_STEP = 256
"""After so many images looked at for their attributes the caller may stop."""

_IN_QUOTES = str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})

Declared = dict[str, bool]
"""Attributes of objects by name, in the order of names: whether all their values are truth values."""


def escaped(text: str) -> str:
    """Return `text` for an attribute or an element; a character that XML has no way to say becomes U+FFFD."""
    return element_text(text).translate(_IN_QUOTES)


def shapes_of(image: Image, instances: Sequence[Instance], categories: Sequence[Category], parts: str) -> Written:
    """Return an image's shapes, a line each; `parts` is `mask` or `group`: how objects of several parts are written."""
    lines: list[str] = []
    losses: list[Warn] = []
    for each in instances:
        shape = each.shape
        if shape.has_holes or (len(shape.parts) > 1 and parts == "mask"):
            line, warn = _mask(image, each, categories)
            lines += [line] if line else []
            losses += [warn] if warn else []
        else:
            group = f' group_id="{each.id}"' if len(shape.parts) > 1 else ""
            lines += [
                _element("polygon", each, categories, f'points="{_points(part.outer)}"{group}') for part in shape.parts
            ]
        if any(not is_xml(value) for value in each.attributes.values() if isinstance(value, str)):
            message = f"object {each.id}: characters of its attributes that XML cannot hold are replaced"
            losses.append(loss(Loss.RENAMED, "cvat", message, image, each.id))
    return Written("".join(lines).encode(), tuple(losses))


def _points(ring: Ring) -> str:
    numbers = iter(map(str, flat(ring)))
    return ";".join(f"{x},{y}" for x, y in zip(numbers, numbers, strict=True))


def _mask(image: Image, instance: Instance, categories: Sequence[Category]) -> tuple[str, Warn | None]:
    """Return the element of an object's pixels, and what that loses; empty for an object that has no pixel."""
    runs = runs_of(instance.shape, image.width, image.height)
    box = runs.bbox
    if box is None:
        message = f"object {instance.id} ({counted(instance.shape)}) covers no pixel centre: left out, its mask would be empty"
        return "", no_pixel(Loss.DROPPED, "cvat", message, image, instance.id)
    warn = None
    if not is_made_of_pixels(instance.shape):
        message = f"object {instance.id}: {counted(instance.shape)} written as a mask, rounded to whole pixels"
        warn = loss(Loss.ROUNDED, "cvat", message, image, instance.id)
    left, top, width, height = box
    inside = runs.mask(box).reshape(-1)
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    counts = np.diff(edges, prepend=0, append=len(inside))
    rle = ", ".join(map(str, counts.tolist()))
    place = f'rle="{rle}" left="{left}" top="{top}" width="{width}" height="{height}"'
    return _element("mask", instance, categories, place), warn


def _element(tag: str, instance: Instance, categories: Sequence[Category], place: str) -> str:
    given = instance.attributes
    source = given.get("source")
    z_order = given.get("z_order")
    head = (
        f'    <{tag} label="{escaped(categories[instance.category_id - 1].name)}" '
        f'source="{escaped(source) if isinstance(source, str) else "manual"}" occluded="{int(given.get("occluded") is True)}" '
        f'{place} z_order="{z_order if type(z_order) is int else 0}">\n'
    )
    values = {NUMBER_ATTRIBUTE: instance.id, **({CROWD_ATTRIBUTE: True} if instance.crowd else {}), **_own(given)}
    rows = [f'      <attribute name="{escaped(name)}">{_value(value)}</attribute>\n' for name, value in values.items()]
    return f"{head}{''.join(rows)}    </{tag}>\n"


def _own(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Return the attributes that are written as such."""
    return {name: value for name, value in attributes.items() if name not in OWN_ATTRIBUTES}


def _value(value: Attribute) -> str:
    return escaped(str(value).lower() if isinstance(value, bool) else str(value))


def head_of(facts: ProjectFacts, images: int, declared: Mapping[int, Declared]) -> str:
    """Return all that stands before the images; `declared` has the attributes of each class by its id."""
    labels = "".join(_label(each, declared.get(each.id, {})) for each in facts.categories)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
        f"      <name>{escaped(facts.name)}</name>\n      <size>{images}</size>\n      <mode>annotation</mode>\n"
        f"      <labels>\n{labels}      </labels>\n    </task>\n  </meta>\n"
    )


def _label(category: Category, declared: Declared) -> str:
    red, green, blue = COLOURS[(category.id - 1) % len(COLOURS)]
    specs = {NUMBER_ATTRIBUTE: ("text", "", ""), CROWD_ATTRIBUTE: ("checkbox", "false", "false")}
    specs |= {name: ("checkbox", "false", "false") if flag else ("text", "", "") for name, flag in declared.items()}
    attributes = "".join(
        f"<attribute><name>{escaped(name)}</name><mutable>False</mutable><input_type>{kind}</input_type>"
        f"<default_value>{default}</default_value><values>{values}</values></attribute>"
        for name, (kind, default, values) in specs.items()
    )
    return (
        f"        <label><name>{escaped(category.name)}</name><color>#{red:02x}{green:02x}{blue:02x}</color><type>any</type>"
        f"<attributes>{attributes}</attributes></label>\n"
    )


def write(job: FormatJob) -> Iterator[Step]:
    """Write `annotations.xml`, or with splits `<split>.xml` for each."""
    for category in job.facts.categories:
        if not is_xml(category.name):
            message = f"characters of the class name {category.name!r} that XML cannot hold are replaced"
            job.report(loss_of_all(Loss.RENAMED, "cvat", message))
    for split in job.splits or (None,):
        yield from _write_file(job, split)


def _write_file(job: FormatJob, split: str | None) -> Iterator[Step]:
    declared: dict[int, Declared] = {}
    names: list[str] = []
    for image in job.images(split):
        names.append(image.bundle_file)
        for each in job.instances(image):
            _declare(declared.setdefault(each.category_id, {}), each.attributes)
        if len(names) % IMAGES_PER_STEP == 0:
            yield Step(0.0, f"Writing {FORMAT.name}", image.bundle_name, 0)
    places = np.argsort(np.array(sorted(range(len(names)), key=names.__getitem__), np.int64))
    del names
    declared = {number: dict(sorted(found.items())) for number, found in declared.items()}
    with job.open(f"annotations/cvat/{split or 'annotations'}.xml") as file:
        file.write(head_of(job.facts, len(places), declared).encode())
        for place, image in zip(places.tolist(), job.images(split), strict=True):
            subset = f' subset="{escaped(split)}"' if split else ""
            file.write(
                f'  <image id="{place}" name="{escaped(image.bundle_file)}"{subset} width="{image.width}" height="{image.height}">\n'.encode()
            )
            for batch, last in batches(job.instances(image)):
                written = shapes_of(image, batch, job.facts.categories, str(job.options["parts"]))
                for warn in written.losses:
                    job.report(warn)
                file.write(written.data)
                yield job.step(image, len(batch), last)
            file.write(b"  </image>\n")
        file.write(b"</annotations>\n")


def _declare(declared: Declared, attributes: Mapping[str, Attribute]) -> None:
    for name, value in _own(attributes).items():
        declared[name] = isinstance(value, bool) and declared.get(name, True)


FORMAT = Format(
    name="cvat",
    title="CVAT for images 1.1",
    usage=(
        "In CVAT: make a task of the files in `images/`, with the labels that `meta` declares, then upload "
        "`annotations/cvat/annotations.xml` as *CVAT 1.1*; with splits `<split>.xml`, and images named `<split>/...`. Objects with "
        "holes or of several parts are masks (by the option `parts=group`, objects of several parts are polygons of one group). The "
        "attribute `object_id` is the object's id in every format; `is_crowd` marks crowds."
    ),
    properties=Properties(
        holes="mask in whole pixels, reported",
        parts="mask, reported; or polygons of a group",
        crowds="attribute",
        attributes="yes",
        splits="a file each",
        coordinates="pixel edges, full precision",
    ),
    cost=Cost(image=0.3, object=0.05),
    write=write,
    options={
        "parts": Option(
            "mask",
            "how an object of several parts is written: its pixels, or a group of polygons",
            choices=("mask", "group"),
        ),
    },
    recount=lambda claim: CvatRecount("annotations/cvat/", claim.classes),
    lossiness=Lossiness(
        single=(Loss.ROUNDED, Loss.DROPPED, Loss.RENAMED),
        unsaid=(Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
