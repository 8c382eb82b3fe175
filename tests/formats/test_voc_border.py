"""The void border of VOC's masks: where it lies, what it takes away, and that our own reader takes what is left."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy.ndimage import maximum_filter, minimum_filter

from labelferry_export.formats import _painting

Make = Callable[..., Path]
Unzip = Callable[[Path], Path]
BORDER: dict[str, Any] = {"formats": ("voc",), "format_options": {"voc": {"border": 5}}}
CROSS = np.array([(0, 1, 0), (1, 1, 1), (0, 1, 0)], np.bool_)


def square(x: int, y: int, side: int, **more: Any) -> tuple[int, dict[str, Any]]:
    return 1, {"segmentation": [[x, y, x + side, y, x + side, y + side, x, y + side]], **more}


def masks(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    read = [
        np.asarray(Pillow.open(folder / f"annotations/voc/Segmentation{kind}/a.png")) for kind in ("Class", "Object")
    ]
    return read[0], read[1]


def expected(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a mask with its border, found by somebody else's filters."""
    # Beyond the edge of the image lies what lies at it.
    mixed = maximum_filter(mask, footprint=CROSS, mode="nearest") != minimum_filter(
        mask, footprint=CROSS, mode="nearest"
    )
    near = maximum_filter(mixed & (mask > 0), size=5, mode="constant")
    return np.where(near, np.uint8(255), mask)


@pytest.mark.parametrize("block", [1 << 20, 64])
def test_outermost_pixels_and_two_around_them_are_void(
    make_scene: Make, export: Make, unzip: Unzip, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    things = (square(0, 0, 12), square(10, 5, 14, category_id=2), square(26, 10, 11), square(29, 13, 1))
    scene = make_scene(*things, square(3, 16, 7, iscrowd=1))
    plain = masks(unzip(export(scene, formats=("voc",))))
    monkeypatch.setattr(_painting, "BLOCK", block)
    bordered = masks(unzip(export(scene, **BORDER)))
    border = expected(plain[1]) == 255
    for before, after in zip(plain, bordered, strict=True):
        assert (after == np.where(border, 255, before)).all()


def test_a_side_that_lies_on_the_edge_of_the_image_has_no_border(make_scene: Make, export: Make, unzip: Unzip) -> None:
    _, objects = masks(unzip(export(make_scene(square(0, 0, 12)), **BORDER)))
    assert objects[0].tolist() == [1] * 9 + [255] * 5 + [0] * 26


def test_what_is_all_border_is_said_and_the_border_once(make_scene: Make, export: Make, unzip: Unzip) -> None:
    folder = unzip(export(make_scene(square(2, 2, 20), square(30, 20, 4)), **BORDER))
    assert set(np.unique(masks(folder)[1])) == {0, 1, 255}
    said = [
        (each["loss"], each["message"], each.get("object_id"))
        for each in json.loads((folder / "manifest.json").read_text())["findings"]
        if "border" in each["message"]
    ]
    assert said == [
        ("marked", "a border of 5 pixels along the outline of every object is void in masks", None),
        ("reduced", "object 2 is all border: no pixel of it is left in masks", 2),
    ]


def test_read_back_an_object_is_what_its_border_leaves(make_scene: Make, export: Make, unzip: Unzip) -> None:
    scene = make_scene(square(4, 4, 20), square(30, 20, 4))
    again = unzip(export(unzip(export(scene, **BORDER)), source_format="voc", formats=("coco",)))
    annotations = json.loads((again / "annotations/coco/instances.json").read_text())["annotations"]
    # Of the second nothing is left, so its box is taken.
    assert [(each["id"], each["bbox"]) for each in annotations] == [(1, [7, 7, 14, 14]), (2, [30, 20, 4, 4])]


def test_boxes_without_masks_have_no_border_to_speak_of(make_scene: Make, export: Make, unzip: Unzip) -> None:
    options = {"voc": {"border": 5, "masks": False}}
    folder = unzip(export(make_scene(square(4, 4, 20)), formats=("voc",), format_options=options))
    assert "border of" not in (folder / "manifest.json").read_text()
