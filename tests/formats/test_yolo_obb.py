"""YOLO oriented boxes, read back by supervision; the rectangles are the least ones, whatever the angle."""

import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.formats.yolo_obb import labels_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.model import Image, Instance

with warnings.catch_warnings():
    # It says at import that it works without OpenCV.
    warnings.simplefilter("ignore")
    from supervision import DetectionDataset

IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=400, height=200)

BAND = np.array([(0, 0), (20, 0), (80, 60), (60, 80), (0, 20)], np.float64)
"""Its least rectangle lies across the corner of the image."""


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def instance(*parts: Part, number: int = 3, crowd: bool = False) -> Instance:
    return Instance(id=number, image_id=5, category_id=2, shape=Shape(parts), crowd=crowd)


def corners_of(data: bytes) -> Ring:
    (row,) = data.decode().splitlines()
    return np.array(row.split()[1:], np.float64).reshape(4, 2) * (400, 200)


def turned(ring: Ring, degrees: float) -> Ring:
    angle, centre = np.radians(degrees), ring.mean(axis=0)
    matrix = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    return np.asarray((ring - centre) @ matrix.T + centre, np.float64)


def test_a_row_is_the_class_from_0_and_the_corners_clockwise_from_the_upper_left_one() -> None:
    written = labels_of(IMAGE, [instance(Part(box(100, 50, 200, 100)))])
    assert written.data == b"1 0.250000 0.250000 0.750000 0.250000 0.750000 0.750000 0.250000 0.750000\n"
    assert written.losses == ()


@given(st.floats(0, 180), st.floats(1, 90), st.floats(1, 90))
def test_a_turned_rectangle_is_its_own_least_rectangle(degrees: float, width: float, height: float) -> None:
    ring = turned(box(200 - width / 2, 100 - height / 2, width, height), degrees)
    written = shapely.Polygon(corners_of(labels_of(IMAGE, [instance(Part(ring))]).data))
    assert written.hausdorff_distance(shapely.Polygon(ring)) < 0.02


points = st.tuples(st.integers(100, 300), st.integers(60, 140)).map(lambda each: (float(each[0]), float(each[1])))
outlines = (
    st.lists(points, min_size=3, max_size=12, unique=True)
    .map(lambda each: np.array(each, np.float64))
    .filter(lambda each: shapely.MultiPoint(each).convex_hull.area > 1)
)


@given(outlines)
def test_the_rectangle_holds_the_object_and_none_with_a_side_on_the_hull_is_less(ring: Ring) -> None:
    written = labels_of(IMAGE, [instance(Part(ring))])
    if written.losses:
        return
    rectangle = shapely.Polygon(corners_of(written.data))
    assert rectangle.exterior.is_ccw
    assert rectangle.buffer(0.01).covers(shapely.MultiPoint(ring))
    hull = np.array(shapely.MultiPoint(ring).convex_hull.exterior.coords)
    for side in np.diff(hull, axis=0):
        along, across = hull @ side, hull @ (-side[1], side[0])
        assert rectangle.area <= np.ptp(along) * np.ptp(across) / (side @ side) + 2


def test_one_rectangle_is_put_around_all_parts() -> None:
    parts = (Part(box(0, 0, 10, 10)), Part(box(30, 0, 10, 10), (box(32, 2, 3, 3),)))
    assert corners_of(labels_of(IMAGE, [instance(*parts)]).data) == pytest.approx(box(0, 0, 40, 10))


def test_edge_case_11_corners_out_of_the_image_are_moved_to_its_border_and_reported() -> None:
    written = labels_of(IMAGE, [instance(Part(BAND))])
    assert corners_of(written.data) == pytest.approx(np.array([(10, 0), (80, 60), (60, 80), (0, 10)]), abs=1e-3)
    assert [(warn.object_id, "10.00 px out of the image" in warn.message) for warn in written.losses] == [(3, True)]


@given(outlines, st.floats(0, 1))
def test_a_fitted_rectangle_lies_in_the_image_and_holds_the_object(ring: Ring, place: float) -> None:
    low, high = ring.min(axis=0), ring.max(axis=0)
    ring = ring - low + place * np.array([0, 200 - (high - low)[1]])
    written = labels_of(IMAGE, [instance(Part(ring))], border="fit")
    rectangle = shapely.Polygon(corners_of(written.data))
    assert rectangle.buffer(0.01).covers(shapely.MultiPoint(ring))
    assert shapely.box(0, 0, 400, 200).covers(rectangle)
    sides = np.diff(np.array(rectangle.exterior.coords), axis=0)
    skews = [abs(first @ second) / max(np.hypot(*first), np.hypot(*second)) for first, second in pairwise(sides)]
    assert max(skews) < 0.03
    assert rectangle.area <= shapely.MultiPoint(ring).envelope.area + 0.5


def test_a_fitted_rectangle_is_reported_where_the_least_one_is_another() -> None:
    written = labels_of(IMAGE, [instance(Part(BAND)), instance(Part(box(0, 0, 5, 5)), number=4)], border="fit")
    assert written.data.splitlines()[0] == b"1 0.000000 0.000000 0.200000 0.000000 0.200000 0.400000 0.000000 0.400000"
    assert [(warn.object_id, "least one within" in warn.message) for warn in written.losses] == [(3, True)]


def test_edge_case_20_an_image_without_objects_has_an_empty_file() -> None:
    assert labels_of(IMAGE, []).data == b""


def test_a_crowd_is_left_out_and_a_double_reported() -> None:
    crowd = instance(Part(box(1, 1, 5, 5)), number=9, crowd=True)
    written = labels_of(IMAGE, [crowd, *(instance(Part(box(1, 1, 5, 5)), number=number) for number in (3, 4))])
    assert len(written.data.splitlines()) == 2
    assert [(warn.object_id, warn.format) for warn in written.losses] == [(9, "yolo_obb"), (4, "yolo_obb")]


def test_supervision_reads_the_rectangles(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(make_project(3), formats=("yolo_obb",)))
    tree = folder / "annotations/yolo_obb"
    dataset = DetectionDataset.from_yolo(
        images_directory_path=str(folder / "images"),
        annotations_directory_path=str(tree / "labels"),
        data_yaml_path=str(tree / "data.yaml"),
        is_obb=True,
    )
    assert len(dataset) == 3
    assert dataset.classes == ["cell", "yes: # no"]
    for _, _, detections in dataset:
        corners = detections.data["xyxyxyxy"]
        assert corners[0] == pytest.approx(box(2, 2, 8, 8), abs=1e-3)
        assert corners[2] == pytest.approx(box(4, 14, 16, 10), abs=1e-3)
