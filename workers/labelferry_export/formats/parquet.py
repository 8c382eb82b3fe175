"""Parquet, as the Hugging Face Hub keeps datasets of images: the files' bytes and the objects in one table, a row an image.

The types of the columns, classes by name among them, are in the schema's own metadata, under the key `huggingface`. Needs PyArrow.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from labelferry_export.bundle.archive import EntryWriter
from labelferry_export.conversion import blocks_of
from labelferry_export.findings import Loss
from labelferry_export.format import Cost, Format, FormatJob, Needs, Option, Properties, batches
from labelferry_export.formats._objects import Objects, card
from labelferry_export.formats._recounts.packed import TableRecount
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Category, Image
from labelferry_export.plan import Step

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "annotations/parquet"
ROWS_OF_A_GROUP = 100
BYTES_OF_A_GROUP = 64 << 20
"""A group of rows is written when it has so many rows, or images of so many bytes: memory holds one group."""


class Sink:
    """A file of the bundle as PyArrow writes to it; it takes nothing more once it is closed."""

    def __init__(self, file: EntryWriter) -> None:
        self._file = file
        self.closed = False

    def write(self, data: bytes) -> int:
        """Append bytes."""
        if not self.closed:
            self._file.write(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: the bundle buffers by itself."""

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._file.size

    def close(self) -> None:
        """Take nothing more."""
        self.closed = True


@dataclass
class Group:
    """Rows that are not written yet."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it is time to write them."""
        return len(self.rows) >= ROWS_OF_A_GROUP or self.size >= BYTES_OF_A_GROUP


def features(categories: Sequence[Category], segmentation: str, images: bool) -> dict[str, Any]:
    """Return the types of the columns as `datasets` writes them down."""
    outline = (
        _struct(size=_list(_value("int32")), counts=_value("string"))
        if segmentation == "rle"
        else _list(_list(_value("float64")))
    )
    label = {"names": [each.name for each in categories], "_type": "ClassLabel"} if categories else _value("int64")
    objects = _struct(
        id=_list(_value("int64")),
        category=_list(label),
        bbox=_list(_list(_value("float64"))),
        area=_list(_value("int64")),
        iscrowd=_list(_value("int64")),
        segmentation=_list(outline),
        attributes=_list(_value("string")),
    )
    columns = {"image_id": "int64", "file_name": "string", "width": "int32", "height": "int32"}
    image = {"image": {"_type": "Image"}} if images else {}
    return {**image, **{name: _value(kind) for name, kind in columns.items()}, "objects": objects}


def _value(kind: str) -> dict[str, Any]:
    return {"dtype": kind, "_type": "Value"}


def _list(inner: dict[str, Any]) -> dict[str, Any]:
    return {"feature": inner, "_type": "Sequence"}


def _struct(**columns: dict[str, Any]) -> dict[str, Any]:
    return columns


def schema_of(types: Mapping[str, Any]) -> "pa.Schema":
    """Return the table's schema for `features`, with them in its metadata."""
    import pyarrow as pa

    told = json.dumps({"info": {"features": types}}, ensure_ascii=False)
    return pa.schema([(name, _arrow(each)) for name, each in types.items()], metadata={"huggingface": told})


def _arrow(each: Mapping[str, Any]) -> "pa.DataType":
    import pyarrow as pa

    kind = each.get("_type")
    if kind == "Value":
        return {"int32": pa.int32(), "int64": pa.int64(), "float64": pa.float64(), "string": pa.string()}[each["dtype"]]
    if kind == "ClassLabel":
        return pa.int64()
    if kind == "Image":
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if kind == "Sequence":
        return pa.list_(_arrow(each["feature"]))
    return pa.struct([(name, _arrow(inner)) for name, inner in each.items()])


def write(job: FormatJob) -> Iterator[Step]:
    """Write the card, and a table for every split; without splits `train.parquet`, as `datasets` calls what is in one piece."""
    files = {split: f"{split}.parquet" for split in job.splits or ("train",)}
    text = "`category` is the index of the class; `datasets` shows its name:"
    with job.open(f"{FOLDER}/README.md") as file:
        file.write(card(job, files, text).encode())
    for split, name in files.items():
        with job.open(f"{FOLDER}/{name}") as file:
            yield from _write_table(job, split if job.splits else None, file)


def _write_table(job: FormatJob, split: str | None, file: EntryWriter) -> Iterator[Step]:
    from pyarrow import parquet

    kind, images = str(job.options["segmentation"]), bool(job.options["images"])
    schema = schema_of(features(job.facts.categories, kind, images))
    sink = Sink(file)
    writer = parquet.ParquetWriter(sink, schema, compression=str(job.options["compression"]))
    try:
        group = Group()
        for image in job.images(split):
            yield from _add_row(job, image, group)
            if group.is_full:
                _write_group(writer, schema, group)
                group = Group()
        _write_group(writer, schema, group)
        writer.close()
    finally:
        sink.close()
        writer.close()


def _write_group(writer: Any, schema: "pa.Schema", group: Group) -> None:
    import pyarrow as pa

    if group.rows:
        writer.write_table(pa.Table.from_pylist(group.rows, schema=schema), row_group_size=len(group.rows))


def _add_row(job: FormatJob, image: Image, group: Group) -> Iterator[Step]:
    objects = Objects()
    for batch, last in batches(job.instances(image)):
        for warn in objects.add(image, batch, str(job.options["segmentation"]), FORMAT.name):
            job.report(warn)
        yield job.step(image, len(batch), last)
    row: dict[str, Any] = {
        "image_id": image.id,
        "file_name": image.bundle_file,
        "width": image.width,
        "height": image.height,
        "objects": msgspec.to_builtins(objects),
    }
    if job.options["images"]:
        data = b"".join(blocks_of(image))
        row["image"] = {"bytes": data, "path": image.bundle_name}
        group.size += len(data)
    group.rows.append(row)


FORMAT = Format(
    name="parquet",
    title="Parquet with images",
    usage=(
        "`datasets.load_dataset('annotations/parquet')`, or `pandas.read_parquet('annotations/parquet/train.parquet')`; with splits "
        "`<split>.parquet`. A row an image: its file's bytes, and `objects`, a struct of lists; `category` is the index of the class, whose "
        "names are in the schema, `bbox` x, y, width, height, `attributes` json. Holes are bridged; by the option "
        "`segmentation=rle` outlines are COCO's compressed run lengths."
    ),
    properties=Properties(
        holes="bridged (keyhole), reported; or exact pixels (run lengths)",
        parts="exact (several rings)",
        crowds="iscrowd",
        attributes="as json",
        splits="a file each",
        coordinates="pixel edges, full precision",
        depth="images as they are",
    ),
    cost=Cost(image=2.0, object=0.09),
    write=write,
    options={
        "segmentation": Option("polygons", "how outlines are written", choices=("polygons", "rle")),
        "images": Option(True, "put the files' bytes into the table, whether or not they are in `images/` too"),
        "compression": Option("snappy", "how columns are compressed", choices=("snappy", "zstd", "none")),
    },
    needs=Needs("pyarrow", "labelferry[parquet]"),
    recount=lambda _: TableRecount(f"{FOLDER}/"),
    lossiness=Lossiness(
        single=(Loss.BRIDGED, Loss.ROUNDED),
        unsaid=(Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
