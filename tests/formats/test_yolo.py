"""YOLO segment, read back by supervision and by the rules of Ultralytics' reader."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.formats._bridge import bridged
from labelferry_export.formats._yaml import quoted
from labelferry_export.formats.yolo import data_yaml, labels_of
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.model import Image, Instance

yaml = pytest.importorskip("yaml")

IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=40, height=20)


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def instance(*parts: Part, number: int = 3, crowd: bool = False) -> Instance:
    return Instance(id=number, image_id=5, category_id=2, shape=Shape(parts), crowd=crowd)


def test_a_row_is_the_class_from_0_and_the_ring_in_shares_of_the_image() -> None:
    written = labels_of(IMAGE, [instance(Part(box(10, 5, 20, 10)))])
    assert written.data == b"1 0.250000 0.250000 0.750000 0.250000 0.750000 0.750000 0.250000 0.750000\n"
    assert written.losses == ()


def test_edge_case_11_values_stay_within_0_and_1() -> None:
    data = labels_of(IMAGE, [instance(Part(box(-1e-9, 0, 40.0000001, 20.0000001)))]).data
    assert data == b"1 0.000000 0.000000 1.000000 0.000000 1.000000 1.000000 0.000000 1.000000\n"


def test_edge_case_20_an_image_without_objects_has_an_empty_file() -> None:
    assert labels_of(IMAGE, []).data == b""


def test_a_crowd_is_left_out_and_reported() -> None:
    written = labels_of(IMAGE, [instance(Part(box(1, 1, 5, 5)), crowd=True)])
    assert written.data == b""
    assert "crowd" in written.losses[0].message


def test_an_image_that_readers_refuse_is_reported() -> None:
    small = Image(id=5, name="a.png", path=Path("a.png"), width=9, height=40)
    assert "9 x 40" in labels_of(small, []).losses[0].message


def test_holes_and_parts_are_bridged_and_reported_by_object() -> None:
    holed = instance(Part(box(2, 2, 12, 12), (box(5, 5, 3, 3),)), number=7)
    parted = instance(Part(box(2, 2, 5, 5)), Part(box(12, 2, 5, 5)), number=8)
    written = labels_of(IMAGE, [holed, parted])
    assert [(warn.object_id, warn.format) for warn in written.losses] == [(7, "yolo"), (8, "yolo")]
    assert "1 hole" in written.losses[0].message
    assert "2 parts" in written.losses[1].message
    assert len(written.data.splitlines()) == 2


@pytest.mark.parametrize("parts", ["bridge", "split"])
def test_parts_that_overlap_are_joined_and_reported_as_readers_would_see_a_hole(parts: str) -> None:
    apart = instance(Part(box(2, 2, 8, 8)), Part(box(6, 6, 8, 8)), Part(box(20, 2, 4, 4)), number=8)
    written = labels_of(IMAGE, [apart], parts)
    rows = [np.array(row.split()[1:], float).reshape(-1, 2) * (40, 20) for row in written.data.decode().splitlines()]
    filled = [runs_of(Shape((Part(row.round(3)),)), 40, 20) for row in rows]
    assert sum(each.area for each in filled) == 64 + 64 - 16 + 16
    assert [str(warn.loss) for warn in written.losses] == ["joined", {"bridge": "bridged", "split": "split"}[parts]]


def test_parts_that_overlap_to_one_are_a_plain_row() -> None:
    written = labels_of(IMAGE, [instance(Part(box(2, 2, 8, 8)), Part(box(6, 6, 8, 8)))])
    assert len(written.data.split()) == 1 + 2 * 8
    assert [str(warn.loss) for warn in written.losses] == ["joined"]


def test_an_outline_with_the_class_and_the_box_of_another_is_reported_as_readers_drop_it() -> None:
    square, diamond = box(2, 2, 8, 8), np.array([(6, 2), (10, 6), (6, 10), (2, 6)], np.float64)
    alike = [instance(Part(ring), number=number) for number, ring in ((3, square), (4, diamond), (5, box(2, 2, 8, 9)))]
    other = Instance(id=6, image_id=5, category_id=1, shape=Shape((Part(square),)))
    written = labels_of(IMAGE, [*alike, other])
    assert len(written.data.splitlines()) == 4
    (warn,) = written.losses
    assert (warn.object_id, str(warn.loss)) == (4, "refused")
    assert warn.message == "object 4 has the class and the box of object 3: YOLO readers take them for one"


def test_rows_of_one_object_are_no_doubles_of_each_other() -> None:
    parts = instance(Part(box(2, 2, 5, 5)), Part(box(12, 2, 5, 5)), number=8)
    assert [str(warn.loss) for warn in labels_of(IMAGE, [parts], "split").losses] == ["split"]


def _scene(draw: Any) -> Shape:
    """Some boxes on a grid of cells, each with up to two holes."""
    parts = []
    for column, row in draw(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6)):
        x, y = column * 20.0, row * 20.0
        holes = [box(x + dx, y + 4, 3, 5) for dx in draw(st.sets(st.sampled_from([3.0, 9.0])))]
        outer = box(x, y, 16, 14)
        parts.append(Part(outer[::-1] if draw(st.booleans()) else outer, tuple(holes)))
    return Shape(tuple(parts))


scenes = st.composite(_scene)()


@given(scenes)
def test_a_bridged_ring_covers_the_same_pixels_by_both_fill_rules(shape: Shape) -> None:
    ring = bridged(shape)
    assert runs_of(Shape((Part(ring),)), 80, 80) == runs_of(shape, 80, 80)
    winding = np.zeros((80, 80), int)
    for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        _wind(winding, start, end)
    assert ((winding != 0) == runs_of(shape, 80, 80).mask()).all()


def _wind(winding: Any, start: Any, end: Any) -> None:
    """Add an edge to the winding number of every pixel centre to its left."""
    x, y = np.meshgrid(np.arange(80) + 0.5, np.arange(80) + 0.5)
    crosses = (np.minimum(start[1], end[1]) <= y) & (y < np.maximum(start[1], end[1]))
    if start[1] != end[1]:
        at = start[0] + (y - start[1]) / (end[1] - start[1]) * (end[0] - start[0])
        winding += (crosses & (x < at)) * (1 if end[1] > start[1] else -1)


@given(scenes)
def test_every_vertex_is_in_the_bridged_ring(shape: Shape) -> None:
    vertices = {tuple(point) for part in shape.parts for ring in (part.outer, *part.holes) for point in ring.tolist()}
    assert {tuple(point) for point in bridged(shape).tolist()} == vertices


def test_a_thousand_parts_are_bridged_in_no_time() -> None:
    shape = Shape(tuple(Part(box(3 * (n % 40), 3 * (n // 40), 2, 2)) for n in range(1000)))
    assert len(bridged(shape)) == 1000 * 4 + 2 * 999


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_name_comes_back_from_yaml_as_it_was(name: str) -> None:
    assert yaml.safe_load(f"0: {quoted(name)}") == {0: name}


@pytest.mark.parametrize("name", ["yes", "1.5", "a: b", "# x", "- y", "'", '"', "\\", "\x85\u2028\ufeff", "🚢", ""])
def test_edge_case_17_names_that_yaml_would_read_as_something_else_are_strings(name: str) -> None:
    assert yaml.safe_load(data_yaml([], [name]))["names"] == {0: name}


@pytest.mark.parametrize(
    ("splits", "folders"),
    [
        ([], {"train": "images", "val": "images"}),
        (["train", "val"], {"train": "images/train", "val": "images/val"}),
        (["train", "val", "test"], {"train": "images/train", "val": "images/val", "test": "images/test"}),
        (["training", "valid"], {"train": "images/training", "val": "images/valid"}),
        (["train"], {"train": "images/train", "val": "images/train"}),
        (["train", "test"], {"train": "images/train", "val": "images/test", "test": "images/test"}),
        (["a", "b"], {"train": "images/a", "val": "images/b"}),
        (["test"], {"train": "images/test", "val": "images/test", "test": "images/test"}),
    ],
)
def test_train_and_val_are_always_there_and_path_never_is(splits: list[str], folders: dict[str, str]) -> None:
    said = yaml.safe_load(data_yaml(splits, ["a", "b"]))
    assert said == {**folders, "nc": 2, "names": {0: "a", 1: "b"}}


def test_supervision_reads_the_tree_with_the_masks_that_were_written(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    supervision = pytest.importorskip("supervision")
    folder = unzip(export(make_project(4, side=48), formats=("yolo",)))
    dataset = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(folder / "images"),
        annotations_directory_path=str(folder / "labels"),
        data_yaml_path=str(folder / "data.yaml"),
        force_masks=True,
    )
    assert len(dataset) == 4
    assert dataset.classes == ["cell", "yes: # no"]
    for _, _, detections in dataset:
        assert len(detections) == 3
        assert detections.mask.any(axis=(1, 2)).all()


def test_the_polygons_of_a_row_have_the_area_of_the_object() -> None:
    shape = Shape((Part(box(2, 2, 12, 12), (box(5, 5, 3, 3),)),))
    (row,) = labels_of(IMAGE, [instance(*shape.parts)]).data.decode().splitlines()
    points = np.array(row.split()[1:], float).reshape(-1, 2) * (40, 20)
    x, y = points.T
    assert abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2 == pytest.approx(144 - 9, abs=1e-3)
    assert shapely.Polygon(points).bounds == pytest.approx((2, 2, 14, 14), abs=1e-4)
