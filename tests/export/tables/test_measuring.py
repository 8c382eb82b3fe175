"""The rows and columns of the tables, from objects whose measures are known."""

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labelferry_export.geometry.measures import QUANTITY, Measures
from labelferry_export.model import Category, Image, Instance
from labelferry_export.tables import Measurements
from labelferry_export.tables.columns import (
    CLASS_COLUMNS,
    COLUMN_COLUMNS,
    IMAGE_COLUMNS,
    MEASURES,
    OBJECT_COLUMNS,
    Cell,
    Kind,
)

Points = Sequence[tuple[float, float]]
Box = Callable[[float, float, float, float], Points]
MakeObject = Callable[..., Instance]
MakeImage = Callable[..., Image]
Measure = Callable[..., Measurements]


def records(measured: Measurements, name: str) -> list[dict[str, Cell]]:
    (table,) = (table for table in measured.tables if table.name == name)
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, row, strict=True)) for block in table.rows for row in block]


def number(cell: Cell) -> float:
    assert isinstance(cell, int | float)
    return cell


def test_the_columns_are_those_that_the_geometry_kernel_measures() -> None:
    assert tuple(column.key for column in MEASURES) == Measures._fields
    kinds = {"position": Kind.PIXELS} | {kind: Kind(kind) for kind in ("length", "area", "ratio", "angle")}
    assert [column.kind for column in MEASURES] == [kinds[QUANTITY[column.key]] for column in MEASURES]


@pytest.mark.parametrize("columns", [OBJECT_COLUMNS, IMAGE_COLUMNS, CLASS_COLUMNS, COLUMN_COLUMNS])
def test_no_header_is_there_twice_and_every_column_is_explained(columns: Any) -> None:
    for scaled in (True, False):
        headers = [column.header(scaled) for column in columns]
        assert len(set(headers)) == len(headers)
    assert all(column.definition.endswith(".") and column.title for column in columns)


def test_closed_forms_come_through(measure: Measure, make_object: MakeObject, make_image: MakeImage, box: Box) -> None:
    square = make_object(5, box(10, 10, 90, 90))
    with_hole = make_object(6, box(100, 10, 160, 50), box(110, 20, 130, 40))
    first, second = records(measure([(make_image(), [square, with_hole])]), "objects")
    assert (first["object_id"], first["area"], first["perimeter"], first["mask_pixels"]) == (5, 6400, 320, 6400)
    assert first["feret_max"] == pytest.approx(113.137085)
    assert first["feret_min"] == pytest.approx(80)
    assert first["orientation"] is None
    assert (second["area"], second["perimeter"], second["perimeter_with_holes"]) == (2000, 200, 280)
    assert (second["holes"], second["mask_pixels"]) == (1, 2000)


@pytest.mark.parametrize("scale", [0.0417, 0.0625, 2.0])
def test_lengths_grow_with_the_scale_areas_with_its_square_and_ratios_not(
    measure: Measure, make_object: MakeObject, make_image: MakeImage, box: Box, scale: float
) -> None:
    pairs = [(make_image(), [make_object(1, box(10, 10, 90, 40)), make_object(2, box(100, 10, 160, 50))])]
    for name, columns in (("objects", OBJECT_COLUMNS), ("images", IMAGE_COLUMNS), ("classes", CLASS_COLUMNS)):
        plain, scaled = records(measure(pairs), name)[0], records(measure(pairs, scale=scale), name)[0]
        for column in columns:
            factor = {Kind.LENGTH: scale, Kind.AREA: scale**2}.get(column.kind)
            if factor is None:
                assert scaled[column.key] == plain[column.key]
            else:
                assert scaled[column.key] == pytest.approx(number(plain[column.key]) * factor)


def test_the_unit_is_in_the_header() -> None:
    headers = {column.key: (column.header(True), column.header(False)) for column in OBJECT_COLUMNS}
    assert headers["area"] == ("area_um2", "area_px2")
    assert headers["feret_max"] == ("feret_max_um", "feret_max_px")
    assert headers["centroid_x"] == ("centroid_x_px", "centroid_x_px")
    assert headers["circularity"] == ("circularity", "circularity")


def test_covered_pixels_count_each_pixel_once(
    measure: Measure, make_object: MakeObject, make_image: MakeImage, box: Box
) -> None:
    objects = [make_object(1, box(0, 0, 20, 10)), make_object(2, box(10, 0, 30, 10)), make_object(3, box(0, 0, 5, 5))]
    (image,) = records(measure([(make_image(), objects)]), "images")
    assert (image["objects"], image["covered_pixels"]) == (3, 300)
    assert image["covered_fraction"] == 300 / 20_000
    assert image["area_sum"] == 425


def test_an_image_without_objects_has_a_row_with_nothing_but_counts(measure: Measure, make_image: MakeImage) -> None:
    (image,) = records(measure([(make_image(), [])]), "images")
    assert (image["objects"], image["covered_fraction"], image["area_sum"]) == (0, 0, 0)
    assert image["area_mean"] is image["area_std"] is image["solidity_median"] is None


def test_a_class_without_objects_has_a_row(measure: Measure, make_image: MakeImage) -> None:
    rows = records(measure([(make_image(), [])], [Category(1, "cell"), Category(2, "dust", "dirt")]), "classes")
    assert [(row["class_id"], row["class"], row["supercategory"], row["objects"]) for row in rows] == [
        (1, "cell", None, 0),
        (2, "dust", "dirt", 0),
    ]
    assert rows[1]["area_mean"] is None


def test_a_crowd_is_measured_and_counted_apart(
    measure: Measure, make_object: MakeObject, make_image: MakeImage, box: Box
) -> None:
    objects = [make_object(1, box(0, 0, 10, 10)), make_object(2, box(50, 0, 90, 40), crowd=True)]
    measured = measure([(make_image(), objects)])
    assert [row["crowd"] for row in records(measured, "objects")] == [0, 1]
    for name in ("images", "classes"):
        (row,) = records(measured, name)
        assert (row["objects"], row["crowds"], row["covered_pixels"], row["area_sum"]) == (1, 1, 1700, 100)


def test_classes_are_summed_up_over_all_images(
    measure: Measure, make_object: MakeObject, make_image: MakeImage, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (
        ("spool.HELD_ROWS", 7),
        ("spool.BLOCK_VALUES", 5),
        ("statistics.GATHERED", 4),
        ("measured.BATCH", 3),
    ):
        monkeypatch.setattr(f"labelferry_export.tables.{name}", size)
    random = np.random.default_rng(5)
    areas: dict[int, list[float]] = {1: [], 2: []}
    pairs = []
    for image in range(1, 9):
        objects = []
        for at in range(int(random.integers(0, 9))):
            side, category = float(random.integers(2, 40)), int(random.integers(1, 3))
            areas[category].append(side * side)
            objects.append(make_object(10 * image + at, box(at, at, at + side, at + side), category_id=category))
        pairs.append((make_image(image, f"{image}.png"), objects))
    rows = records(measure(pairs, [Category(1, "a"), Category(2, "b")]), "classes")
    for row, values in zip(rows, areas.values(), strict=True):
        assert row["objects"] == len(values)
        assert row["area_sum"] == math.fsum(values)
        assert row["area_median"] == statistics.median(values)
        assert row["area_std"] == pytest.approx(statistics.stdev(values), rel=1e-12)


def test_attributes_are_a_json_object_in_the_order_of_their_names(
    measure: Measure, make_object: MakeObject, make_image: MakeImage, box: Box
) -> None:
    objects = [
        make_object(1, box(0, 0, 9, 9), attributes={"stain": "HE", "area": 2, "ok": True}),
        make_object(2, box(0, 0, 9, 9)),
    ]
    first, second = records(measure([(make_image(), objects)]), "objects")
    assert first["attributes"] == '{"area":2,"ok":true,"stain":"HE"}'
    assert second["attributes"] is None


def test_a_project_without_images_has_empty_tables(measure: Measure) -> None:
    measured = measure([], [])
    assert [records(measured, name) for name in ("objects", "images", "classes")] == [[], [], []]


def test_nothing_is_left_behind(make_object: MakeObject, make_image: MakeImage, box: Box, tmp_path: Path) -> None:
    with Measurements(tmp_path, [Category(1, "cell")], None) as measured:
        list(measured.add(make_image(), [make_object(1, box(0, 0, 9, 9))]))
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
