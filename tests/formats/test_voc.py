"""Pascal VOC, read back by xml.etree, Pillow and supervision; masks compared with pycocotools' of the same objects."""

import json
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow
from pycocotools.coco import COCO

from labelferry_export.formats import find
from labelferry_export.formats._voc_colours import voc_colours
from labelferry_export.formats._voc_lists import image_sets, labelmap
from labelferry_export.formats.voc import VocFiles, annotation_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.model import Attribute, Category, Image, Instance, ProjectFacts

with warnings.catch_warnings():
    # It says at import that it works without OpenCV.
    warnings.simplefilter("ignore")
    from supervision import DetectionDataset

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Make = Callable[..., Path]
Unzip = Callable[[Path], Path]
IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=40, height=20, bundle_name="a.png", mode="L")
FACTS = ProjectFacts("cells & <more>", "coco", (Category(1, "cell"), Category(2, "a <b> & c")), 1, 1)
ROOT = "annotations/voc"


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def thing(x: float, y: float, width: float, height: float, **more: Any) -> tuple[int, Any]:
    return 1, {"segmentation": [box(x, y, width, height).reshape(-1).tolist()], **more}


def tree_of(
    *parts: Part, base: int = 1, crowd: bool = False, attributes: dict[str, Attribute] | None = None
) -> ET.Element:
    instance = Instance(3, 5, 2, Shape(parts), crowd, attributes or {})
    return ET.fromstring(annotation_of(IMAGE, [instance], VocFiles.of(FACTS, base, masks=True)).data)


def bounds(tree: ET.Element) -> list[list[int]]:
    return [
        [int(each.findtext(name) or "") for name in ("xmin", "ymin", "xmax", "ymax")] for each in tree.iter("bndbox")
    ]


def read(path: Path) -> NDArray[np.generic]:
    with Pillow.open(path) as picture:
        assert picture.mode == "P"
        return np.asarray(picture)


def findings(folder: Path) -> list[dict[str, Any]]:
    """Return what was lost of single objects, images and classes: not what every object loses."""
    found = json.loads((folder / "manifest.json").read_text())["findings"]
    alike = find("voc").lossiness.alike.values()
    return [each for each in found if each.get("format") == "voc" and each["message"] not in alike]


@pytest.mark.parametrize(
    ("ring", "base", "said"),
    [
        (box(0, 0, 1, 1), 1, [1, 1, 1, 1]),
        (box(10, 5, 20, 10), 1, [11, 6, 30, 15]),
        (box(10, 5, 20, 10), 0, [10, 5, 29, 14]),
        (box(10.5, 5.5, 20, 10), 1, [11, 6, 31, 16]),
        (box(0, 0, 40, 20), 1, [1, 1, 40, 20]),
        (box(39.5, 19.5, 0.2, 0.2), 0, [39, 19, 39, 19]),
    ],
)
def test_boxes_are_whole_pixels_both_ends_included_and_the_first_is_the_base(
    ring: Ring, base: int, said: list[int]
) -> None:
    assert bounds(tree_of(Part(ring), base=base)) == [said]


@given(st.floats(0, 39), st.floats(0, 19), st.floats(1e-6, 40), st.floats(1e-6, 20))
def test_a_box_lies_in_the_image_and_holds_the_object(x: float, y: float, width: float, height: float) -> None:
    ring = box(x, y, min(width, 40 - x), min(height, 20 - y))
    ((left, top, right, bottom),) = bounds(tree_of(Part(ring)))
    assert 1 <= left <= right <= 40
    assert 1 <= top <= bottom <= 20
    assert (left - 1, top - 1) <= (ring[0, 0], ring[0, 1])
    assert right >= ring[2, 0] - 1e-9
    assert bottom >= ring[2, 1] - 1e-9


def test_the_header_says_the_image() -> None:
    tree = tree_of(Part(box(1, 1, 5, 5)))
    assert [tree.findtext(name) for name in ("folder", "filename", "segmented")] == ["images", "a.png", "1"]
    assert [tree.findtext(f"size/{name}") for name in ("width", "height", "depth")] == ["40", "20", "1"]
    assert tree.findtext("source/database") == "cells & <more>"
    assert tree.findtext("object/name") == "a <b> & c"
    assert tree.findtext("object/id") == "3"


def test_flags_come_from_attributes_and_the_others_are_kept() -> None:
    given_attributes: dict[str, Attribute] = {
        "truncated": True,
        "difficult": "1",
        "pose": "Left",
        "round": True,
        "n": 2.5,
    }
    each = tree_of(Part(box(0, 0, 5, 5)), attributes=given_attributes).find("object")
    assert each is not None
    assert [each.findtext(name) for name in ("pose", "truncated", "difficult", "occluded")] == ["Left", "1", "1", "0"]
    assert [(row.findtext("name"), row.findtext("value")) for row in each.iter("attribute")] == [
        ("round", "true"),
        ("n", "2.5"),
    ]


def test_touching_the_border_does_not_make_an_object_truncated() -> None:
    assert tree_of(Part(box(0, 0, 5, 5))).findtext("object/truncated") == "0"


def test_characters_that_xml_cannot_say_are_replaced_and_reported() -> None:
    instance = Instance(3, 5, 2, Shape((Part(box(1, 1, 5, 5)),)), attributes={"note": "a\x00b\r"})
    written = annotation_of(IMAGE, [instance], VocFiles.of(FACTS, 1, masks=False))
    assert ET.fromstring(written.data).findtext("object/attributes/attribute/value") == "a\ufffdb\r"
    assert [warn.object_id for warn in written.losses] == [3]


def test_a_crowd_is_difficult_and_void_and_reported(make_scene: Make, export: Make, unzip: Unzip) -> None:
    scene = make_scene(thing(0, 0, 10, 10, iscrowd=1), thing(2, 2, 4, 4))
    folder = unzip(export(scene, formats=("voc",))) / ROOT
    tree = ET.parse(folder / "Annotations/a.xml")
    assert [each.findtext("difficult") for each in tree.iter("object")] == ["1", "0"]
    assert np.bincount(read(folder / "SegmentationClass/a.png").reshape(-1), minlength=256)[[1, 255]].tolist() == [
        16,
        84,
    ]
    assert np.bincount(read(folder / "SegmentationObject/a.png").reshape(-1), minlength=256)[[2, 255]].tolist() == [
        16,
        84,
    ]
    assert [each["object_id"] for each in findings(folder.parents[1])] == [1]


def test_the_palette_is_the_devkits() -> None:
    colours = voc_colours()
    assert colours.shape == (256, 3)
    assert colours[[0, 1, 2, 3, 4, 8, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [64, 0, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]
    assert len({tuple(each) for each in colours.tolist()}) == 256


def test_the_value_of_an_object_mask_is_the_objects_place_in_the_xml(
    make_scene: Make, export: Make, unzip: Unzip
) -> None:
    things = (thing(20, 10, 8, 6, category_id=2), thing(2, 3, 5, 4))
    folder = unzip(export(make_scene(*things), formats=("voc",))) / ROOT
    objects, classes = (read(folder / f"Segmentation{kind}/a.png") for kind in ("Object", "Class"))
    tree = ET.parse(folder / "Annotations/a.xml")
    for place, (each, (left, top, right, bottom)) in enumerate(
        zip(tree.iter("object"), bounds(tree.getroot()), strict=True), 1
    ):
        inside = np.zeros((30, 40), np.bool_)
        inside[top - 1 : bottom, left - 1 : right] = True
        assert ((objects == place) == inside).all()
        assert (classes[inside] == {"cell": 1, "nucleus": 2}[each.findtext("name") or ""]).all()
    with Pillow.open(folder / "SegmentationClass/a.png") as picture:
        assert picture.getpalette() == voc_colours().reshape(-1).tolist()


def test_edge_case_18_more_than_254_objects_have_no_mask_of_objects_and_it_is_said(
    make_scene: Make, export: Make, unzip: Unzip
) -> None:
    things = [thing(3 * (number % 30), 3 * (number // 30), 2, 2) for number in range(255)]
    folder = unzip(export(make_scene(*things, size=(90, 60)), formats=("voc",)))
    assert (read(folder / ROOT / "SegmentationClass/a.png") == 1).sum() == 4 * 255
    assert not (folder / ROOT / "SegmentationObject").exists()
    assert ["255 objects" in each["message"] for each in findings(folder)] == [True]


def test_more_than_254_classes_have_boxes_only_and_it_is_said(make_scene: Make, export: Make, unzip: Unzip) -> None:
    classes = [f"class {number}" for number in range(255)]
    folder = unzip(export(make_scene(thing(1, 1, 5, 5, category_id=255), classes=classes), formats=("voc",)))
    assert sorted(path.name for path in (folder / ROOT).iterdir()) == ["Annotations", "ImageSets", "labelmap.txt"]
    assert ["255 classes" in each["message"] for each in findings(folder)] == [True]
    assert ET.parse(folder / ROOT / "Annotations/a.xml").findtext("segmented") == "0"


def test_masks_can_be_left_out(make_scene: Make, export: Make, unzip: Unzip) -> None:
    options = {"voc": {"masks": False, "base": 0}}
    folder = unzip(export(make_scene(thing(1, 1, 5, 5)), formats=("voc",), format_options=options)) / ROOT
    assert sorted(path.name for path in folder.iterdir()) == ["Annotations", "ImageSets", "labelmap.txt"]
    assert [path.name for path in (folder / "ImageSets").iterdir()] == ["Main"]
    assert bounds(ET.parse(folder / "Annotations/a.xml").getroot()) == [[1, 1, 5, 5]]


@pytest.mark.parametrize(
    ("splits", "sets"),
    [
        ([], {"train": (), "val": (), "trainval": ()}),
        (["train", "val"], {"train": ("train",), "val": ("val",), "trainval": ("train", "val")}),
        (
            ["Training", "valid", "testing"],
            {"train": ("Training",), "val": ("valid",), "test": ("testing",), "trainval": ("Training", "valid")},
        ),
        (["training", "train"], {"training": ("training",), "train": ("train",), "trainval": ("training", "train")}),
        (["a", "b"], {"a": ("a",), "b": ("b",), "trainval": ("a", "b")}),
        (["trainval", "test"], {"trainval": ("trainval",), "test": ("test",)}),
        (["test"], {"test": ("test",)}),
    ],
)
def test_lists_are_named_as_the_devkit_names_them(splits: list[str], sets: dict[str, tuple[str, ...]]) -> None:
    assert image_sets(splits) == sets


def test_lists_hold_every_image_once(make_project: Make, export: Make, unzip: Unzip) -> None:
    folder = unzip(export(make_project(12), formats=("voc",), split={"train": 0.5, "val": 0.25, "test": 0.25})) / ROOT
    for kind in ("Main", "Segmentation"):
        train, val, test, both = (
            (folder / "ImageSets" / kind / f"{name}.txt").read_text().splitlines()
            for name in ("train", "val", "test", "trainval")
        )
        assert sorted(train + val) == sorted(both)
        assert sorted(both + test) == [f"image_{number:03}" for number in range(1, 13)]
    for stem in test:
        tree = ET.parse(folder / f"Annotations/{stem}.xml")
        place = folder.parents[1] / f"{tree.findtext('folder')}/{tree.findtext('filename')}"
        assert place.is_file()
        assert place.parent.name == "test"


def test_the_label_map_is_read_line_by_line_and_says_what_it_changed() -> None:
    written = labelmap([Category(1, "cell"), Category(2, "a:b"), Category(3, "#c")])
    assert written.data.decode().splitlines() == [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "cell:128,0,0::",
        "a_b:0,128,0::",
        "_c:128,128,0::",
    ]
    assert ["'a:b'" in warn.message for warn in written.losses] == [True, False]


def test_edge_case_12_odd_names_and_images_without_objects_have_their_files(
    odd_project: Path, export: Make, unzip: Unzip
) -> None:
    folder = unzip(export(odd_project, formats=("voc",)))
    stems = (folder / ROOT / "ImageSets/Main/trainval.txt").read_text(encoding="utf-8").splitlines()
    assert len(stems) == 4
    for stem in stems:
        tree = ET.parse(folder / ROOT / f"Annotations/{stem}.xml")
        assert (folder / f"images/{tree.findtext('filename')}").is_file()
        assert read(folder / ROOT / f"SegmentationClass/{stem}.png").shape == (30, 40)
    assert not read(folder / ROOT / "SegmentationObject/empty.png").any()


def test_masks_equal_those_that_pycocotools_makes_of_the_same_objects(
    make_project: Make, export: Make, unzip: Unzip
) -> None:
    folder = unzip(export(make_project(4), formats=("coco", "voc")))
    coco = COCO(str(folder / "annotations/coco/instances.json"))
    for number, record in coco.imgs.items():
        stem = Path(record["file_name"]).stem
        objects, classes = (read(folder / ROOT / f"Segmentation{kind}/{stem}.png") for kind in ("Object", "Class"))
        tree = ET.parse(folder / ROOT / f"Annotations/{stem}.xml")
        places = {int(each.findtext("id") or ""): place for place, each in enumerate(tree.iter("object"), start=1)}
        for each in coco.imgToAnns[number]:
            mask = coco.annToMask(each) == 1
            assert ((objects == places[each["id"]]) == mask).all()
            assert (classes[mask] == each["category_id"]).all()


def test_supervision_reads_the_boxes(make_project: Make, export: Make, unzip: Unzip) -> None:
    folder = unzip(export(make_project(3), formats=("voc",)))
    dataset = DetectionDataset.from_pascal_voc(
        images_directory_path=str(folder / "images"), annotations_directory_path=str(folder / ROOT / "Annotations")
    )
    assert len(dataset) == 3
    assert sorted(dataset.classes) == ["cell", "yes: # no"]
    for _, _, detections in dataset:
        assert detections.xyxy.tolist() == [[2, 2, 10, 10], [12, 2, 22, 6], [4, 14, 20, 24]]
