"""The one immutable picture of a project that a job works from: a file in the job's staging directory, read in streams.

SQLite, used as a file format: `snapshot_writer` fills it once, then it is only read. Memory does not grow with the project.
"""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from labelferry_export.findings import FindingLog, Warn
from labelferry_export.instances import Columns, Instances
from labelferry_export.model import Attribute, Image, ProjectFacts
from labelferry_export.packing import unpack
from labelferry_export.reading.object_rows import blocks_of

CACHE_KIB = 16 * 1024
_IMAGE_COLUMNS = (
    "id, name, path, width, height, subset, attributes, bundle_name, split, size, mtime_ns, mode, orientation, page, "
    "full_width, full_height, written, quality"
)


@dataclass(frozen=True)
class Totals:
    """How much there is to do: counts, pixels of all images, bytes of their files, vertices of all outlines."""

    images: int = 0
    instances: int = 0
    pixels: int = 0
    bytes: int = 0
    vertices: int = 0
    full_pixels: int = 0
    """Of all files, before they are scaled."""
    converted_pixels: int = 0
    """Those of them whose file is made anew."""


@dataclass(frozen=True)
class Tally:
    """How many images and objects one split and subset hold: of one class (images: those with such an object), or, without a class, in all."""

    split: str | None
    subset: str | None
    category_id: int | None
    images: int
    instances: int


class Snapshot:
    """A project as it was when it was read. Belongs to the thread that opened it; others open the same file again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(f"file:{_quoted(path)}?mode=ro&immutable=1", uri=True, isolation_level=None)
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        known = dict(self._connection.execute("SELECT key, value FROM fact"))
        self.facts = msgspec.json.decode(known["facts"], type=ProjectFacts)
        self.totals = msgspec.json.decode(known["totals"], type=Totals)
        self.log = FindingLog(findings_path(path))

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Counts by split, subset and class, in a fixed order."""
        rows = self._connection.execute("SELECT split, subset, category, images, instances FROM tally ORDER BY rowid")
        return tuple(Tally(*row) for row in rows)

    def images(self, split: str | None = None) -> Iterator[Image]:
        """Yield the exported images in the project's order; those of one split, or all."""
        where = "kept = 1" if split is None else "kept = 1 AND split = ?"
        query = f"SELECT {_IMAGE_COLUMNS} FROM image WHERE {where} ORDER BY position"  # noqa: S608 - constants only
        for row in self._connection.execute(query, () if split is None else (split,)):
            yield _image(row)

    def image(self, image_id: int) -> Image:
        """Return an exported image; raise KeyError for an id that none has."""
        query = f"SELECT {_IMAGE_COLUMNS} FROM image WHERE id = ? AND kept = 1"  # noqa: S608 - constants only
        row = self._connection.execute(query, (image_id,)).fetchone()
        if row is None:
            raise KeyError(image_id)
        return _image(row)

    def instances(self, image_id: int) -> Instances:
        """Return the objects of an image by ascending id, which is also the order they lie above one another."""
        return Instances(image_id, Columns.joined([unpack(block) for block in self._blocks(image_id)]))

    def fingerprint(self, image: Image) -> bytes:
        """Return all that is known of an image and its objects, as bytes; but not where its file lies, nor when it was written."""
        told = {name: value for name, value in vars(image).items() if name not in ("path", "mtime_ns")}
        return msgspec.msgpack.encode([told, self._blocks(image.id)])

    def _blocks(self, image_id: int) -> list[bytes]:
        row = self._connection.execute("SELECT position FROM image WHERE id = ?", (image_id,)).fetchone()
        return [] if row is None else blocks_of(self._connection, row[0])

    def findings(self) -> Iterator[Warn]:
        """Yield what the reading noticed, in order; `log` has the counts and examples."""
        return iter(self.log)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        self.log.close()


def findings_path(path: Path) -> Path:
    """Return where the findings of the snapshot at `path` lie."""
    return path.with_name(f"{path.name}.findings")


def _image(row: tuple[Any, ...]) -> Image:
    """Return an image from its row; the columns are the fields, in their order."""
    number, name, path, width, height, subset, attributes, *rest = row
    return Image(number, name, Path(os.fsdecode(path)), width, height, subset, _attributes(attributes), *rest)


def _attributes(data: object) -> dict[str, Attribute]:
    return msgspec.json.decode(data, type=dict[str, Attribute]) if isinstance(data, bytes) else {}


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))
