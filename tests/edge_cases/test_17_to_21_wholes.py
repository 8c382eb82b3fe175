"""Edge cases 17 to 21: classes, crowded images, overlaps, images without objects, splits; read back by other people's readers."""

import csv
import json
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as reference
import pytest
from tests.edge_cases.conftest import Export
from tests.support.scenes import Bundle, Thing, box, make_scene

from labelferry_export.formats import known

with warnings.catch_warnings():
    # It says at import that it works without OpenCV.
    warnings.simplefilter("ignore")
    from supervision import DetectionDataset

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

yaml: Any = pytest.importorskip("yaml")
skimage_io: Any = pytest.importorskip("skimage.io")

CLASSES = ["zebra: #1", 'it\'s "odd"', "- yes", "{no}", "null", "1.5", "empty", "ümläut & <b>", "trailing: "]
THREE = [(f"{name}.png", 20, 20) for name in "abc"]


def one_of_each(*classes: int, image: int = 1) -> list[Thing]:
    return [Thing([box(2 * number, 2, 1.5, 9)], category=number, image=image) for number in classes]


def class_ids(bundle: Bundle) -> dict[str, list[tuple[int, str]]]:
    """Return the classes as each format has them, ids as they stand there."""
    folder = bundle.folder
    found = {
        path.stem: [(each["id"], each["name"]) for each in json.loads(path.read_text())["categories"]]
        for path in sorted((folder / "annotations/coco").iterdir())
    }
    for path in (folder / "data.yaml", folder / "annotations/yolo_detect/data.yaml"):
        found[str(path.relative_to(folder))] = list(yaml.safe_load(path.read_text())["names"].items())
    semantic = json.loads((folder / "annotations/semantic_masks/classes.json").read_text())
    found["semantic"] = [(each["value"], each["name"]) for each in semantic["classes"]]
    assert semantic["background"]["value"] == 0
    assert semantic["void"]["value"] == 255
    return found


@pytest.mark.parametrize("split", [{}, {"train": 0.5, "val": 0.5}], ids=["whole", "split"])
def test_case_17_category_ids(export: Export, tmp_path: Path, split: dict[str, float]) -> None:
    formats = ("coco", "yolo", "yolo_detect", "semantic_masks")
    things = [*one_of_each(1, 2, 3, 4), *one_of_each(5, 6, 8, 9, image=2)]
    whole = export(make_scene(tmp_path / "a", things, THREE, CLASSES), formats=formats, split=split)
    fewer = export(make_scene(tmp_path / "b", things[3:5], THREE, CLASSES), formats=formats, split=split)
    for bundle in (whole, fewer):
        for where, classes in class_ids(bundle).items():
            first = 0 if "yaml" in where else 1
            assert classes == list(enumerate(CLASSES, first)), where
    values = {
        int(value)
        for name in whole.names("annotations/semantic_masks/masks")
        for value in np.unique(whole.array(f"annotations/semantic_masks/masks/{name}"))
    }
    assert values == {0, 1, 2, 3, 4, 5, 6, 8, 9}


def test_case_17_category_ids_are_the_same_whatever_is_selected(export: Export, tmp_path: Path) -> None:
    source = make_scene(tmp_path / "a", one_of_each(1, 2, 8), THREE, CLASSES)
    bundle = export(source, formats=("coco",), classes=(CLASSES[7],))
    assert [(each["id"], each["category_id"]) for each in bundle.annotations()] == [(3, 8)]
    assert len(bundle.coco().cats) == len(CLASSES)


def many(count: int, side: int = 120) -> list[Thing]:
    """Return so many objects of 3 x 3 px that do not touch."""
    across = side // 4
    return [Thing([box(4 * (n % across), 4 * (n // across), 3, 3)]) for n in range(count)]


def test_case_18_more_than_255_instances(export_scene: Export) -> None:
    bundle = export_scene(
        *many(700), images=[("a.png", 120, 120)], formats=("instance_masks", "webdataset", "coco", "voc")
    )
    mask = bundle.array("annotations/instance_masks/masks/a.png")
    assert mask.dtype == np.uint16
    assert len(np.unique(mask[mask > 0])) == len(bundle.annotations()) == 700
    with (bundle.folder / "annotations/instance_masks/objects.csv").open(newline="") as file:
        by_value = {int(row["value"]): int(row["object_id"]) for row in csv.DictReader(file)}
    coco = bundle.coco()
    for value in (1, 255, 256, 257, 700):
        assert (coco.annToMask(coco.anns[by_value[value]]).astype(bool) == (mask == value)).all()
    assert bundle.names("annotations/voc/SegmentationObject") == []
    (said,) = bundle.findings(format="voc", image="a.png")
    assert "700 objects are more than the 254" in said


def test_case_18_more_instances_than_16_bits_are_refused_loudly(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labelferry_export.errors import ExportError
    from labelferry_export.formats import instance_masks

    monkeypatch.setitem(instance_masks.MOST_OBJECTS, 16, 40)
    source = make_scene(tmp_path / "a", many(41), [("a.png", 120, 120)])
    with pytest.raises(ExportError, match=r"'a\.png' has 41 objects, a 16-bit mask holds at most 40"):
        export(source, formats=("instance_masks",))


def test_case_18_more_instances_than_16_bits_fit_into_32(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labelferry_export.formats import instance_masks

    monkeypatch.setitem(instance_masks.MOST_OBJECTS, 16, 40)
    source = make_scene(tmp_path / "a", many(300), [("a.png", 120, 90)])
    bundle = export(source, formats=("instance_masks", "coco"), format_options={"instance_masks": {"bits": 32}})
    path = bundle.folder / "annotations/instance_masks/masks/a.tif"
    mask = skimage_io.imread(path)
    assert (mask.dtype, mask.shape) == (np.uint32, (90, 120))
    assert len(np.unique(mask[mask > 0])) == 300
    assert (bundle.array("annotations/instance_masks/masks/a.tif") == mask).all()
    coco = bundle.coco()
    for value in (1, 256, 300):
        assert (coco.annToMask(coco.anns[value]).astype(bool) == (mask == value)).all()
    again = export(bundle.folder, formats=("coco",), source_format="masks")
    assert [each["area"] for each in again.annotations()] == [9] * 300


def test_case_19_overlaps(export_scene: Export) -> None:
    under, over = Thing([box(5, 5, 20, 20)]), Thing([box(15, 15, 20, 20)], category=2)
    bundle = export_scene(
        under, over, classes=("a", "b"), formats=("coco", "instance_masks", "semantic_masks", "voc", "webdataset")
    )
    assert [each["area"] for each in bundle.annotations()] == [400, 400]
    union = int(reference.area(reference.merge([bundle.coco().annToRLE(each) for each in bundle.annotations()])))
    masks = (
        "instance_masks/masks/a.png",
        "semantic_masks/masks/a.png",
        "voc/SegmentationObject/a.png",
        "voc/SegmentationClass/a.png",
    )
    for name in masks:
        mask = bundle.array(f"annotations/{name}")
        assert ((mask == 1).sum(), (mask == 2).sum()) == (300, 400), name
        assert (mask > 0).sum() == union == 700
        assert mask[20, 20] == 2
    readme = (bundle.folder / "README.md").read_text()
    assert readme.count("objects in ascending order of their ids, later ones on top; crowds below all others") == 4
    for name in ("instance_masks", "semantic_masks", "voc", "webdataset"):
        assert any("100 px" in said for said in bundle.findings(format=name)), name


def test_case_19_overlaps_an_object_that_is_wholly_covered_is_named(export_scene: Export) -> None:
    bundle = export_scene(Thing([box(10, 10, 5, 5)]), Thing([box(5, 5, 20, 20)]), formats=("instance_masks",))
    assert "object 1 lies wholly under other objects: it is not in the mask" in bundle.findings(format="instance_masks")


def test_case_20_images_without_annotations(export: Export, tmp_path: Path) -> None:
    source = make_scene(tmp_path / "a", [Thing([box(2, 2, 9, 9)], image=2)], THREE)
    bundle = export(source, formats=tuple(known()), metrics=("csv",))
    assert bundle.manifest["counts"]["images"] == 3
    assert sorted(each["file_name"] for each in bundle.coco().imgs.values()) == ["a.png", "b.png", "c.png"]
    for tree in ("labels", "annotations/yolo_detect/labels", "annotations/yolo_obb/labels"):
        assert [(bundle.folder / tree / f"{stem}.txt").stat().st_size > 0 for stem in "abc"] == [False, True, False]
    for name in ("instance_masks", "semantic_masks"):
        assert [bundle.array(f"annotations/{name}/masks/{stem}.png").any() for stem in "abc"] == [False, True, False]
    assert len(ET.parse(bundle.folder / "annotations/cvat/annotations.xml").findall("image")) == 3
    assert len(bundle.names("annotations/voc/Annotations")) == 3
    assert bundle.names("annotations/labelme") == ["a.json", "b.json", "c.json"]
    rows = [json.loads(row) for row in (bundle.folder / "images/metadata.jsonl").read_text().splitlines()]
    assert sorted(row["file_name"] for row in rows) == ["a.png", "b.png", "c.png"]
    assert [row["objects"] for row in bundle.table("images")] == ["0", "1", "0"]


def test_case_20_images_without_annotations_are_counted_by_supervision(export: Export, tmp_path: Path) -> None:
    bundle = export(make_scene(tmp_path / "a", [Thing([box(2, 2, 9, 9)], image=2)], THREE), formats=("coco", "yolo"))
    images = str(bundle.folder / "images")
    yolo = DetectionDataset.from_yolo(images, str(bundle.folder / "labels"), str(bundle.folder / "data.yaml"))
    coco = DetectionDataset.from_coco(images, str(bundle.folder / "annotations/coco/instances.json"))
    for dataset in (yolo, coco):
        assert sorted(len(detections) for _, _, detections in dataset) == [0, 0, 1]


def split_of_images(bundle: Bundle) -> dict[str, str]:
    """Return the split of every image by the folder it lies in."""
    return {name.rpartition("/")[2]: name.split("/")[0] for name in bundle.names("images")}


NAMES = [(f"{number:03}.png", 12, 12) for number in range(60)]
SHARES = {"train": 0.7, "val": 0.2, "test": 0.1}


def test_case_21_splits(export: Export, tmp_path: Path) -> None:
    def exported(folder: str, names: list[tuple[str, int, int]], **more: Any) -> Bundle:
        things = [Thing([box(2, 2, 5, 5)], image=number) for number in range(1, len(names) + 1)]
        return export(make_scene(tmp_path / folder, things, names), formats=("coco",), split=SHARES, **more)

    fewer, whole = exported("a", NAMES[:40]), exported("b", NAMES)
    before, after = split_of_images(fewer), split_of_images(whole)
    assert len(after) == 60
    assert set(after.values()) == set(SHARES)
    assert before.items() <= after.items()
    by_json = {
        image["file_name"].rpartition("/")[2]: split
        for split in SHARES
        for image in whole.coco(f"instances_{split}").imgs.values()
    }
    assert by_json == after
    ids = [number for split in SHARES for number in whole.coco(f"instances_{split}").anns]
    assert sorted(ids) == list(range(1, 61))
    assert split_of_images(exported("c", NAMES)) == after
    assert split_of_images(exported("d", NAMES, seed=1)) != after


def test_case_21_splits_leave_the_random_numbers_of_the_caller_alone(export: Export, tmp_path: Path) -> None:
    import random

    random.seed(5)
    np.random.seed(5)
    before = (random.getstate(), repr(np.random.get_state()))
    export(make_scene(tmp_path / "a", [], NAMES[:4]), formats=("coco",), split=SHARES)
    assert (random.getstate(), repr(np.random.get_state())) == before
