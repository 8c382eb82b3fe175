"""labelferry's own form: lossless json that can be exported again. Its structs and rules are in `sources/labelferry_form.py`."""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import PurePosixPath
from typing import ClassVar

import msgspec
import numpy as np

from labelferry_export.format import Cost, Format, FormatJob, Properties, Written, pieces_of
from labelferry_export.formats._joined import write_joined
from labelferry_export.formats._numbers import joined_lines
from labelferry_export.formats._recounts.lines import JsonRecount
from labelferry_export.geometry.ring import Rings
from labelferry_export.instances import columns_of
from labelferry_export.lanes.task import Piece
from labelferry_export.model import Image, Instance, ProjectFacts
from labelferry_export.names import split_suffix
from labelferry_export.plan import Step
from labelferry_export.sources.labelferry_form import (
    FORM_VERSION,
    FormCategory,
    FormImage,
    FormInstance,
    FormPart,
)

IMAGES_PER_STEP = 256
"""After so many image records the caller may stop."""


class JsonRows(msgspec.Struct, frozen=True):
    """The task of writing an image's objects."""

    pixels: ClassVar[bool] = False

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the objects, joined by commas."""
        return pieces_of(image, instances, instances_of)


_encode = msgspec.json.Encoder().encode


def instances_of(image: Image, instances: Sequence[Instance]) -> Written:
    """Return an image's objects, joined by commas; nothing is lost."""
    columns = columns_of(instances)
    rows = [
        FormInstance(
            id=number,
            image_id=image.id,
            category_id=category,
            parts=parts,
            crowd=crowd,
            attributes=attributes,
        )
        for number, category, parts, crowd, attributes in zip(
            columns.ids.tolist(),
            columns.categories.tolist(),
            _parts(columns.rings),
            columns.crowds.tolist(),
            columns.attribute_maps(),
            strict=True,
        )
    ]
    return Written(joined_lines(rows))


def _parts(rings: Rings) -> Iterator[list[FormPart]]:
    """Yield the parts of each shape."""
    numbers = rings.points.reshape(-1).tolist()
    cuts = [0, *(2 * np.cumsum(rings.sizes)).tolist()]
    flat = iter([numbers[start:end] for start, end in pairwise(cuts)])
    parts = iter(
        [FormPart(outer=next(flat), holes=list(islice(flat, count - 1))) for count in rings.rings_of_part.tolist()]
    )
    return (list(islice(parts, count)) for count in rings.parts_of_shape.tolist())


def _image(image: Image, has_images: bool) -> FormImage:
    return FormImage(
        id=image.id,
        name=_name(image),
        width=image.width,
        height=image.height,
        file=image.bundle_file if has_images else "",
        subset=image.subset,
        split=image.split,
        attributes=image.attributes,
    )


def _name(image: Image) -> str:
    """Return the image's name in the project; of one that was made anew with the suffix of what it is now."""
    if not image.written:
        return image.name
    return f"{split_suffix(image.name)[0]}{PurePosixPath(image.bundle_name).suffix}"


def _head(facts: ProjectFacts) -> bytes:
    categories = [
        FormCategory(id=each.id, name=each.name, supercategory=each.supercategory) for each in facts.categories
    ]
    return b'{"labelferry":%d,\n"name":%b,\n"info":%b,\n"categories":%b,\n"images":[' % (
        FORM_VERSION,
        _encode(facts.name),
        _encode(facts.info),
        _encode(categories),
    )


def write(job: FormatJob) -> Iterator[Step]:
    """Write `annotations.json`: all images and all objects, whatever the splits."""
    with job.open("annotations/json/annotations.json") as file:
        file.write(_head(job.facts))
        comma = b"\n"
        for number, image in enumerate(job.images(), start=1):
            file.write(comma + _encode(_image(image, job.has_images)))
            comma = b",\n"
            if number % IMAGES_PER_STEP == 0:
                yield Step(0.0, f"Writing {FORMAT.name}", image.bundle_name, 0)
        file.write(b'],\n"instances":[')
        yield from write_joined(job, file, JsonRows())
        file.write(b"]}\n")


FORMAT = Format(
    name="json",
    title="labelferry json",
    usage=(
        "`annotations/json/annotations.json` holds everything of the project: parts, holes, crowds, attributes, full precision. "
        "The unzipped bundle can be exported again: `labelferry export FOLDER -o OTHER.zip`."
    ),
    properties=Properties(
        holes="exact",
        parts="exact",
        crowds="exact",
        attributes="yes",
        splits="one file, the split is a field",
        coordinates="pixel edges, full precision",
    ),
    cost=Cost(image=0.1, object=0.023),
    write=write,
    recount=lambda claim: JsonRecount("annotations/json/", "instances", claim.classes),
)
