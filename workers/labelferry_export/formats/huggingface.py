"""Hugging Face imagefolder: `metadata.jsonl` beside the images, where `datasets` looks for it, and a dataset card.

`datasets` takes the types of all columns from the first rows of a file, and an empty list has none: so the first row is that of an
image with objects, wherever it stands in the project (`packaged_modules/folder_based_builder` of datasets 5).
"""

from collections.abc import Iterator

import msgspec

from labelferry_export.bundle.archive import EntryWriter
from labelferry_export.errors import ExportError
from labelferry_export.findings import Loss
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, batches, loss_of_all
from labelferry_export.formats._objects import Objects, card
from labelferry_export.formats._recounts.lines import JsonLinesRecount
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Image
from labelferry_export.plan import Step
from labelferry_protocol.errors import Code

FOLDER = "annotations/huggingface"
METADATA = "metadata.jsonl"
IMAGES_PER_STEP = 256
"""After so many images without an object the caller may stop."""

_encode = msgspec.json.Encoder().encode


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `metadata.jsonl`; `file_name` is relative to its folder."""

    file_name: str
    image_id: int
    width: int
    height: int
    objects: Objects


def write(job: FormatJob) -> Iterator[Step]:
    """Write the card, and `metadata.jsonl` beside the images of each split; below `annotations/` when the bundle holds no image."""
    if not job.has_images:
        message = f"the bundle holds no images: put each {METADATA} into the folder of its images before loading"
        job.report(loss_of_all(Loss.REFUSED, FORMAT.name, message))
    with job.open(f"{FOLDER}/README.md") as file:
        file.write(_card(job).encode())
    for split in job.splits or (None,):
        yield from _write_rows(job, split)


def _write_rows(job: FormatJob, split: str | None) -> Iterator[Step]:
    first: int | None = None
    for number, image in enumerate(job.images(split), start=1):
        if job.instances(image):
            first = image.id
            break
        if number % IMAGES_PER_STEP == 0:
            yield Step(0.0, f"Writing {FORMAT.name}", image.bundle_name, 0)
    if first is None and split is not None:
        message = f"no image of the split {split!r} has an object: datasets cannot tell its columns' types, and loads it only by itself"
        job.report(loss_of_all(Loss.REFUSED, FORMAT.name, message))
    with _opened(job, split) as file:
        for wanted_first in (True, False):
            for image in job.images(split):
                if (image.id == first) is wanted_first:
                    yield from _write_row(job, image, file)
                if image.id == first and wanted_first:
                    break


def _opened(job: FormatJob, split: str | None) -> EntryWriter:
    folder = "images" if job.has_images else FOLDER
    try:
        return job.open(f"{folder}/{split}/{METADATA}" if split else f"{folder}/{METADATA}")
    except ValueError:
        raise ExportError(
            Code.ITEM,
            f"an image of the project is called {METADATA}, which is the name of the table of a Hugging Face imagefolder: "
            "rename the image, or leave out the format huggingface",
            item=METADATA,
        ) from None


def _write_row(job: FormatJob, image: Image, file: EntryWriter) -> Iterator[Step]:
    objects = Objects()
    for batch, last in batches(job.instances(image)):
        for warn in objects.add(image, batch, str(job.options["segmentation"]), FORMAT.name):
            job.report(warn)
        yield job.step(image, len(batch), last)
    row = Row(file_name=image.bundle_name, image_id=image.id, width=image.width, height=image.height, objects=objects)
    file.write(_encode(row) + b"\n")


def _card(job: FormatJob) -> str:
    folders = {split: f"images/{split}/**" for split in job.splits} or {"train": "images/**"}
    text = (
        f"To load the unzipped bundle, or the repository it is uploaded to, with these splits, put this file at its root as `README.md`. "
        f"The rows are `{METADATA}`, beside the images. `category` is the index of the class:"
    )
    return card(job, folders, text)


FORMAT = Format(
    name="huggingface",
    title="Hugging Face imagefolder",
    usage=(
        "`datasets.load_dataset('imagefolder', data_dir='images')` in the unzipped folder; other splits than train, validation and "
        "test need the card, `annotations/huggingface/README.md`, at the root: then `load_dataset('.')`. A row an image, from "
        "`metadata.jsonl` beside it; `objects` is a struct of lists, `category` the index of the class, `bbox` x, y, width, height, "
        "`attributes` json. Holes are bridged; by the option `segmentation=rle` outlines are COCO's compressed run lengths."
    ),
    properties=Properties(
        holes="bridged (keyhole), reported; or exact pixels (run lengths)",
        parts="exact (several rings)",
        crowds="iscrowd",
        attributes="as json",
        splits="folders",
        coordinates="pixel edges, full precision",
    ),
    cost=Cost(image=0.3, object=0.055),
    write=write,
    options={
        "segmentation": Option("polygons", "how outlines are written", choices=("polygons", "rle")),
    },
    recount=JsonLinesRecount,
    lossiness=Lossiness(
        single=(Loss.BRIDGED, Loss.ROUNDED, Loss.REFUSED),
        unsaid=(Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
