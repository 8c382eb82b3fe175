"""Measures one image and its objects: a task, pure. Nothing is summed up over images here, and nothing is kept.

Sizes and shapes come from the geometry kernel, areas in pixels from its masks.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import msgspec
import numpy as np

from labelferry_export.geometry.measure import measure_table
from labelferry_export.geometry.placement import Placement
from labelferry_export.geometry.raster import runs_of_all
from labelferry_export.geometry.ring import Floats, Shapes, lay_out
from labelferry_export.geometry.runs import Runs, areas_of
from labelferry_export.instances import shapes_of
from labelferry_export.lanes.task import Piece
from labelferry_export.model import Image, Instance
from labelferry_export.tables.columns import MAIN_MEASURES, MEASURES, STATISTICS, Cell, Row
from labelferry_export.tables.statistics import Summary, summarise_now

BATCH = 256
"""Objects measured between two yields: some milliseconds."""

_POSITIONS = [[column.key for column in MEASURES].index(key) for key in ("centroid_x", "centroid_y")]
_MAIN = [[column.key for column in MEASURES].index(key) for key in MAIN_MEASURES]


class MeasuredClass(msgspec.Struct, frozen=True, array_like=True):
    """What one image has of a class; `main` holds the main measures of its `objects` (crowds are apart), float64, row by row."""

    category_id: int
    objects: int
    crowds: int
    pixels: int
    main: bytes


class MeasuredImage(msgspec.Struct, frozen=True, array_like=True):
    """What one image is: its row of the table of images (a list of one, packed), its size in pixels, its classes."""

    row: bytes
    pixels: int
    classes: list[MeasuredClass]


encode = msgspec.msgpack.Encoder().encode
decode_image = msgspec.msgpack.Decoder(MeasuredImage).decode


class MeasureImage(msgspec.Struct, frozen=True):
    """The task of measuring an image. `names` are those of the classes by id; `scale` in um/px of the original, None keeps px.

    Yields the rows of its objects, packed, batch by batch, and last a `MeasuredImage`.
    """

    pixels: ClassVar[bool] = False

    names: Mapping[int, str]
    scale: float | None

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Measure."""
        masks: list[Runs] = []
        factors = np.array([column.factor(self.scale) for column in MEASURES])
        values = np.empty((len(instances), len(MEASURES)))
        for start in range(0, len(instances), BATCH):
            batch = instances[start : start + BATCH]
            shapes = shapes_of(batch)
            masks += runs_of_all(shapes, image.width, image.height)
            values[start : start + len(batch)] = self._measure(image, shapes) * factors
            rows = self._object_rows(image, batch, masks[start:], values[start : start + len(batch)])
            yield Piece(encode(rows), len(batch))
        yield Piece(encode(_image(image, instances, masks, values)), last=True)

    def _measure(self, image: Image, shapes: Shapes) -> Floats:
        """Return the measures of shapes, px; where there is a scale, px of the original, which is what the scale is of."""
        if self.scale is None or image.full == (image.width, image.height):
            return measure_table(shapes)
        back = Placement((image.width, image.height), image.full)
        values = measure_table(back.place_all(lay_out(shapes)))
        # Positions are on the image as it is in the bundle, whatever the scale.
        values[:, _POSITIONS] *= image.factor
        return values

    def _object_rows(
        self, image: Image, instances: Sequence[Instance], masks: Sequence[Runs], values: Floats
    ) -> list[Row]:
        rows: list[Row] = []
        for each, area, measured in zip(instances, areas_of(masks), _cells_of(values), strict=True):
            parts = each.shape.parts
            row: Row = [each.id, image.id, image.bundle_file, each.category_id, self.names.get(each.category_id)]
            row += [int(each.crowd), len(parts), sum(len(part.holes) for part in parts), area]
            rows.append(row + measured + [_attributes(each)])
        return rows


def _image(image: Image, instances: Sequence[Instance], masks: Sequence[Runs], values: Floats) -> MeasuredImage:
    crowd = np.array([each.crowd for each in instances], np.bool_)
    classes = np.array([each.category_id for each in instances], np.int64)
    covered, pixels = _covered(masks), image.width * image.height
    row: Row = [image.id, image.bundle_file, image.name, image.subset, image.split, image.width, image.height]
    row += [int((~crowd).sum()), int(crowd.sum()), covered, covered / pixels]
    main = values[:, _MAIN]
    for index, key in enumerate(MAIN_MEASURES):
        row += cells(key, summarise_now(main[~crowd, index]))
    measured = []
    for each in sorted(set(classes.tolist())):
        of_class = np.flatnonzero(classes == each)
        single = of_class[~crowd[of_class]]
        area = covered if len(of_class) == len(masks) else _covered([masks[i] for i in of_class.tolist()])
        measured.append(MeasuredClass(each, len(single), len(of_class) - len(single), area, main[single].tobytes()))
    return MeasuredImage(encode([row]), pixels, measured)


def cells(key: str, summary: Summary) -> Row:
    """Return the cells that a summary of the measure `key` fills."""
    filled: Row = [getattr(summary, name) for name, _, _ in STATISTICS]
    return [summary.sum, *filled] if key == "area" else filled


def _covered(masks: Sequence[Runs]) -> int:
    """Return how many pixels are in at least one mask."""
    return masks[0].union(*masks[1:]).area if masks else 0


def _cells_of(values: Floats) -> list[Row]:
    """Return rows of numbers as cells, empty where a number is nan."""
    rows: list[Row] = values.tolist()
    for index in np.flatnonzero(np.isnan(values).any(axis=1)).tolist():
        rows[index] = [None if value != value else value for value in rows[index]]
    return rows


def _attributes(instance: Instance) -> Cell:
    return msgspec.json.encode(instance.attributes, order="sorted").decode() if instance.attributes else None
