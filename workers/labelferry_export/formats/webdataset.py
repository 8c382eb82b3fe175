"""WebDataset: tar shards of samples, an image, its annotations and its mask lying next to each other under one key.

A reader takes a file's path up to the first dot of its name as the key, so a stem with dots is spelled with `%2E`. The tars are
POSIX ones (pax where a name needs it) without time or owner, so that the same project gives the same bytes.
"""

import tarfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec
import numpy as np

from labelferry_export.bundle.archive import EntryWriter
from labelferry_export.conversion import blocks_of
from labelferry_export.errors import ExportError
from labelferry_export.findings import Loss
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, batches, loss
from labelferry_export.formats._painting import ORDER, in_painting_order, object_losses, paint
from labelferry_export.formats._recounts.packed import ShardRecount
from labelferry_export.formats.coco import annotations_of
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Image, Instance
from labelferry_export.overlays.png import encode_png
from labelferry_export.plan import Step
from labelferry_protocol.errors import Code

FOLDER = "annotations/webdataset"
TAR_BLOCK = 512
TAR_RECORD = 20 * TAR_BLOCK
"""A tar is a whole number of records long, and ends with two empty blocks."""
MOST_OBJECTS = 0xFFFF
SUFFIXES = frozenset(
    ["avif", "bmp", "gif", "jp2", "jpe", "jpeg", "jpg", "jxl", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp"]
)
"""Endings by which a reader knows an image; a file with another is told by how it begins."""
BEGINNINGS: dict[bytes, str] = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpg",
    b"II*\0": "tif",
    b"MM\0*": "tif",
    b"RIFF": "webp",
    b"GIF8": "gif",
    b"BM": "bmp",
}

_encode = msgspec.json.Encoder().encode


class ShardRecord(msgspec.Struct, frozen=True):
    """A shard in `dataset.json`: its file, how many samples it has and how long it is, in bytes."""

    file: str
    samples: int
    size: int


@dataclass
class Shard:
    """A tar while it is written."""

    file: EntryWriter
    size: int = 0
    samples: int = 0

    def add(self, name: str, data: bytes) -> None:
        """Append a file that is in memory."""
        self.begin(name, len(data))
        self.write(data)
        self.pad(TAR_BLOCK)

    def begin(self, name: str, size: int) -> None:
        """Append a file's header; its bytes and the padding follow."""
        entry = tarfile.TarInfo(name)
        entry.size = size
        self.write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogatepass"))

    def write(self, data: bytes) -> None:
        """Append raw bytes."""
        self.file.write(data)
        self.size += len(data)

    def pad(self, block: int) -> None:
        """Fill up the block that was begun."""
        self.write(bytes(-self.size % block))

    def finish(self) -> None:
        """Append what ends a tar."""
        self.write(bytes(2 * TAR_BLOCK))
        self.pad(TAR_RECORD)


def key_of(image: Image) -> str:
    """Return the key of an image's sample: its stem; `%` and dots are spelled as in a URL, so that no two stems have one key."""
    return PurePosixPath(image.bundle_name).with_suffix("").name.replace("%", "%25").replace(".", "%2E")


def ending_of(image: Image, beginning: bytes) -> str:
    """Return what stands behind the key of an image file that begins so."""
    suffix = PurePosixPath(image.bundle_name).suffix[1:].lower()
    if suffix in SUFFIXES:
        return suffix
    return next((ending for begins, ending in BEGINNINGS.items() if beginning.startswith(begins)), "bin")


def write(job: FormatJob) -> Iterator[Step]:
    """Write the shards of every split, then `dataset.json`, which lists them and the classes."""
    shards: list[ShardRecord] = []
    for split in job.splits or (None,):
        yield from _write_split(job, split, shards)
    with job.open(f"{FOLDER}/dataset.json") as file:
        classes = [{"id": each.id, "name": each.name} for each in job.facts.categories]
        file.write(_encode({"categories": classes, "shards": shards}) + b"\n")


def _write_split(job: FormatJob, split: str | None, shards: list[ShardRecord]) -> Iterator[Step]:
    images = job.images(split)
    image = next(images, None)
    number = 0
    limit = float(job.options["shard_size"]) * 1e6
    while image is not None:
        name = f"{f'{split}/' if split else ''}shard-{number:06}.tar"
        with job.open(f"{FOLDER}/{name}") as file:
            shard = Shard(file)
            while image is not None and (shard.samples == 0 or shard.size < limit):
                yield from _write_sample(job, shard, image)
                image = next(images, None)
            shard.finish()
        shards.append(ShardRecord(name, shard.samples, shard.size))
        number += 1


def _write_sample(job: FormatJob, shard: Shard, image: Image) -> Iterator[Step]:
    key = key_of(image)
    stem = PurePosixPath(image.bundle_name).with_suffix("").name
    if key != stem:
        message = f"{image.bundle_name!r} has the key {key!r} in the shards: a key ends at the first dot"
        job.report(loss(Loss.RENAMED, FORMAT.name, message, image))
    instances = job.instances(image)
    if job.options["images"]:
        yield from _write_image(job, shard, image, key)
    shard.add(f"{key}.json", (yield from _annotations(job, image, instances)))
    if job.options["mask"]:
        shard.add(f"{key}.mask.png", (yield from _mask(job, image, instances)))
    shard.samples += 1
    yield job.step(image, 0)


def _write_image(job: FormatJob, shard: Shard, image: Image, key: str) -> Iterator[Step]:
    """Put in the file as it is in the bundle, a block at a time; one that is made anew is held in memory, as its size comes first."""
    blocks: Iterator[bytes] = blocks_of(image)
    size = image.size
    if image.written:
        blocks = iter([b"".join(blocks)])
    block = next(blocks, b"")
    shard.begin(f"{key}.{ending_of(image, block)}", len(block) if image.written else size)
    while block:
        shard.write(block)
        yield job.step(image, 0, last=False)
        block = next(blocks, b"")
    shard.pad(TAR_BLOCK)


def _annotations(job: FormatJob, image: Image, instances: Sequence[Instance]) -> Generator[Step, None, bytes]:
    """Return the sample's json: what the image is, and its objects as COCO has them."""
    rows: list[bytes] = []
    for batch, _ in batches(instances):
        written = annotations_of(image, batch, "compressed")
        for warn in written.losses:
            job.report(msgspec.structs.replace(warn, format=FORMAT.name))
        rows += [written.data] if batch else []
        yield job.step(image, len(batch), last=False)
    head = {"image_id": image.id, "file_name": image.bundle_file, "width": image.width, "height": image.height}
    return _encode(head)[:-1] + b',"annotations":[' + b",\n".join(rows) + b"]}\n"


def _mask(job: FormatJob, image: Image, instances: Sequence[Instance]) -> Generator[Step, None, bytes]:
    """Return a 16-bit PNG whose values are the places of the objects in the sample's json, from 1."""
    if len(instances) > MOST_OBJECTS:
        raise ExportError(
            Code.ITEM,
            f"the image {image.name!r} has {len(instances)} objects, a 16-bit mask holds at most {MOST_OBJECTS}: cut the "
            f"image into tiles, or set the option mask of {FORMAT.name} to false",
            item=image.name,
        )
    layers = in_painting_order(instances)
    places = {each.id: place for place, each in enumerate(instances, start=1)}
    painting = yield from paint(job, image, layers)
    for warn in object_losses(image, layers, painting, FORMAT.name, Loss.REDUCED):
        job.report(warn)
    blocks: list[bytes] = []
    for block in encode_png(painting.mask(np.array([0, *(places[each.id] for each in layers)], np.uint16))):
        blocks.append(block)
        yield job.step(image, 0, last=False)
    return b"".join(blocks)


FORMAT = Format(
    name="webdataset",
    title="WebDataset shards",
    usage=(
        "`webdataset.WebDataset('annotations/webdataset/shard-{000000..000009}.tar').decode('pil', only=['png', 'jpg', 'json'])`, with splits "
        "`annotations/webdataset/<split>/shard-...`; `dataset.json` lists the shards and the classes. A sample is `<key>.<jpg, png, ...>`, "
        "the original; `<key>.json`, its objects as in COCO; `<key>.mask.png`, 16 bits, whose values are the places of the objects in "
        f"the json, from 1 (open it with Pillow: the decoder `pil` would make it 8 bits). Where objects overlap in the mask: {ORDER}. A key is the image's stem, `%2E` for a dot."
    ),
    properties=Properties(
        holes="exact (run lengths)",
        parts="exact (several rings)",
        crowds="exact (run lengths, iscrowd 1)",
        attributes="yes",
        splits="folders",
        coordinates="pixel edges, full precision; masks 16 bits",
        depth="images as they are; masks of 16 bits",
    ),
    cost=Cost(image=2.5, object=0.1),
    write=write,
    options={
        "shard_size": Option(500.0, "a shard is ended by the first sample that makes it longer than so many MB"),
        "images": Option(True, "put the originals into the shards, whether or not they are in `images/` too"),
        "mask": Option(True, "put a 16-bit instance mask into every sample"),
    },
    recount=lambda _: ShardRecount(f"{FOLDER}/"),
    lossiness=Lossiness(
        single=(Loss.RENAMED, Loss.ROUNDED, Loss.HIDDEN, Loss.REDUCED),
        unsaid=(Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
