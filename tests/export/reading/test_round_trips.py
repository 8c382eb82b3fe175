"""What a format wrote, the source of the same name reads back: the same images, classes, ids and regions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from labelferry_export.sources import find_source, source_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.reading.conftest import ReadBack, Reader

SIZE = (60, 40)


@pytest.fixture
def scene(tmp_path: Path, picture: Callable[..., Path]) -> Path:
    """A labelferry project: a square, an outline between pixels, parts, a hole, two classes; one image without objects."""
    root = tmp_path / "scene"
    instances = [
        (1, 1, 1, [{"outer": [2, 2, 12, 2, 12, 12, 2, 12]}], {}),
        (3, 1, 2, [{"outer": [20.5, 3.25, 30.125, 4, 25, 14.75]}], {"stain": "HE", "ok": True}),
        (4, 1, 1, [{"outer": [35, 2, 40, 2, 40, 8, 35, 8]}, {"outer": [45, 2, 50, 2, 50, 8, 45, 8]}], {}),
        (8, 1, 2, [{"outer": [5, 20, 25, 20, 25, 36, 5, 36], "holes": [[10, 24, 18, 24, 18, 30, 10, 30]]}], {}),
        (9, 2, 1, [{"outer": [1, 1, 9, 1, 9, 6, 1, 6]}], {"score": 0.5}),
    ]
    tree: dict[str, Any] = {
        "labelferry": 1,
        "name": "scene",
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "wall: #2"}],
        "images": [
            {"id": number, "name": f"{stem}.png", "width": SIZE[0], "height": SIZE[1]}
            for number, stem in enumerate(("a", "b c", "empty"), 1)
        ],
        "instances": [
            {"id": number, "image_id": image, "category_id": category, "parts": parts, "attributes": attributes}
            for number, image, category, parts, attributes in instances
        ],
    }
    for each in tree["images"]:
        picture(root / "images" / each["name"], SIZE)
    (root / "annotations.json").write_text(json.dumps(tree))
    return root


Told = dict[int, tuple[str, str, Any]]


@pytest.fixture
def told(pixels: Callable[..., Any]) -> Callable[[ReadBack], Told]:
    """Returns image, class and mask of each object by its id."""

    def of(project: ReadBack) -> Told:
        names = {image.id: image.name.rpartition("/")[2] for image in project.images}
        classes = {each.id: each.name for each in project.snapshot.facts.categories}
        return {
            each.id: (names[each.image_id], classes[each.category_id], pixels(each.shape, *SIZE))
            for each in project.objects
        }

    return of


WITH_IDS = {
    "cvat": {},
    "geojson": {},
    "imagej": {},
    "labelme": {},
    "voc": {},
    "instance_masks": {},
    "instance_masks objects": {"instance_masks": {"layout": "objects"}},
    "instance_masks objects alone": {"instance_masks": {"layout": "objects", "images": False}},
    "labelme rings": {"labelme": {"holes": "rings"}},
    "cvat group": {"cvat": {"parts": "group"}},
}


@pytest.mark.parametrize("split", [{}, {"train": 0.5, "val": 0.5}], ids=["whole", "split"])
@pytest.mark.parametrize("case", WITH_IDS)
def test_ids_classes_and_pixels_come_back(
    scene: Path,
    read: Reader,
    export: Callable[..., Path],
    unzip: Callable[[Path], Path],
    told: Callable[[ReadBack], Told],
    case: str,
    split: dict[str, float],
) -> None:
    name = case.split(" ", maxsplit=1)[0]
    folder = unzip(export(scene, formats=(name,), metrics=(), format_options=WITH_IDS[case], split=split))
    before = told(read(scene))
    project = read(folder, source_format="masks" if name == "instance_masks" else name)
    after = told(project)
    assert sorted(image.name.rpartition("/")[2] for image in project.images) == ["a.png", "b c.png", "empty.png"]
    assert {number: row[:2] for number, row in after.items()} == {number: row[:2] for number, row in before.items()}
    for number, (_, _, mask) in before.items():
        assert np.array_equal(after[number][2], mask), number


@pytest.mark.parametrize("split", [{}, {"train": 0.5, "val": 0.5}], ids=["whole", "split"])
def test_yolo_comes_back_with_subsets_and_bridges_that_cover_the_same_pixels(
    scene: Path,
    read: Reader,
    export: Callable[..., Path],
    unzip: Callable[[Path], Path],
    told: Callable[[ReadBack], Told],
    split: dict[str, float],
) -> None:
    folder = unzip(export(scene, formats=("yolo",), metrics=(), visualizations=False, split=split))
    before, project = told(read(scene)), read(folder)
    after = told(project)
    assert {image.subset for image in project.images} <= ({"train", "val"} if split else {None})

    def rows(found: Told) -> list[tuple[str, str, int]]:
        return sorted((image, name, int(mask.sum())) for image, name, mask in found.values())

    assert rows(after) == rows(before)


def test_an_unzipped_bundle_is_read_from_what_says_all_of_it(
    scene: Path, read: Reader, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    formats = ("coco", "cvat", "geojson", "imagej", "json", "labelme", "voc", "yolo", "instance_masks")
    folder = unzip(export(scene, formats=formats, metrics=(), visualizations=False))
    assert read(folder).snapshot.facts.source_format == "labelferry"
    assert len(read(folder, source_format="cvat").objects) == 5


def test_every_source_has_a_name_a_title_and_words_for_what_it_looks_for(tmp_path: Path) -> None:
    for name in source_names():
        source = find_source(name)
        assert source.name == name
        assert source.title
        assert source.looks_for
        assert not source.recognises(tmp_path)
        assert not source.recognises(tmp_path / "none")
