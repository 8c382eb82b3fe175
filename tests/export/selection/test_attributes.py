"""Whole exports of what a condition on attributes selects."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.export.selection.conftest import SIDE, Bundle, save_picture

from labelferry_export.errors import ExportError

Export = Callable[..., Bundle]
ExportZip = Callable[..., Path]
SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}


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
