"""LabelMe, read back by supervision and by the rules of LabelMe's own reader (`_label_file.py`), written again here."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image as Pillow

from labelferry_export.findings import Finding
from labelferry_export.formats.labelme import shapes_of
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.model import Image, Instance

IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=40, height=30)
NAMES = ("cell", "nucleus")


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def instance(*parts: Part, crowd: bool = False, **attributes: str | float | bool) -> Instance:
    return Instance(id=7, image_id=5, category_id=2, shape=Shape(parts), crowd=crowd, attributes=dict(attributes))


def shapes(each: Instance, holes: str = "mask") -> list[dict[str, Any]]:
    decoded: list[dict[str, Any]] = msgspec.json.decode(b"[" + shapes_of(IMAGE, [each], NAMES, holes).data + b"]")
    return decoded


def mask_of(shape: dict[str, Any]) -> Any:
    """Return the pixels of a mask shape as LabelMe lays them into the image: from the first point to the last, both included."""
    (left, top), (right, bottom) = shape["points"]
    mask = np.zeros((IMAGE.height, IMAGE.width), bool)
    png = Pillow.open(io.BytesIO(base64.b64decode(shape["mask"])))
    mask[top : bottom + 1, left : right + 1] = np.asarray(png).astype(bool)
    return mask


def test_a_square_is_a_polygon_with_its_class_and_number() -> None:
    (shape,) = shapes(instance(Part(box(2, 3, 10, 5)), round=True, note="x"))
    assert shape["label"] == "nucleus"
    assert shape["shape_type"] == "polygon"
    assert shape["points"] == [[2, 3], [12, 3], [12, 8], [2, 8]]
    assert (shape["group_id"], shape["description"], shape["id"]) == (None, "id 7", 7)
    assert shape["flags"] == {"round": True}
    assert shape["attributes"] == {"round": True, "note": "x"}


def test_edge_case_7_parts_are_polygons_of_one_group() -> None:
    found = shapes(instance(Part(box(1, 1, 5, 5)), Part(box(11, 1, 5, 5))))
    assert [each["group_id"] for each in found] == [7, 7]


def test_edge_case_1_a_hole_stays_open_in_the_mask() -> None:
    each = instance(Part(box(3, 3, 25, 25), (box(10, 10, 10, 10),)))
    (shape,) = shapes(each)
    assert shape["shape_type"] == "mask"
    assert shape["points"] == [[3, 3], [27, 27]]
    assert mask_of(shape).sum() == 525
    assert (mask_of(shape) == runs_of(each.shape, 40, 30).mask()).all()


def test_a_hole_that_follows_pixels_loses_nothing_and_another_is_reported() -> None:
    exact = instance(Part(box(3, 3, 25, 25), (box(10, 10, 10, 10),)))
    assert shapes_of(IMAGE, [exact], NAMES, "mask").losses == ()
    rounded = instance(Part(box(3.5, 3, 25, 25), (box(10, 10, 10, 10),)))
    (warn,) = shapes_of(IMAGE, [rounded], NAMES, "mask").losses
    assert (warn.code, warn.object_id, warn.format) == (Finding.FORMAT_LOSS, 7, "labelme")
    assert "1 hole written as a mask" in warn.message


def test_holes_as_rings_are_flagged_polygons_of_the_group_and_reported() -> None:
    each = instance(Part(box(3, 3, 25, 25), (box(10, 10, 10, 10),)))
    outer, hole = shapes(each, "rings")
    assert (outer["group_id"], hole["group_id"]) == (7, 7)
    assert (outer["flags"], hole["flags"]) == ({}, {"hole": True})
    assert len(shapes_of(IMAGE, [each], NAMES, "rings").losses) == 1


def test_a_holed_object_without_a_pixel_is_left_out_and_reported() -> None:
    sliver = instance(Part(box(3.6, 3.6, 0.3, 0.3), (box(3.7, 3.7, 0.1, 0.1),)))
    written = shapes_of(IMAGE, [sliver], NAMES, "mask")
    assert written.data == b""
    assert [warn.code for warn in written.losses] == [Finding.OBJECT_NO_PIXEL]


def test_a_crowd_is_a_flag() -> None:
    assert shapes(instance(Part(box(1, 1, 5, 5)), crowd=True))[0]["flags"] == {"crowd": True}


def test_every_file_keeps_the_rules_of_labelmes_reader(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(odd_project, formats=("labelme",), split={"train": 0.5, "val": 0.5}))
    files = sorted((folder / "annotations/labelme").rglob("*.json"))
    assert len(files) == 4
    for path in files:
        document = json.loads(path.read_text())
        assert document["imageData"] is None
        assert "\\" not in document["imagePath"]
        with Pillow.open(path.parent / document["imagePath"]) as image:
            assert image.size == (document["imageWidth"], document["imageHeight"]) == (40, 30)
        assert document["flags"] == {}
        for shape in document["shapes"]:
            assert isinstance(shape["label"], str)
            assert all(len(point) == 2 for point in shape["points"])
            assert shape["group_id"] is None or isinstance(shape["group_id"], int)
            assert all(isinstance(flag, bool) for flag in shape["flags"].values())


def test_edge_case_20_an_image_without_objects_has_a_file_without_shapes(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(odd_project, formats=("labelme",)))
    assert json.loads((folder / "annotations/labelme/empty.json").read_text())["shapes"] == []


def test_without_images_in_the_bundle_the_json_names_the_image_alone(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(odd_project, formats=("labelme",), images=False))
    assert json.loads((folder / "annotations/labelme/b.c.json").read_text())["imagePath"] == "b.c.png"


@pytest.mark.filterwarnings("ignore")
def test_supervision_loads_polygons_and_joins_the_parts_of_a_group(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    import supervision

    folder = unzip(export(odd_project, formats=("labelme",)))
    dataset = supervision.DetectionDataset.from_labelme(
        images_directory_path=str(folder / "images"),
        annotations_directory_path=str(folder / "annotations/labelme"),
    )
    assert len(dataset) == 4
    found = {Path(path).name: detections for path, _, detections in dataset}
    assert len(found["a.png"]) == 2
    assert found["a.png"].xyxy.tolist() == [[2, 2, 12, 12], [2, 15, 13, 19]]
    assert len(found["empty.png"]) == 0
