"""Formats within formats, read again: RoiSet zips, tar shards and Parquet tables."""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from labelferry_export.bundle.readers import Reader, Whole
from labelferry_export.formats._recounts.lines import decoded

MOST_BYTES = 64 << 20
"""A RoiSet that is larger is not opened again."""
ROI_MAGIC = b"Iout"
ROWS_AT_ONCE = 256


class RoiRecount:
    """Recounts RoiSets; an image without an object has none."""

    images = None

    def __init__(self, folder: str) -> None:
        self.objects: int | None = 0
        self._folder = folder

    def open(self, name: str) -> Reader | None:
        """Return the reader of a RoiSet."""
        return Whole(self._check, MOST_BYTES) if name.startswith(self._folder) else None

    def _check(self, data: bytes) -> None:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = archive.infolist()
                magics = [archive.read(each)[: len(ROI_MAGIC)] for each in entries]
        except zipfile.BadZipFile as error:
            raise ValueError(f"it is no RoiSet: {error}") from None
        if not entries or any(magic != ROI_MAGIC for magic in magics):
            raise ValueError("it holds no ROI, or something that is none")
        self.objects = (self.objects or 0) + len(entries)


class _Counted(msgspec.Struct):
    """An element of a sample's `annotations`."""

    id: int
    area: int


class _Sample(msgspec.Struct):
    """What is looked at of a sample's json."""

    image_id: int
    annotations: list[_Counted]


class ShardRecount:
    """Recounts WebDataset shards: samples by their json, whose files lie side by side under one key."""

    def __init__(self, folder: str) -> None:
        self.images = 0
        self.objects = 0
        self._folder = folder
        self._decoder = msgspec.json.Decoder(_Sample)

    def wants(self, name: str) -> bool:
        """Whether this is a shard."""
        return name.startswith(self._folder) and name.endswith(".tar")

    def look(self, file: BinaryIO) -> Iterator[None]:
        """Count the samples of a shard."""
        keys: set[str] = set()
        last = ""
        try:
            with tarfile.open(fileobj=file, mode="r:") as shard:
                for member in shard:
                    key, _, ending = member.name.partition(".")
                    if key != last and key in keys:
                        raise ValueError(f"the files of the sample {key!r} do not lie side by side")
                    keys.add(key)
                    last = key
                    if ending == "json" and (content := shard.extractfile(member)):
                        sample = decoded(self._decoder, content.read())
                        self.images += 1
                        self.objects += len(sample.annotations)
                    shard.members = []  # type: ignore[attr-defined] # else it remembers every member
                    yield
        except tarfile.TarError as error:
            raise ValueError(f"it is no tar: {error}") from None


class TableRecount:
    """Recounts Parquet tables: rows, and the ids in `objects`. Nothing else of them is decoded."""

    def __init__(self, folder: str) -> None:
        self.images = 0
        self.objects = 0
        self._folder = folder

    def wants(self, name: str) -> bool:
        """Whether this is a table."""
        return name.startswith(self._folder) and name.endswith(".parquet")

    def look(self, file: BinaryIO) -> Iterator[None]:
        """Count the rows and objects of a table."""
        import pyarrow as pa
        from pyarrow import parquet

        try:
            table = parquet.ParquetFile(file)
            for batch in table.iter_batches(ROWS_AT_ONCE, columns=["objects.id"]):
                lists = batch.column(0).field(0)
                self.images += batch.num_rows
                self.objects += len(lists.flatten())
                yield
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"it is no Parquet table: {error}") from None
