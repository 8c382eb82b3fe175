"""YOLO detect, read back by supervision and by the rules of Ultralytics' reader, also beside YOLO segment."""

import os
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.formats.yolo_detect import labels_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.model import Image, Instance

with warnings.catch_warnings():
    # It says at import that it works without OpenCV.
    warnings.simplefilter("ignore")
    from supervision import DetectionDataset

IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=40, height=20)


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def instance(*parts: Part, number: int = 3, crowd: bool = False) -> Instance:
    return Instance(id=number, image_id=5, category_id=2, shape=Shape(parts), crowd=crowd)


def test_a_row_is_the_class_from_0_and_centre_and_size_in_shares_of_the_image() -> None:
    written = labels_of(IMAGE, [instance(Part(box(10, 5, 20, 10)))])
    assert written.data == b"1 0.5000000 0.5000000 0.5000000 0.5000000\n"
    assert written.losses == ()


def test_a_box_is_put_around_all_parts_and_knows_no_holes() -> None:
    parts = (Part(box(0, 0, 10, 10), (box(2, 2, 3, 3),)), Part(box(30, 10, 10, 10)))
    assert labels_of(IMAGE, [instance(*parts)]).data == b"1 0.5000000 0.5000000 1.0000000 1.0000000\n"


corners = st.tuples(st.floats(0, 39), st.floats(0, 19), st.floats(1e-9, 40), st.floats(1e-9, 20))


@given(corners)
def test_a_box_is_never_smaller_than_its_object_nor_out_of_the_image(values: tuple[float, float, float, float]) -> None:
    x, y, width, height = values
    ring = box(x, y, min(width, 40 - x), min(height, 20 - y))
    _, *numbers = labels_of(IMAGE, [instance(Part(ring))]).data.decode().split()
    for centre, size, low, high, side in (
        (*numbers[::2], *ring[[0, 2], 0], 40),
        (*numbers[1::2], *ring[[0, 2], 1], 20),
    ):
        first, last = Decimal(centre) - Decimal(size) / 2, Decimal(centre) + Decimal(size) / 2
        assert 0 <= first < last <= 1
        assert float(first) * side <= low + 1e-8
        assert float(last) * side >= high - 1e-8
        assert float(last - first) * side <= high - low + 3e-6 * side


def test_edge_case_20_an_image_without_objects_has_an_empty_file() -> None:
    assert labels_of(IMAGE, []).data == b""


def test_a_crowd_is_left_out_and_reported() -> None:
    written = labels_of(IMAGE, [instance(Part(box(1, 1, 5, 5)), crowd=True)])
    assert written.data == b""
    assert [(warn.object_id, warn.format) for warn in written.losses] == [(3, "yolo_detect")]


def test_an_image_that_readers_refuse_is_reported() -> None:
    small = Image(id=5, name="a.png", path=Path("a.png"), width=9, height=40)
    assert "9 x 40" in labels_of(small, []).losses[0].message


def test_an_object_that_readers_take_for_another_one_is_reported() -> None:
    written = labels_of(IMAGE, [instance(Part(box(1, 1, 5, 5)), number=number) for number in (3, 4)])
    assert len(written.data.splitlines()) == 2
    assert [(warn.object_id, "object 3" in warn.message) for warn in written.losses] == [(4, True)]


def test_supervision_reads_the_boxes_around_the_objects(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(make_project(3), formats=("yolo_detect",)))
    tree = folder / "annotations/yolo_detect"
    dataset = DetectionDataset.from_yolo(
        images_directory_path=str(folder / "images"),
        annotations_directory_path=str(tree / "labels"),
        data_yaml_path=str(tree / "data.yaml"),
    )
    assert len(dataset) == 3
    assert dataset.classes == ["cell", "yes: # no"]
    for _, _, detections in dataset:
        assert detections.xyxy == pytest.approx(np.array([(2, 2, 10, 10), (12.5, 2, 22, 6), (4, 14, 20, 24)]), abs=1e-4)


def label_files(data_yaml: Path, role: str) -> dict[str, Path]:
    """Return the label file of each image as Ultralytics finds it: a list's lines begin at its folder, /images/ becomes /labels/."""
    place = (data_yaml.parent / yaml.safe_load(data_yaml.read_text())[role]).resolve()
    if place.is_dir():
        images = [str(path) for path in sorted(place.rglob("*.*"))]
    else:
        parent = f"{place.parent}{os.sep}"
        lines = place.read_text().strip().splitlines()
        images = [line.replace("./", parent) if line.startswith("./") else line for line in lines]
    found = {}
    for image in images:
        assert Path(image).is_file()
        found[Path(image).name] = Path("/labels/".join(image.rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt")
    return found


@pytest.mark.parametrize("split", [{}, {"train": 0.5, "val": 0.25, "test": 0.25}])
def test_boxes_and_polygons_lie_side_by_side_and_each_reader_finds_its_own(
    make_project: Callable[..., Path],
    export: Callable[..., Path],
    unzip: Callable[[Path], Path],
    split: dict[str, float],
) -> None:
    formats = ("yolo", "yolo_detect", "yolo_obb")
    folder = unzip(export(make_project(12), formats=formats, split=split))
    for tree, tokens in (("yolo_detect", {5}), ("yolo_obb", {9}), ("", None)):
        root = folder / "annotations" / tree if tree else folder
        if tree:
            (root / "images").symlink_to(Path("../../images"))
        seen: set[str] = set()
        for role in ("train", "val", "test") if split else ("train", "val"):
            for name, path in label_files(root / "data.yaml", role).items():
                rows = path.read_text().splitlines()
                assert len(rows) == 3
                assert tokens is None or {len(row.split()) for row in rows} == tokens
                seen.add(name)
        assert len(seen) == 12


def test_the_lists_of_splits_do_not_share_an_image(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(make_project(12), formats=("yolo_detect",), split={"train": 0.5, "val": 0.5}))
    tree = folder / "annotations/yolo_detect"
    lists = [(tree / f"{role}.txt").read_text().splitlines() for role in ("train", "val")]
    assert len({*lists[0], *lists[1]}) == len(lists[0]) + len(lists[1]) == 12
    assert all(line.startswith("./images/train/") for line in lists[0])
