"""COCO, read back by pycocotools: the same masks, areas and boxes, holes open, ids kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pycocotools.mask as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO

from labelferry_export.findings import Finding
from labelferry_export.formats.coco import annotations_of
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.model import Image, Instance

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 40
IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=SIZE, height=SIZE)


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def annotation(*parts: Part, crowd: bool = False, rle: str = "compressed") -> dict[str, Any]:
    instance = Instance(id=3, image_id=5, category_id=1, shape=Shape(parts), crowd=crowd)
    decoded: dict[str, Any] = msgspec.json.decode(annotations_of(IMAGE, [instance], rle).data)
    return decoded


def mask_of(each: dict[str, Any]) -> Any:
    coco = COCO()
    coco.imgs = {5: {"id": 5, "width": SIZE, "height": SIZE}}
    return coco.annToMask(each)


def test_edge_case_1_a_hole_stays_open_and_the_object_is_no_crowd() -> None:
    each = annotation(Part(box(5, 5, 25, 25), (box(10, 10, 10, 10),)))
    assert mask_of(each).sum() == each["area"] == 525
    assert each["iscrowd"] == 0
    assert each["bbox"] == [5, 5, 25, 25]


@pytest.mark.parametrize(
    ("ring", "area", "bounds"),
    [
        (box(10, 10, 10, 10), 100, [10, 10, 10, 10]),
        (box(9.5, 9.5, 10, 10), 100, [10, 10, 10, 10]),
        (np.array([(5.0, 5.0), (25.0, 5.0), (5.0, 25.0)]), 190, [5, 5, 19, 19]),
    ],
)
def test_edge_case_4_area_and_box_are_those_of_the_mask(ring: Ring, area: int, bounds: list[int]) -> None:
    each = annotation(Part(ring))
    encoded = reference.frPyObjects(each["segmentation"], SIZE, SIZE)
    assert each["area"] == area == int(reference.area(encoded)[0])
    assert each["bbox"] == bounds == reference.toBbox(encoded)[0].tolist()


def test_edge_case_3_run_lengths_go_down_the_columns_and_size_is_height_then_width() -> None:
    image = Image(id=5, name="a.png", path=Path("a.png"), width=12, height=10)
    shape = Shape((Part(box(3, 2, 6, 6), (box(5, 4, 2, 2),)),))
    instance = Instance(id=3, image_id=5, category_id=1, shape=shape)
    each = msgspec.json.decode(annotations_of(image, [instance], "uncompressed").data)
    assert each["segmentation"] == {"size": [10, 12], "counts": [32, 6, 4, 6, 4, 2, 2, 2, 4, 2, 2, 2, 4, 6, 4, 6, 32]}


def test_edge_case_2_run_lengths_begin_with_zeros_also_where_there_are_none() -> None:
    image = Image(id=5, name="a.png", path=Path("a.png"), width=2, height=2)
    instance = Instance(id=3, image_id=5, category_id=1, shape=Shape((Part(box(0, 0, 2, 2)),)), crowd=True)
    each = msgspec.json.decode(annotations_of(image, [instance], "uncompressed").data)
    assert each["segmentation"]["counts"] == [0, 4]


def test_edge_case_7_parts_are_rings_of_one_annotation() -> None:
    boxes = [box(x, y, 5, 5) for x, y in ((1, 1), (11, 1), (1, 11), (11, 11))]
    each = annotation(*(Part(ring) for ring in boxes))
    assert len(each["segmentation"]) == 4
    assert mask_of(each).sum() == each["area"] == 100


def test_a_crowd_is_run_lengths_with_iscrowd_1() -> None:
    each = annotation(Part(box(1, 1, 5, 5)), crowd=True)
    assert each["iscrowd"] == 1
    assert isinstance(each["segmentation"]["counts"], str)
    assert mask_of(each).sum() == 25


def test_both_kinds_of_run_lengths_are_the_same_mask() -> None:
    part = Part(box(5, 5, 25, 25), (box(10, 10, 10, 10),))
    assert (mask_of(annotation(part)) == mask_of(annotation(part, rle="uncompressed"))).all()


def test_whole_numbers_are_written_as_such_and_others_in_full() -> None:
    shape = Shape((Part(np.array([(0.1, 1.0), (7.0, 1.0), (7.0, 1 / 3 + 5)])),))
    data = annotations_of(IMAGE, [Instance(id=3, image_id=5, category_id=1, shape=shape)], "compressed").data
    assert b"[0.1,1,7,1,7,5.333333333333333]" in data


def test_an_object_without_a_pixel_has_the_box_of_its_vertices_and_is_reported() -> None:
    sliver = Shape((Part(np.array([(3.6, 3.6), (3.9, 3.6), (3.9, 3.7)])),))
    written = annotations_of(IMAGE, [Instance(id=3, image_id=5, category_id=1, shape=sliver)], "compressed")
    each = msgspec.json.decode(written.data)
    assert each["area"] == 0
    assert each["bbox"] == pytest.approx([3.6, 3.6, 0.3, 0.1])
    assert [warn.code for warn in written.losses] == [Finding.OBJECT_NO_PIXEL]


coordinates = st.floats(0, SIZE).map(lambda value: round(value, 2))
rings = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9, unique=True).map(
    lambda points: np.array(points, np.float64)
)


@given(st.lists(rings, min_size=1, max_size=3))
def test_any_polygon_reads_back_as_the_mask_area_and_box_that_were_written(outers: list[Ring]) -> None:
    each = annotation(*(Part(ring) for ring in outers))
    encoded = reference.merge(reference.frPyObjects(each["segmentation"], SIZE, SIZE))
    assert int(reference.area(encoded)) == each["area"]
    if each["area"]:
        assert reference.toBbox(encoded).tolist() == each["bbox"]
    shape = Shape(tuple(Part(ring) for ring in outers))
    assert (reference.decode(encoded).astype(bool) == runs_of(shape, SIZE, SIZE).mask()).all()


def test_pycocotools_loads_the_file_with_every_image_and_object(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(make_project(5), formats=("coco",)))
    coco = COCO(str(folder / "annotations/coco/instances.json"))
    assert (len(coco.imgs), len(coco.anns)) == (5, 15)
    assert [each["id"] for each in coco.loadCats(coco.getCatIds())] == [1, 2]
    for each in coco.anns.values():
        assert int(reference.area(coco.annToRLE(each))) == each["area"]
    for each in coco.imgs.values():
        assert (folder / "images" / each["file_name"]).exists()


def test_the_file_is_json_also_without_any_object(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    project = make_project(2)
    document = json.loads((project / "instances.json").read_text())
    (project / "instances.json").write_text(json.dumps({**document, "annotations": []}))
    folder = unzip(export(project, formats=("coco", "yolo", "json")))
    coco = json.loads((folder / "annotations/coco/instances.json").read_text())
    assert (len(coco["images"]), coco["annotations"]) == (2, [])
    assert [path.read_bytes() for path in (folder / "labels").iterdir()] == [b"", b""]
