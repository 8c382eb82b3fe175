"""Instance masks in the layout of the 2018 Data Science Bowl, read back by scikit-image, and by our own reader of the Bowl's folders."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from skimage.io import imread

Make = Callable[..., Path]
Unzip = Callable[[Path], Path]
FOLDER = "annotations/instance_masks/objects"


def bowl(**options: Any) -> dict[str, Any]:
    return {"formats": ("instance_masks",), "format_options": {"instance_masks": {"layout": "objects", **options}}}


def square(image: int, x: float, y: float, side: float, **more: Any) -> tuple[int, dict[str, Any]]:
    return image, {"segmentation": [[x, y, x + side, y, x + side, y + side, x, y + side]], **more}


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_every_object_is_a_mask_of_its_own_and_hides_nothing(make_scene: Make, export: Make, unzip: Unzip) -> None:
    things = (square(1, 2, 2, 10), square(1, 6, 6, 10, category_id=2), square(1, 20, 2, 5, iscrowd=1))
    scene = make_scene(*things, square(1, 1.1, 1.1, 0.2), images=("a.png", "empty.png"))
    folder = unzip(export(scene, **bowl()))
    assert files(folder / FOLDER) == ["a/images/a.png", "a/masks/1.png", "a/masks/2.png", "empty/images/empty.png"]
    assert (folder / FOLDER / "a/images/a.png").read_bytes() == (folder / "images/a.png").read_bytes()
    for number, place in ((1, slice(2, 12)), (2, slice(6, 16))):
        mask = imread(folder / FOLDER / f"a/masks/{number}.png")
        expected = np.zeros((30, 40), np.uint8)
        expected[place, place] = 255
        assert mask.dtype == np.uint8
        assert (mask == expected).all()
    with (folder / "annotations/instance_masks/objects.csv").open(newline="") as table:
        assert [list(row.values()) for row in csv.DictReader(table)] == [
            ["objects/a/masks/1.png", "255", "1", "1", "cell"],
            ["objects/a/masks/2.png", "255", "2", "2", "nucleus"],
        ]
    said = json.loads((folder / "manifest.json").read_text())["findings"]
    assert sorted(
        (each["object_id"], each["loss"]) for each in said if each.get("object_id") and each.get("format")
    ) == [
        (3, "dropped"),
        (4, "dropped"),
    ]


def test_the_folders_are_a_project_as_the_bowl_hands_it_out(make_scene: Make, export: Make, unzip: Unzip) -> None:
    things = (square(1, 2, 2, 10), square(1, 6, 6, 10), square(2, 20, 2, 5))
    folder = unzip(export(make_scene(*things, images=("a.png", "b.png")), **bowl()))
    again = unzip(export(folder / FOLDER, formats=("coco",), metrics=()))
    told = json.loads((again / "annotations/coco/instances.json").read_text())
    assert [each["bbox"] for each in told["annotations"]] == [[2, 2, 10, 10], [6, 6, 10, 10], [20, 2, 5, 5]]
    assert [each["file_name"] for each in told["images"]] == ["a.png", "b.png"]


def test_a_bundle_is_read_back_with_ids_and_classes_whether_it_has_images_or_their_copies(
    make_scene: Make, export: Make, unzip: Unzip
) -> None:
    things = (square(1, 2, 2, 10), square(3, 6, 6, 10, category_id=2))
    scene = make_scene(*things, images=("a.png", "sub/a.png", "b.png"))
    split = {"train": 0.5, "val": 0.5}
    for options in ({**bowl(), "images": False}, bowl(images=False), {**bowl(), "split": split}):
        folder = unzip(export(scene, **options))
        again = unzip(export(folder, source_format="masks", formats=("coco",), metrics=()))
        told = json.loads((again / "annotations/coco/instances.json").read_text())
        assert sorted((each["id"], each["category_id"], each["bbox"]) for each in told["annotations"]) == [
            (1, 1, [2, 2, 10, 10]),
            (2, 2, [6, 6, 10, 10]),
        ]
        assert len(told["images"]) == 3
