"""Measures a project image by image and sums it up: the rows of the tables objects, images and classes, kept on disk.

Nothing is measured here: sizes and shapes come from the geometry kernel, areas in pixels from its masks.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from labelferry_export.geometry.measure import measure_all
from labelferry_export.geometry.raster import runs_of_all
from labelferry_export.geometry.ring import Floats
from labelferry_export.geometry.runs import Runs
from labelferry_export.model import Category, Image, Instance
from labelferry_export.tables.columns import (
    CLASS_COLUMNS,
    COLUMN_COLUMNS,
    IMAGE_COLUMNS,
    MAIN_MEASURES,
    MEASURES,
    OBJECT_COLUMNS,
    STATISTICS,
    Cell,
    Column,
    Row,
)
from labelferry_export.tables.rowfile import RowFile
from labelferry_export.tables.spool import Spool
from labelferry_export.tables.statistics import Summary, summarise, summarise_now

BATCH = 256
"""Objects measured between two yields: some milliseconds."""

_MAIN = [[column.key for column in MEASURES].index(key) for key in MAIN_MEASURES]


@dataclass(frozen=True)
class Table:
    """A table: its name, its columns, and its rows in blocks (as often as they are asked for)."""

    name: str
    columns: tuple[Column, ...]
    rows: Iterable[list[Row]]


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
        self._names = {each.id: each.name for each in categories}
        self._factors = np.array([column.factor(scale) for column in MEASURES])
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

    def add(self, image: Image, instances: Sequence[Instance]) -> Iterator[int]:
        """Measure an image and its objects; a yield after each batch, of how many objects were measured in it."""
        masks: list[Runs] = []
        values = np.empty((len(instances), len(MEASURES)))
        for start in range(0, len(instances), BATCH):
            batch = instances[start : start + BATCH]
            shapes = [each.shape for each in batch]
            masks += runs_of_all(shapes, image.width, image.height)
            values[start : start + len(batch)] = np.array(measure_all(shapes)) * self._factors
            rows = self._object_rows(image, batch, masks[start:], values[start : start + len(batch)])
            self._objects.add(rows)
            yield len(batch)
        self._add_image(image, instances, masks, values)

    def finish(self) -> Iterator[None]:
        """Sum up the classes; a yield after every so many objects. Nothing can be added then."""
        for category in self._categories:
            tally = self._tallies.get(category.id, _ClassTally())
            fraction = tally.pixels / self._pixels if self._pixels else None
            row: Row = [category.id, category.name, category.supercategory or None]
            row += [tally.images, tally.objects, tally.crowds, tally.pixels, fraction]
            for index, key in enumerate(MAIN_MEASURES):
                row += _cells(key, (yield from self._summary(category.id, index)))
            self._classes.append(row)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables, the one that explains the others last."""
        measured = (
            Table("objects", OBJECT_COLUMNS, self._objects),
            Table("images", IMAGE_COLUMNS, self._images),
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

    def _object_rows(
        self, image: Image, instances: Sequence[Instance], masks: Sequence[Runs], values: Floats
    ) -> list[Row]:
        rows: list[Row] = []
        for each, mask, measured in zip(instances, masks, _cells_of(values), strict=True):
            parts = each.shape.parts
            row: Row = [each.id, image.id, image.bundle_file, each.category_id, self._names.get(each.category_id)]
            row += [int(each.crowd), len(parts), sum(len(part.holes) for part in parts), mask.area]
            rows.append(row + measured + [_attributes(each)])
        return rows

    def _add_image(self, image: Image, instances: Sequence[Instance], masks: Sequence[Runs], values: Floats) -> None:
        crowd = np.array([each.crowd for each in instances], np.bool_)
        classes = np.array([each.category_id for each in instances], np.int64)
        covered, pixels = _covered(masks), image.width * image.height
        row: Row = [image.id, image.bundle_file, image.name, image.subset, image.split, image.width, image.height]
        row += [int((~crowd).sum()), int(crowd.sum()), covered, covered / pixels]
        main = values[:, _MAIN]
        for index, key in enumerate(MAIN_MEASURES):
            row += _cells(key, summarise_now(main[~crowd, index]))
        self._images.add([row])
        self._pixels += pixels
        for each in sorted(set(classes.tolist())):
            of_class = np.flatnonzero(classes == each)
            tally = self._tallies.setdefault(each, _ClassTally())
            tally.images += 1
            tally.crowds += int(crowd[of_class].sum())
            tally.objects += int((~crowd[of_class]).sum())
            tally.pixels += covered if len(of_class) == len(masks) else _covered([masks[i] for i in of_class.tolist()])
            if not crowd[of_class].all():
                self._spool.add(each, main[of_class[~crowd[of_class]]])

    def _summary(self, shelf: int, index: int) -> Generator[None, None, Summary]:
        return (yield from summarise(lambda: self._spool.column(shelf, index)))


def _covered(masks: Sequence[Runs]) -> int:
    """Return how many pixels are in at least one mask."""
    return masks[0].union(*masks[1:]).area if masks else 0


def _cells(key: str, summary: Summary) -> Row:
    cells: Row = [getattr(summary, name) for name, _, _ in STATISTICS]
    return [summary.sum, *cells] if key == "area" else cells


def _cells_of(values: Floats) -> list[Row]:
    """Return rows of numbers as cells, empty where a number is nan."""
    rows: list[Row] = values.tolist()
    for index in np.flatnonzero(np.isnan(values).any(axis=1)).tolist():
        rows[index] = [None if value != value else value for value in rows[index]]
    return rows


def _attributes(instance: Instance) -> Cell:
    return msgspec.json.encode(instance.attributes, order="sorted").decode() if instance.attributes else None
