"""Fills the file that a snapshot is. One writer, one pass over the source, one pass over the images; then it is sealed."""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from labelferry_export.findings import FindingLog
from labelferry_export.geometry.ring import Integers
from labelferry_export.model import LARGEST_ID, Attribute, Category, ProjectFacts
from labelferry_export.reading.object_rows import SCHEMA, ObjectRows
from labelferry_export.reading.rows import ImageRow, Settled, Standing
from labelferry_export.snapshot import CACHE_KIB, Snapshot, Totals, findings_path
from labelferry_export.source import FoundCategory, FoundImage, Key

# An untyped `key` keeps 1 and "1" apart.
_SCHEMA = """
CREATE TABLE fact(key TEXT PRIMARY KEY, value BLOB);
CREATE TABLE category(id INTEGER PRIMARY KEY, key UNIQUE, name TEXT, supercategory TEXT);
CREATE TABLE name_taken(key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE image(position INTEGER PRIMARY KEY, key UNIQUE, wanted INTEGER, id INTEGER, kept INTEGER,
    name TEXT, bundle_name TEXT, path BLOB, width INTEGER, height INTEGER, subset TEXT, split TEXT,
    size INTEGER, mtime_ns INTEGER, mode TEXT, orientation INTEGER, page INTEGER,
    full_width INTEGER, full_height INTEGER, written TEXT, quality INTEGER, attributes BLOB);
CREATE TABLE tally(split TEXT, subset TEXT, category INTEGER, images INTEGER, instances INTEGER);
"""

ROWS_AHEAD = 64

_SETTLE = f"UPDATE image SET {', '.join(f'{each.name} = :{each.name}' for each in fields(Settled))} WHERE position = :position"  # noqa: S608 - names of fields


@dataclass
class _Counts:
    images: int = 0
    instances: int = 0
    pixels: int = 0
    bytes: int = 0
    vertices: int = 0
    has_image_attributes: bool = False
    full_pixels: int = 0
    converted_pixels: int = 0
    by_place: dict[tuple[str | None, str | None], Counter[int]] = field(default_factory=dict)
    images_by_place: dict[tuple[str | None, str | None], Counter[int]] = field(default_factory=dict)


class SnapshotWriter:
    """A snapshot in the making, at `path`, which must not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = FindingLog(findings_path(path))
        self._connection = sqlite3.connect(path, isolation_level=None)
        # A crash throws the whole file away: nothing needs to be durable, nothing is ever rolled back.
        self._connection.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB}; BEGIN; {_SCHEMA} {SCHEMA}"
        )
        self.objects = ObjectRows(self._connection)
        self._positions = 0
        self._counts = _Counts()

    def close(self) -> None:
        """Let go of the files, sealed or not."""
        self._connection.close()
        self.log.close()

    def take_name(self, key: str) -> bool:
        """Whether this name was free; it is taken now."""
        return self._connection.execute("INSERT OR IGNORE INTO name_taken VALUES (?)", (key,)).rowcount == 1

    def next_position(self) -> int:
        """Return the number of the image that comes next: 1, 2, ..."""
        self._positions += 1
        return self._positions

    def add_category(self, category: FoundCategory) -> bool:
        """Add a class; false when its key is there already."""
        row = (category.key, category.name, category.supercategory)
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO category(key, name, supercategory) VALUES (?, ?, ?)", row
        )
        return cursor.rowcount == 1

    def categories(self) -> list[tuple[Key, Category]]:
        """Return the classes with their keys, in order."""
        rows = self._connection.execute("SELECT key, id, name, supercategory FROM category ORDER BY id")
        return [(key, Category(*values)) for key, *values in rows]

    def add_image(
        self, position: int, image: FoundImage, bundle_name: str, path: Path | None, standing: Standing
    ) -> bool:
        """Add an image; false when its key is there already."""
        self._counts.has_image_attributes |= standing is Standing.KEPT and bool(image.attributes)
        row = (
            *(position, image.key, image.id, standing, image.name, bundle_name),
            *(None if path is None else os.fsencode(path), image.width, image.height, image.subset),
            encoded(image.attributes),
        )
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO image(position, key, wanted, kept, name, bundle_name, path, width, height, subset, attributes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return cursor.rowcount == 1

    def image_attributes(self, position: int) -> dict[str, Attribute]:
        """Return the attributes of an image."""
        query = "SELECT attributes FROM image WHERE position = ?"
        data = self._connection.execute(query, (position,)).fetchone()[0]
        return msgspec.json.decode(data, type=dict[str, Attribute]) if data else {}

    def subsets(self) -> list[str | None]:
        """Return the subsets that kept images are in, by their first image; None where some are in none."""
        query = "SELECT nullif(subset, '') AS part FROM image WHERE kept = 1 GROUP BY part ORDER BY min(position)"
        return [subset for (subset,) in self._connection.execute(query)]

    def find_image(self, key: Key) -> ImageRow | None:
        """Return the image with this key."""
        return next(iter(self._image_rows("key = ?", key)), None)

    def kept_images(self) -> Iterator[ImageRow]:
        """Yield the kept images in order. Some are read ahead; one that was yielded may be left out, or settled, meanwhile."""
        after = 0
        while rows := self._image_rows("position > ? AND kept = 1 ORDER BY position LIMIT ?", after, ROWS_AHEAD):
            yield from rows
            after = rows[-1].position

    def leave_out_image(self, position: int) -> None:
        """Leave out an image and its objects."""
        self._connection.execute("UPDATE image SET kept = ? WHERE position = ?", (Standing.MISSING, position))
        self.objects.remove(position)

    def number_images(self) -> None:
        """Keep the project's own image ids when each image has one of its own that is at least 1; else number them 1, 2, ..."""
        query = "SELECT count(*) = count(DISTINCT wanted) AND min(wanted) >= 1 AND max(wanted) <= ? FROM image"
        own = self._connection.execute(query, (LARGEST_ID,)).fetchone()[0]
        self._connection.execute(f"UPDATE image SET id = {'wanted' if own else 'position'}")  # noqa: S608 - two constants
        self._connection.execute("CREATE UNIQUE INDEX image_id ON image(id)")

    def count_images(self) -> tuple[int, int]:
        """Return how many images there are, and how many of them are kept."""
        query = "SELECT count(*), count(*) FILTER (WHERE kept = 1) FROM image"
        found, kept = self._connection.execute(query).fetchone()
        return found, kept

    def image_names(self) -> Iterator[str]:
        """Yield the names of all images, kept or not."""
        return (name for (name,) in self._connection.execute("SELECT name FROM image ORDER BY position"))

    def settle_image(self, row: ImageRow, image: Settled, categories: Integers, vertices: int) -> None:
        """Write down what an image turned out to be; `categories`, (n,), has the class of each of its objects."""
        self._connection.execute(_SETTLE, {**vars(image), "position": row.position})
        counts = self._counts
        counts.images += 1
        counts.instances += len(categories)
        counts.pixels += image.width * image.height
        counts.bytes += image.size
        counts.vertices += vertices
        full = image.full_width * image.full_height
        counts.full_pixels += full
        counts.converted_pixels += full if image.written else 0
        place = (image.split, row.subset)
        by_class = Counter(categories.tolist())
        counts.by_place.setdefault(place, Counter()).update(by_class)
        counts.images_by_place.setdefault(place, Counter()).update([0, *by_class])

    def seal(self, facts: ProjectFacts) -> Snapshot:
        """Write the facts (classes and counts are filled in here), close the file, and return it as what it is from now on."""
        counts = self._counts
        categories = tuple(category for _, category in self.categories())
        facts = replace(
            facts,
            categories=categories,
            images=counts.images,
            instances=counts.instances,
            has_attributes=self.objects.have_attributes,
            has_image_attributes=counts.has_image_attributes,
        )
        totals = Totals(
            images=counts.images,
            instances=counts.instances,
            pixels=counts.pixels,
            bytes=counts.bytes,
            vertices=counts.vertices,
            full_pixels=counts.full_pixels,
            converted_pixels=counts.converted_pixels,
        )
        self._connection.executemany(
            "INSERT INTO fact VALUES (?, ?)",
            [("facts", msgspec.json.encode(facts)), ("totals", msgspec.json.encode(totals))],
        )
        self._connection.executemany("INSERT INTO tally VALUES (?, ?, ?, ?, ?)", self._tallies())
        self._connection.execute("COMMIT")
        self.close()
        return Snapshot(self.path)

    def objects_by_split(self) -> dict[str | None, Counter[int]]:
        """Return how many objects of each class the settled images of each split have; a split without images is not there."""
        found: dict[str | None, Counter[int]] = {}
        for (split, _), objects in self._counts.by_place.items():
            found.setdefault(split, Counter()).update(objects)
        return found

    def _tallies(self) -> Iterator[tuple[str | None, str | None, int | None, int, int]]:
        counts = self._counts
        for place in sorted(counts.by_place, key=lambda each: (each[0] or "", each[1] or "")):
            objects, images = counts.by_place[place], counts.images_by_place[place]
            yield (*place, None, images[0], objects.total())
            for category in sorted(objects):
                yield (*place, category, images[category], objects[category])

    def _image_rows(self, where: str, *values: Key) -> list[ImageRow]:
        query = f"SELECT position, name, kept, path, width, height, subset, bundle_name FROM image WHERE {where}"  # noqa: S608 - constants only
        return [
            ImageRow(position, name, Standing(standing), None if path is None else Path(os.fsdecode(path)), *rest)
            for position, name, standing, path, *rest in self._connection.execute(query, values)
        ]


def encoded(values: Mapping[str, Any]) -> bytes | None:
    """Return plain values as json, None when there are none."""
    return msgspec.json.encode(dict(values)) if values else None
