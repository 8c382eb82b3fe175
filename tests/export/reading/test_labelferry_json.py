"""labelferry's own json as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from PIL import Image as Pillow

from labelferry_export.sources.labelferry_form import (
    FORM_VERSION,
    FormCategory,
    FormImage,
    FormInstance,
    FormPart,
)
from labelferry_protocol.errors import Code

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.reading.conftest import Failure, Reader

OUTER = [1.5, 1, 30, 1, 30, 25.25, 1, 25]
HOLE = [5.0, 5, 5, 10, 10, 10, 10, 5]


def tree(**more: object) -> dict[str, object]:
    return {
        "labelferry": FORM_VERSION,
        "name": "plates",
        "info": {"lens": "20x"},
        "categories": [FormCategory(id=1, name="cell"), FormCategory(id=2, name="dead", supercategory="cell")],
        "images": [
            FormImage(id=3, name="p1/a.png", file="a.png", width=40, height=30, subset="s", attributes={"well": "A1"}),
            FormImage(id=9, name="p2/a.png", file="train/p2__a.png", width=40, height=30),
        ],
        "instances": [
            FormInstance(id=5, image_id=9, category_id=2, parts=[FormPart(outer=OUTER, holes=[HOLE])], crowd=True),
            FormInstance(id=4, image_id=3, category_id=1, parts=[FormPart(outer=HOLE)], attributes={"score": 0.25}),
        ],
        **more,
    }


def write_bundle(root: Path, **more: object) -> Path:
    for name in ("a.png", "train/p2__a.png"):
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.new("L", (40, 30)).save(path)
    file = root / "annotations" / "json" / "annotations.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(msgspec.json.encode(tree(**more)))
    return root


def test_an_unzipped_bundle_is_read_with_nothing_lost(tmp_path: Path, read: Reader) -> None:
    project = read(write_bundle(tmp_path / "bundle"))
    facts = project.snapshot.facts
    assert (facts.name, facts.source_format, facts.info) == ("plates", "labelferry", {"lens": "20x"})
    assert [(each.id, each.name, each.supercategory) for each in facts.categories] == [
        (1, "cell", ""),
        (2, "dead", "cell"),
    ]
    assert [(each.id, each.name, each.bundle_name, each.subset, each.attributes) for each in project.images] == [
        (3, "p1/a.png", "a.png", "s", {"well": "A1"}),
        (9, "p2/a.png", "p2__a.png", None, {}),
    ]
    first, second = project.objects
    assert (first.id, first.image_id, first.crowd, first.attributes) == (4, 3, False, {"score": 0.25})
    assert (second.id, second.image_id, second.category_id, second.crowd) == (5, 9, 2, True)
    (part,) = second.shape.parts
    assert part.outer.ravel().tolist() == OUTER
    assert [hole.ravel().tolist() for hole in part.holes] == [HOLE]
    assert [code for code, _ in project.findings] == ["image-renamed"]


@pytest.mark.parametrize("place", ["annotations/json/annotations.json", "annotations.json", "any.json"])
def test_the_file_is_found_in_a_folder_and_can_be_named_itself(tmp_path: Path, read: Reader, place: str) -> None:
    root = write_bundle(tmp_path / "bundle")
    target = root / place
    (root / "annotations" / "json" / "annotations.json").rename(target)
    assert len(read(root).objects) == 2
    assert len(read(target).objects) == 2


def test_a_link_inside_of_the_project_is_followed(tmp_path: Path, read: Reader) -> None:
    root = write_bundle(tmp_path / "bundle")
    (root / "annotations" / "json" / "annotations.json").rename(root / "real.txt")
    (root / "linked.json").symlink_to("real.txt")
    assert len(read(root).objects) == 2


def test_a_bundle_with_coco_inside_is_still_read_by_its_lossless_form(tmp_path: Path, read: Reader) -> None:
    root = write_bundle(tmp_path / "bundle")
    (root / "annotations" / "coco").mkdir()
    (root / "annotations" / "coco" / "instances.json").write_text("{}")
    assert read(root).snapshot.facts.source_format == "labelferry"


def test_a_later_version_is_refused_with_what_to_do(tmp_path: Path, fail: Failure) -> None:
    error = fail(write_bundle(tmp_path / "bundle", labelferry=FORM_VERSION + 1))
    assert "is of version 2 of labelferry json, this labelferry reads up to 1: update it" in str(error)
    assert error.code is Code.SOURCE


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"labelferry": "one"}, "the value of 'labelferry': Expected `int`"),
        ({"name": 5}, "the value of 'name': Expected `str`"),
        ({"images": [{"id": 0, "name": "a", "width": 1, "height": 1}]}, "number 1 of the images of annotations.json"),
        ({"instances": [{"id": 1, "image_id": 3, "category_id": 1, "parts": [{"outer": [1, 2, 3]}]}]}, "odd number of coordinates"),
        ({"instances": [{"id": 1, "image_id": 8, "category_id": 1, "parts": []}]}, "belongs to image 8"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, fail: Failure, more: dict[str, object], sentence: str) -> None:
    assert sentence in str(fail(write_bundle(tmp_path / "bundle", **more)))


def test_an_object_without_an_outline_is_left_out_and_counted(tmp_path: Path, read: Reader) -> None:
    nothing = {"id": 1, "image_id": 3, "category_id": 1, "parts": []}
    project = read(write_bundle(tmp_path / "bundle", instances=[nothing]))
    assert project.objects == []
    assert any(code == "object-dropped" and "it has no outline" in message for code, message in project.findings)
