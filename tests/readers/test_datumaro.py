"""Datumaro reads COCO, CVAT, Pascal VOC and YOLO detect: every object, its class, its area and its attributes."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.scenes import Bundle

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    dataset: Any = pytest.importorskip("datumaro.components.dataset", reason="Datumaro is not installed: make readers")

pytestmark = pytest.mark.filterwarnings("ignore")

AREAS = {1: 100, 2: 91, 3: 72, 4: 131}
CLASSES = {1: "cell", 2: "wall", 3: "cell", 4: "cell"}


def read(path: Path, form: str) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the annotations by the id of their image, and the names of the labels."""
    found = dataset.Dataset.import_from(str(path), form)
    labels = [each.name for each in next(iter(found.categories().values())).items]
    return {item.id: list(item.annotations) for item in found}, labels


def summed(
    images: dict[str, list[Any]], labels: list[str], number: Callable[[Any], int]
) -> tuple[dict[int, int], dict[int, str]]:
    """Return area and class of each object by its number; boxes are left out."""
    areas: dict[int, int] = {}
    classes: dict[int, str] = {}
    for each in (each for annotations in images.values() for each in annotations):
        if type(each).__name__ != "Bbox":
            areas[number(each)] = areas.get(number(each), 0) + int(each.get_area())
            classes[number(each)] = labels[each.label]
    return areas, classes


def test_coco(export: Callable[..., Bundle], tmp_path: Path) -> None:
    folder = export("coco").folder
    shutil.copytree(folder / "images", tmp_path / "coco/images")
    (tmp_path / "coco/annotations").mkdir()
    shutil.copy(folder / "annotations/coco/instances.json", tmp_path / "coco/annotations/instances_default.json")
    images, labels = read(tmp_path / "coco", "coco_instances")
    assert sorted(images) == ["a", "b c", "empty"]
    assert summed(images, labels, lambda each: int(each.id)) == (AREAS, CLASSES)
    (square,) = (each for each in images["a"] if each.id == 1 and type(each).__name__ == "Polygon")
    assert square.attributes == {"round": True, "note": "x", "is_crowd": False}


def test_cvat(export: Callable[..., Bundle], tmp_path: Path) -> None:
    folder = export("cvat").folder
    shutil.copytree(folder / "images", tmp_path / "cvat/images")
    shutil.copy(folder / "annotations/cvat/annotations.xml", tmp_path / "cvat/annotations.xml")
    images, labels = read(tmp_path / "cvat", "cvat")
    assert sorted(images) == ["a", "b c", "empty"]
    assert summed(images, labels, lambda each: int(each.attributes["object_id"])) == (AREAS, CLASSES)
    (square,) = (each for each in images["a"] if each.attributes["object_id"] == "1")
    assert (square.attributes["round"], square.attributes["note"]) == (True, "x")


def test_voc(export: Callable[..., Bundle], tmp_path: Path) -> None:
    folder = export("voc").folder
    shutil.copytree(folder / "annotations/voc", tmp_path / "voc")
    shutil.copytree(folder / "images", tmp_path / "voc/JPEGImages")
    images, labels = read(tmp_path / "voc", "voc_segmentation")
    assert labels == ["background", "cell", "wall"]
    masks = sorted((labels[each.label], int(each.get_area())) for each in images["a"])
    assert masks == [("cell", 72), ("cell", 100), ("wall", 91)]
    boxes, _ = read(tmp_path / "voc", "voc_detection")
    assert {len(each) for each in boxes.values()} == {3, 1, 0}
    assert boxes["a"][0].attributes["note"] == "x"


def test_yolo_detect(export: Callable[..., Bundle], tmp_path: Path) -> None:
    folder = export("yolo", "yolo_detect", split={"train": 0.5, "val": 0.5}).folder
    shutil.copytree(folder / "images", tmp_path / "yolo/images")
    shutil.copytree(folder / "annotations/yolo_detect/labels", tmp_path / "yolo/labels")
    shutil.copy(folder / "data.yaml", tmp_path / "yolo/data.yaml")
    images, labels = read(tmp_path / "yolo", "yolo")
    assert labels == ["cell", "wall"]
    found = {
        name: sorted((labels[each.label], round(each.get_area())) for each in boxes) for name, boxes in images.items()
    }
    assert found == {"a": [("cell", 96), ("cell", 100), ("wall", 100)], "b c": [("cell", 270)], "empty": []}
