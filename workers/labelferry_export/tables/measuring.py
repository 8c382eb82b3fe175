"""Sums a project up, image by image: the rows of the tables objects, images and classes, kept on disk.

Nothing is measured here: what one image is, is measured.py's.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from labelferry_export.lanes.task import Piece
from labelferry_export.model import Category, Image, Instance
from labelferry_export.tables.columns import (
    CLASS_COLUMNS,
    COLUMN_COLUMNS,
    IMAGE_COLUMNS,
    MAIN_MEASURES,
    OBJECT_COLUMNS,
    Column,
    Kind,
    Row,
)
from labelferry_export.tables.measured import MeasureImage, cells, decode_image
from labelferry_export.tables.rowfile import RowFile
from labelferry_export.tables.spool import Spool
from labelferry_export.tables.statistics import Summary, summarise


@dataclass(frozen=True)
class Table:
    """A table: its name, its columns, and its rows in blocks (as often as they are asked for)."""

    name: str
    columns: tuple[Column, ...]
    rows: Iterable[list[Row]]
    file: RowFile | None = None
    """Where the rows lie, if in a file, so that lanes can read them too."""

    @property
    def texts(self) -> tuple[int, ...]:
        """The places of the columns that hold text; the others hold numbers."""
        kinds = (Kind.TEXT, Kind.ATTRIBUTES)
        return tuple(place for place, column in enumerate(self.columns) if column.kind in kinds)


@dataclass
class _ClassTally:
    """What a class has, over all images so far."""

    images: int = 0
    objects: int = 0
    crowds: int = 0
    pixels: int = 0


class Measurements:
    """The tables of a project. Add every image, then `finish`, then read `tables`; `folder` holds the rows until `close`.

    A context manager, so that nothing stays when a job is stopped.
    `scale` in um/px, None keeps px. Memory does not grow with the number of images or objects.
    """

    def __init__(self, folder: Path, categories: Sequence[Category], scale: float | None) -> None:
        self.scale = scale
        self._categories = tuple(categories)
        self._paths = [folder / f"{name}.rows" for name in ("objects", "images", "classes")]
        self._objects = RowFile(self._paths[0])
        self._images = RowFile(self._paths[1])
        self._spool = Spool(self._paths[2])
        self._tallies: dict[int, _ClassTally] = {}
        self._pixels = 0
        self._classes: list[Row] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def scaled(self) -> bool:
        """Whether lengths are in micrometres."""
        return self.scale is not None

    @property
    def objects(self) -> int:
        """How many objects were added."""
        return self._objects.count

    @property
    def images(self) -> int:
        """How many images were added."""
        return self._images.count

    @property
    def task(self) -> MeasureImage:
        """What is done on an image, here or elsewhere; `take` takes what it yields, image by image."""
        return MeasureImage({each.id: each.name for each in self._categories}, self.scale)

    def add(self, image: Image, instances: Sequence[Instance]) -> Iterator[int]:
        """Measure an image and its objects; a yield after each batch, of how many objects were measured in it."""
        for piece in self.task(image, instances):
            self.take(piece)
            if piece.objects:
                yield piece.objects

    def take(self, piece: Piece) -> None:
        """Take in a piece of what was measured on an image."""
        if not piece.last:
            self._objects.add_packed(piece.data, piece.objects)
            return
        measured = decode_image(piece.data)
        self._images.add_packed(measured.row, 1)
        self._pixels += measured.pixels
        for each in measured.classes:
            tally = self._tallies.setdefault(each.category_id, _ClassTally())
            tally.images += 1
            tally.objects += each.objects
            tally.crowds += each.crowds
            tally.pixels += each.pixels
            if each.objects:
                self._spool.add(each.category_id, np.frombuffer(each.main, np.float64).reshape(each.objects, -1))

    def finish(self) -> Iterator[None]:
        """Sum up the classes; a yield after every so many objects. Nothing can be added then."""
        for category in self._categories:
            tally = self._tallies.get(category.id, _ClassTally())
            fraction = tally.pixels / self._pixels if self._pixels else None
            row: Row = [category.id, category.name, category.supercategory or None]
            row += [tally.images, tally.objects, tally.crowds, tally.pixels, fraction]
            for index, key in enumerate(MAIN_MEASURES):
                row += cells(key, (yield from self._summary(category.id, index)))
            self._classes.append(row)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables, the one that explains the others last."""
        measured = (
            Table("objects", OBJECT_COLUMNS, self._objects, self._objects),
            Table("images", IMAGE_COLUMNS, self._images, self._images),
            Table("classes", CLASS_COLUMNS, [self._classes] if self._classes else []),
        )
        explained: list[Row] = [
            [table.name, column.header(self.scaled), column.title, column.unit(self.scaled) or None, column.definition]
            for table in measured
            for column in table.columns
        ]
        return (*measured, Table("columns", COLUMN_COLUMNS, [explained]))

    def close(self) -> None:
        """Remove the files."""
        for file in (self._objects, self._images, self._spool):
            file.close()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def _summary(self, shelf: int, index: int) -> Generator[None, None, Summary]:
        return (yield from summarise(lambda: self._spool.column(shelf, index)))
