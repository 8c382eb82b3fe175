"""Whole exports of splits: groups stay together, and the project's own subsets are splits."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.export.selection.conftest import SIDE, Bundle, save_picture, square

Export = Callable[..., Bundle]
ExportZip = Callable[..., Path]
SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}


def test_groups_are_not_cut_and_an_image_without_one_is_told(zoo: Path, export: Export) -> None:
    tree = json.loads((zoo / "instances.json").read_text())
    del tree["images"][4]["patient"]
    (zoo / "instances.json").write_text(json.dumps(tree))
    bundle = export(zoo, split=SHARES, split_by="attribute:patient", seed=5)
    by_patient: dict[str, set[str]] = {}
    for name, split in bundle.splits.items():
        if name != "p1/05.png":
            by_patient.setdefault(name[:2], set()).add(split)
    assert all(len(splits) == 1 for splits in by_patient.values())
    unassigned = (
        "1 image without a group by 'attribute:patient': each is split by its own name; the first is 'p1/05.png'"
    )
    assert ("split-unassigned", unassigned) in bundle.findings
    by_name = export(zoo, split=SHARES, split_by=r"regex:^(p\d)/", seed=5).splits
    assert {name: split for name, split in by_name.items() if name != "p1/05.png"} == {
        name: split for name, split in bundle.splits.items() if name != "p1/05.png"
    }


def test_counts_by_split_and_class_are_told_and_so_is_what_a_split_lacks(zoo: Path, export: Export) -> None:
    bundle = export(zoo, split={"train": 0.999, "val": 0.001}, classes=("cat", "dog"))
    assert bundle.manifest["splits"]["train"] == {
        "images": 12,
        "objects": 24,
        "classes": [
            {"id": 1, "name": "cat", "images": 12, "objects": 12},
            {"id": 2, "name": "dog", "images": 12, "objects": 12},
            {"id": 3, "name": "wolf", "images": 0, "objects": 0},
        ],
    }
    assert bundle.findings == [("split-gap", "the split 'val' has no images")]
    assert "| cat | 12 | 0 |" in bundle.readme


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """A YOLO folder with train2017 and val2017, an image in both lists, and an image of a third folder."""
    root = tmp_path / "yolo"
    for name in ("train/a", "train/b", "val/c", "both/d"):
        save_picture(root / "images" / f"{name}.png")
        label = root / "labels" / f"{name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.25 0.25 0.5 0.25 0.5 0.5\n")
    (root / "data.yaml").write_text(
        "train: [images/train, images/both]\nval: [images/val, images/both]\nnames: [cell]\n"
    )
    return root


def test_the_subsets_of_a_yolo_project_are_its_splits(yolo: Path, export: Export) -> None:
    bundle = export(yolo, source_split=True, formats=("json", "coco", "yolo"))
    assert bundle.splits == {
        "train/a.png": "train",
        "train/b.png": "train",
        "val/c.png": "val",
        "both/d.png": "unassigned",
    }
    assert (bundle.folder / "images/train/a.png").is_file()
    assert len(bundle.json("annotations/coco/instances_train.json")["annotations"]) == 2
    assert 'train: "images/train"\nval: "images/val"\n' in (bundle.folder / "data.yaml").read_text()
    assert bundle.findings == [
        (
            "split-unassigned",
            "1 image the project puts into no subset, or into several: they are the split 'unassigned'; the first is 'both/d.png'",
        )
    ]


def test_what_images_are_asked_for_is_in_coco_again(zoo: Path, export: Export, tmp_path: Path) -> None:
    first = export(zoo, formats=("coco",), split=SHARES, split_by="attribute:patient")
    for split in SHARES:
        for each in first.json(f"annotations/coco/instances_{split}.json")["images"]:
            assert each["attributes"] == {"patient": f"p{(each['id'] - 100) % 4}"}
    second = export(first.folder, source_split=True, where="image.patient == 'p2'")
    assert len(second.objects) == 9
    assert [each for each in first.manifest["findings"] if each["code"] == "format-loss"] == []


def test_a_subset_can_be_asked_for(yolo: Path, export: Export) -> None:
    assert export(yolo, where="image.subset == 'train'").images == ["train/a.png", "train/b.png"]
    assert export(yolo, where="image.subset == null").images == ["both/d.png"]


def test_a_bundle_that_was_split_is_a_project_with_these_subsets(zoo: Path, export: Export) -> None:
    first = export(zoo, split=SHARES, split_by="folder")
    second = export(first.folder, source_split=True)
    assert second.splits == first.splits
    assert set(second.manifest["splits"]) == set(first.splits.values())


def test_several_coco_files_are_the_splits_that_their_names_say(tmp_path: Path, export: Export) -> None:
    root = tmp_path / "several"
    for number, subset in enumerate(("val2017", "train2017", "my extra"), 1):
        save_picture(root / "images" / f"{number}.png")
        tree = {
            "images": [{"id": 1, "file_name": f"{number}.png", "width": SIDE, "height": SIDE}],
            "annotations": [{"id": number, "image_id": 1, "category_id": 1, "segmentation": [square(2, 2, 4)]}],
            "categories": [{"id": 1, "name": "cell"}],
        }
        (root / "annotations").mkdir(exist_ok=True)
        (root / f"annotations/instances_{subset}.json").write_text(json.dumps(tree))
    bundle = export(root, source_split=True, formats=("json", "yolo"))
    assert set(bundle.splits.values()) == {"train2017", "val2017", "my_extra"}
    assert 'train: "images/train2017"\nval: "images/val2017"\n' in (bundle.folder / "data.yaml").read_text()
    assert bundle.findings == [("split-renamed", "the subset 'my extra' is called 'my_extra' in the bundle")]
