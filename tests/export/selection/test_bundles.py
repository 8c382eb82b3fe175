"""Whole exports of selections: what is left is the same everywhere, under the ids it always has."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.export.selection.conftest import CLASSES, SIDE, Bundle, save_picture, square

from labelferry_export.catalogue import catalogue
from labelferry_export.errors import ExportError
from labelferry_protocol.errors import Code
from labelferry_protocol.words import Border, OnError

Export = Callable[..., Bundle]
ExportZip = Callable[..., Path]
SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}


def test_what_is_left_is_the_same_in_every_format_and_table_and_keeps_its_ids(zoo: Path, export: Export) -> None:
    formats = tuple(each.name for each in catalogue()["formats"])
    options = {
        "exclude": ("p3/*",),
        "class_map": {"wolf": "dog"},
        "where": "score > 0.3 or image.patient == 'p1'",
        "max_area": 100.0,
        "split": SHARES,
    }
    whole = export(zoo)
    bundle = export(zoo, formats=formats, metrics=("csv", "xlsx", "json"), **options)
    expected = {
        10 * number + category: CLASSES[category - 1]
        for number in range(1, 13)
        for category in (1, 2)
        if number % 4 != 3 and (number / 12 > 0.3 or number % 4 == 1)
    }
    assert bundle.objects == expected
    assert {number: whole.objects[number] for number in expected} == expected
    with (bundle.folder / "metrics/objects.csv").open(newline="") as rows:
        table = {int(row["object_id"]): row["class"] for row in csv.DictReader(rows)}
    assert table == expected
    found: dict[int, int] = {}
    for split in SHARES:
        tree = bundle.json(f"annotations/coco/instances_{split}.json")
        found |= {each["id"]: each["category_id"] for each in tree["annotations"]}
        assert all(100 < each["id"] <= 112 for each in tree["images"])
        assert [each["name"] for each in tree["categories"]] == ["cat", "dog"]
    assert found == {number: CLASSES.index(name) + 1 for number, name in expected.items()}
    # The self-check has counted the objects of every format that can be counted; this is what it compared them with.
    assert bundle.manifest["counts"] == {"images": 9, "objects": len(expected), "classes": 2, "skipped": 0}


def test_what_is_left_out_is_counted_by_option_and_is_no_warning(zoo: Path, export: Export) -> None:
    bundle = export(
        zoo, select=("p[12]/*",), classes=("dog", "wolf"), where="score <= 0.5", border=Border.EXCLUDE, min_area=20.0
    )
    selection = bundle.manifest["selection"]
    assert selection["images"] == {"found": 12, "selected": 6, "left_out": {"select": 6}}
    # Of 36 objects 18 are in other images; of 6 cats, 6 dogs and 6 wolves, the cats go; then the dogs and wolves of two images; then the wolves.
    left_out = {"where": 4, "image": 18, "classes": 6, "border": 4}
    assert selection["objects"] == {"found": 36, "selected": 4, "left_out": left_out}
    assert bundle.findings == []
    assert "6 of 12 images (left out: 6 by `select`) and 4 of 36 objects" in bundle.readme


def test_images_without_objects_stay_unless_only_annotated_ones_are_wanted(zoo: Path, export: Export) -> None:
    assert len(export(zoo, where="score > 0.9").images) == 12
    bundle = export(zoo, where="score > 0.9", annotated_only=True)
    assert bundle.images == ["p3/11.png", "p0/12.png"]
    assert bundle.manifest["selection"]["images"]["left_out"] == {"annotated_only": 10}


def test_an_image_that_no_object_can_qualify_in_is_left_out(zoo: Path, export: Export) -> None:
    bundle = export(zoo, where="image.patient in ('p1', 'p2') and score < 2")
    assert {name[:2] for name in bundle.images} == {"p1", "p2"}
    assert bundle.manifest["selection"]["images"]["left_out"] == {"where": 6}


def test_classes_and_names_can_be_asked_for_and_an_attribute_of_that_name_goes_before(
    zoo: Path, export: Export
) -> None:
    where = "(class == 'canid' and score > 0.9 or class == 'cat' and not crowd) and image.name != 'p3/11.png'"
    bundle = export(zoo, class_map={"dog": "canid", "wolf": "canid"}, where=where)
    cats = {10 * number + 1: "cat" for number in range(1, 13) if number != 11}
    assert bundle.objects == {**cats, 122: "canid", 123: "canid"}
    assert "p3/11.png" not in bundle.images
    tree = json.loads((zoo / "instances.json").read_text())
    tree["annotations"][0]["attributes"]["class"] = "first"
    (zoo / "instances.json").write_text(json.dumps(tree))
    assert export(zoo, where="class == 'first'").objects == {11: "cat"}


def test_a_condition_on_what_nothing_has_is_told(zoo: Path, export: Export) -> None:
    bundle = export(zoo, where="scroe > 0.5 or image.patinet == 'p1'")
    assert bundle.findings == [
        ("selection-unmatched", "the condition asks for 'scroe': no object has such an attribute"),
        ("selection-unmatched", "the condition asks for 'image.patinet': no image has such an attribute"),
    ]
    assert bundle.manifest["counts"]["objects"] == 0


def test_values_of_another_kind_than_they_are_compared_with_are_told_once(zoo: Path, export: Export) -> None:
    bundle = export(zoo, where="score in ('1', '2') or image.patient == 1 or score == 1")
    odd = "the condition compares 'image.patient' with a number, and 'p1' is a text: values of different kinds never match"
    assert bundle.findings == [("selection-unmatched", odd)]


def test_lists_name_images_and_objects_and_what_they_name_in_vain_is_told(
    zoo: Path, export: Export, tmp_path: Path
) -> None:
    (tmp_path / "images.csv").write_text("image_id,why\n101,x\n102,x\n999,x\n")
    (tmp_path / "objects.txt").write_text("11\n12\n33\n1000\n")
    lists = {"images_from": str(tmp_path / "images.csv"), "objects_from": str(tmp_path / "objects.txt")}
    bundle = export(zoo, **lists)
    assert (bundle.images, bundle.objects) == (["p1/01.png", "p2/02.png"], {11: "cat", 12: "dog"})
    assert bundle.findings == [
        ("selection-unmatched", "images.csv lists what is no image of the project: 1 of 3, the first is '999'"),
        ("selection-unmatched", "objects.txt lists what is no object of the project: 1 of 4, the first is '1000'"),
    ]
    told = bundle.manifest["selection"]["lists"]["images_from"]
    assert (told["file"], told["entries"], told["unmatched"]) == ("images.csv", 3, 1)
    assert "images_from" not in bundle.manifest["options"], "a path is no content"


def test_a_table_of_a_bundle_can_be_filtered_and_is_a_list(zoo: Path, export: Export, tmp_path: Path) -> None:
    first = export(zoo, metrics=("csv",))
    with (first.folder / "metrics/objects.csv").open(newline="") as rows:
        small = [row for row in csv.DictReader(rows) if float(row["area_px2"]) < 20]
    with (tmp_path / "small.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, small[0])
        table.writeheader()
        table.writerows(small)
    bundle = export(zoo, objects_from=str(tmp_path / "small.csv"))
    assert set(bundle.objects) == {int(row["object_id"]) for row in small}
    assert set(bundle.objects.values()) == {"cat"}


def test_a_bound_taken_from_a_table_includes_the_object_it_was_taken_from(zoo: Path, export: Export) -> None:
    first = export(zoo, metrics=("csv",), scale=0.325)
    with (first.folder / "metrics/objects.csv").open(newline="") as rows:
        table = {int(row["object_id"]): float(row["area_um2"]) for row in csv.DictReader(rows)}
    bundle = export(zoo, min_area=table[12], max_area=table[12], scale=0.325)
    assert set(bundle.objects) == {number for number, area in table.items() if area == table[12]}
    assert set(bundle.objects.values()) == {"dog"}


def test_the_same_list_elsewhere_gives_the_same_bytes_on_any_number_of_lanes(
    zoo: Path, export_zip: ExportZip, tmp_path: Path
) -> None:
    bundles = []
    for lanes in (1, 2):
        folder = tmp_path / f"elsewhere-{lanes}"
        folder.mkdir()
        (folder / "list.txt").write_text("p1/01.png\np2/02.png\n")
        options = {"class_map": {"*": "animal"}, "split": SHARES, "split_by": "folder", "formats": ("coco", "yolo")}
        bundles.append(export_zip(zoo, lanes=lanes, images_from=str(folder / "list.txt"), **options).read_bytes())
    assert bundles[0] == bundles[1]


def test_a_list_that_names_nothing_is_wrong_usage(zoo: Path, export: Export, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("nobody.png")
    with pytest.raises(ExportError, match=r"no image that list.txt lists .*'p1/01.png'") as caught:
        export(zoo, images_from=str(tmp_path / "list.txt"))
    assert caught.value.code is Code.USAGE


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"select": ("p1/*",), "exclude": ("*",)}, r"none of the 12 images.* by 'p1/\*', when '\*' are excluded"),
        ({"where": "image.patient == 'p9'"}, "by the condition \"image.patient == 'p9'\""),
        ({"class_map": {"bird": ""}}, "no class 'bird' that could be mapped"),
        ({"source_split": True}, "split by shares"),
    ],
)
def test_a_selection_that_fits_nothing_is_wrong_usage(
    zoo: Path, export: Export, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ExportError, match=sentence) as caught:
        export(zoo, **options)
    assert caught.value.code is Code.USAGE


def test_merged_and_dropped_classes_are_told_with_their_objects(zoo: Path, export: Export) -> None:
    bundle = export(zoo, class_map={"dog": "canid", "wolf": "canid", "cat": ""}, formats=("json", "yolo"))
    assert bundle.findings == [
        ("class-dropped", "the class 'cat' is left out (12 objects)"),
        ("class-merged", "2 classes are one, 'canid': 'dog' (12 objects), 'wolf' (12 objects)"),
    ]
    assert 'names:\n  0: "canid"\n' in (bundle.folder / "data.yaml").read_text()
    assert [(each["id"], each["name"], each["objects"]) for each in bundle.manifest["classes"]] == [(1, "canid", 24)]
    assert "2 classes are one, 'canid'" in bundle.readme


def test_ids_that_are_missing_or_taken_are_given_the_same_way_whatever_is_selected(zoo: Path, export: Export) -> None:
    tree = json.loads((zoo / "instances.json").read_text())
    for index, annotation in enumerate(tree["annotations"]):
        annotation["id"] = {0: None, 1: 7, 2: 0}.get(index % 3)
    (zoo / "instances.json").write_text(json.dumps(tree))
    whole = export(zoo).objects
    assert len(whole) == 36
    for options in ({"classes": ("wolf",)}, {"select": ("p1/*",)}, {"max_area": 20.0}, {"class_map": {"cat": ""}}):
        part = export(zoo, **options).objects
        assert part
        assert part.items() <= whole.items()


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


@pytest.fixture
def cvat(tmp_path: Path) -> Path:
    """A CVAT folder of two images with typed attributes; one is tagged with its patient."""
    root = tmp_path / "cvat"
    for name in ("a", "b"):
        save_picture(root / "images" / f"{name}.png")
    box = 'xtl="{0}" ytl="{0}" xbr="{1}" ybr="{1}"'

    def shape(place: int, score: str, stage: str, occluded: int) -> str:
        values = f'<attribute name="score">{score}</attribute><attribute name="cell stage">{stage}</attribute>'
        return f'<box label="cell" occluded="{occluded}" {box.format(place, place + 5)}>{values}</box>'

    tag = '<tag label="info"><attribute name="patient">7</attribute></tag>'
    (root / "annotations.xml").write_text(
        "<annotations><meta><labels><label><name>cell</name><attributes><attribute><name>score</name><input_type>number</input_type>"
        "</attribute></attributes></label><label><name>info</name><attributes><attribute><name>patient</name><input_type>number</input_type>"
        "</attribute></attributes></label></labels></meta>"
        f'<image id="0" name="a.png" width="{SIDE}" height="{SIDE}">{shape(5, "0.9", "anaphase", 0)}{shape(15, "0.4", "anaphase", 0)}{tag}</image>'
        f'<image id="1" name="b.png" width="{SIDE}" height="{SIDE}">{shape(5, "0.8", "prophase", 0)}{shape(15, "0.7", "anaphase", 1)}</image>'
        "</annotations>"
    )
    return root


@pytest.mark.parametrize(
    ("where", "objects"),
    [
        ("score >= 0.5", {1, 3, 4}),
        ("not occluded and score >= 0.5 and `cell stage` in ('anaphase', 'metaphase')", {1}),
        ("occluded == null", {1, 2, 3}),
        ("image.patient == 7", {1, 2}),
        ("image.tags != 'info'", {3, 4}),
        ("image.patient == '7'", None),
    ],
)
def test_attributes_of_cvat_objects_and_images_select(
    cvat: Path, export: Export, where: str, objects: set[int] | None
) -> None:
    if objects is None:
        with pytest.raises(ExportError, match="none of the 2 images"):
            export(cvat, where=where)
        return
    assert set(export(cvat, where=where).objects) == objects


def test_a_selection_of_objects_asks_nothing_of_images_that_cannot_be_exported(zoo: Path, export: Export) -> None:
    (zoo / "images/p1/01.png").unlink()
    bundle = export(zoo, on_error=OnError.SKIP, classes=("cat",))
    assert bundle.manifest["counts"] == {"images": 11, "objects": 11, "classes": 3, "skipped": 1}
    assert bundle.manifest["selection"]["objects"] == {"found": 36, "selected": 12, "left_out": {"classes": 24}}
