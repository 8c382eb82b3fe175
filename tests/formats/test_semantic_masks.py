"""Semantic masks, read back by Pillow and compared with pycocotools' masks of the same objects."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from pycocotools.coco import COCO

from labelferry_export.errors import ExportError
from labelferry_export.formats import find
from labelferry_export.formats.semantic_masks import classes_json, void_of
from labelferry_export.model import Category

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Make = Callable[..., Path]
Unzip = Callable[[Path], Path]


def box(x: float, y: float, width: float, height: float) -> list[list[float]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def thing(x: float, y: float, width: float, height: float, category: int = 1, crowd: int = 0) -> tuple[int, Any]:
    return 1, {"segmentation": box(x, y, width, height), "category_id": category, "iscrowd": crowd}


def read(path: Path) -> NDArray[np.generic]:
    with Pillow.open(path) as picture:
        return np.asarray(picture)


def findings(folder: Path) -> list[dict[str, Any]]:
    """Return what was lost of single objects, images and classes: not what every object loses."""
    found = json.loads((folder / "manifest.json").read_text())["findings"]
    alike = find("semantic_masks").lossiness.alike.values()
    return [each for each in found if each.get("format") == "semantic_masks" and each["message"] not in alike]


def test_values_are_classes_and_the_background_is_0(make_scene: Make, export: Make, unzip: Unzip) -> None:
    folder = unzip(export(make_scene(thing(2, 3, 5, 4), thing(20, 10, 8, 6, category=2)), formats=("semantic_masks",)))
    with Pillow.open(folder / "annotations/semantic_masks/masks/a.png") as picture:
        assert (picture.mode, picture.size) == ("L", (40, 30))
    mask = read(folder / "annotations/semantic_masks/masks/a.png")
    expected = np.zeros((30, 40), np.uint8)
    expected[3:7, 2:7] = 1
    expected[10:16, 20:28] = 2
    assert (mask == expected).all()
    assert findings(folder) == []


def test_edge_case_19_the_greater_id_lies_on_top_and_what_is_hidden_is_counted(
    make_scene: Make, export: Make, unzip: Unzip
) -> None:
    things = (thing(0, 0, 10, 10), thing(5, 0, 10, 10, category=2), thing(5, 5, 2, 2), thing(12, 0, 6, 6, category=2))
    folder = unzip(export(make_scene(*things), formats=("semantic_masks",)))
    mask = read(folder / "annotations/semantic_masks/masks/a.png")
    assert [int((mask == value).sum()) for value in (1, 2)] == [50 + 4, 100 - 4 + 3 * 6]
    (finding,) = findings(folder)
    assert (finding["code"], finding["image"]) == ("format-loss", "a.png")
    assert finding["message"].startswith("50 px of classes")


def test_a_crowd_is_void_below_all_objects_and_reported(make_scene: Make, export: Make, unzip: Unzip) -> None:
    things = (thing(0, 0, 4, 10), thing(0, 0, 10, 10, category=2, crowd=1))
    folder = unzip(export(make_scene(*things), formats=("semantic_masks",)))
    mask = read(folder / "annotations/semantic_masks/masks/a.png")
    assert [int((mask == value).sum()) for value in (1, 2, 255)] == [40, 0, 60]
    assert [each["object_id"] for each in findings(folder)] == [2]


def test_edge_case_20_an_image_without_objects_has_a_mask_of_zeros(
    make_scene: Make, export: Make, unzip: Unzip
) -> None:
    folder = unzip(export(make_scene(thing(1, 1, 5, 5), images=("a.png", "b.png")), formats=("semantic_masks",)))
    assert not read(folder / "annotations/semantic_masks/masks/b.png").any()


def test_an_object_without_a_pixel_is_reported(make_scene: Make, export: Make, unzip: Unzip) -> None:
    folder = unzip(export(make_scene(thing(3.6, 3.6, 0.3, 0.1)), formats=("semantic_masks",)))
    assert [each["code"] for each in findings(folder)] == ["object-no-pixel"]


def test_masks_of_more_than_254_classes_have_16_bits(make_scene: Make, export: Make, unzip: Unzip) -> None:
    classes = [f"class {number}" for number in range(1, 256)]
    things = (thing(0, 0, 5, 5, category=255), thing(8, 0, 5, 5, crowd=1))
    folder = unzip(export(make_scene(*things, classes=classes), formats=("semantic_masks",)))
    mask = read(folder / "annotations/semantic_masks/masks/a.png")
    assert [int((mask == value).sum()) for value in (255, 65535)] == [25, 25]
    said = json.loads((folder / "annotations/semantic_masks/classes.json").read_text())
    assert (said["bits"], said["void"]["value"], said["classes"][254]["value"]) == (16, 65535, 255)


def test_more_classes_than_16_bits_can_number_are_refused() -> None:
    assert [void_of(254), void_of(255), void_of(65534)] == [255, 65535, 65535]
    with pytest.raises(ExportError, match="65535 classes"):
        void_of(65535)


def test_classes_json_says_what_every_value_means() -> None:
    said = json.loads(classes_json([Category(1, "cell", "tissue"), Category(2, 'a "b": #c')], palette=True))
    assert said["background"] == {"value": 0, "name": "background", "colour": [0, 0, 0]}
    assert said["void"] == {"value": 255, "name": "void", "colour": [224, 224, 192]}
    assert said["classes"][0] == {"value": 1, "name": "cell", "supercategory": "tissue", "colour": [128, 0, 0]}
    assert said["classes"][1]["name"] == 'a "b": #c'


def test_the_palette_changes_colours_not_values(make_scene: Make, export: Make, unzip: Unzip) -> None:
    scene = make_scene(thing(2, 3, 5, 4, category=2))
    options = {"semantic_masks": {"palette": True}}
    plain, coloured = (
        unzip(export(scene, formats=("semantic_masks",), format_options=given)) for given in ({}, options)
    )
    name = "annotations/semantic_masks/masks/a.png"
    assert (read(plain / name) == read(coloured / name)).all()
    with Pillow.open(coloured / name) as picture:
        assert picture.mode == "P"
        assert picture.convert("RGB").getpixel((3, 4)) == (0, 128, 0)


@pytest.mark.parametrize("split", [{}, {"train": 0.5, "val": 0.5}])
def test_masks_equal_those_that_pycocotools_makes_of_the_same_objects(
    make_project: Make, export: Make, unzip: Unzip, split: dict[str, float]
) -> None:
    folder = unzip(export(make_project(6), formats=("coco", "semantic_masks"), split=split))
    seen = 0
    for part in split or ("",):
        coco = COCO(str(folder / f"annotations/coco/instances{part and f'_{part}'}.json"))
        for number, record in coco.imgs.items():
            expected = np.zeros((record["height"], record["width"]), np.uint8)
            for each in sorted(coco.imgToAnns[number], key=lambda each: each["id"]):
                expected[coco.annToMask(each) == 1] = each["category_id"]
            name = Path(record["file_name"]).with_suffix(".png")
            assert (read(folder / "annotations/semantic_masks/masks" / name) == expected).all()
            seen += 1
    assert seen == 6
