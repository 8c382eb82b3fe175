"""Whole exports of selections: what is left is the same everywhere, under the ids it always has."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.export.selection.conftest import CLASSES, Bundle

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


def test_a_selection_of_objects_asks_nothing_of_images_that_cannot_be_exported(zoo: Path, export: Export) -> None:
    (zoo / "images/p1/01.png").unlink()
    bundle = export(zoo, on_error=OnError.SKIP, classes=("cat",))
    assert bundle.manifest["counts"] == {"images": 11, "objects": 11, "classes": 3, "skipped": 1}
    assert bundle.manifest["selection"]["objects"] == {"found": 36, "selected": 12, "left_out": {"classes": 24}}
