"""Pascal VOC folders: boxes that count from 1 or 0, masks of objects and classes, lists of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.reading.conftest import Failure, Reader


def thing(box: tuple[Any, ...] = (11, 11, 20, 20), name: str = "cell", more: str = "") -> str:
    sides = "".join(f"<{tag}>{side}</{tag}>" for tag, side in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


@pytest.fixture
def voc(tmp_path: Path, picture: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a VOC folder: a 40x30 image a.png with the objects given as xml."""

    def make(*objects: str, stem: str = "a", images: str = "JPEGImages/", size: tuple[int, int] = (40, 30)) -> Path:
        root = tmp_path / "voc"
        picture(root / images / f"{stem}.png")
        (root / "Annotations").mkdir(parents=True, exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(
            f"<annotation><folder>x</folder><filename>{stem}.png</filename><size><width>{size[0]}</width>"
            f"<height>{size[1]}</height><depth>3</depth></size>{''.join(objects)}</annotation>"
        )
        return root

    return make


@pytest.fixture
def paint(tmp_path: Path) -> Callable[..., None]:
    """Saves a palette mask of 40x30: its numbers with their boxes (left, top, right, bottom)."""

    def save(folder: str, *boxes: tuple[int, tuple[int, int, int, int]], stem: str = "a") -> None:
        mask = np.zeros((30, 40), np.uint8)
        for value, (left, top, right, bottom) in boxes:
            mask[top:bottom, left:right] = value
        picture = Pillow.fromarray(mask, "L")
        picture.putpalette(list(range(256)) * 3)
        path = tmp_path / "voc" / folder / f"{stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)

    return save


@pytest.mark.parametrize("images", ["JPEGImages/", "images/", "images/train/", "Annotations/", ""])
def test_boxes_count_from_one_and_include_both_ends(
    voc: Callable[..., Path], read: Reader, rings: Callable[..., Any], images: str
) -> None:
    project = read(voc(thing(), images=images))
    assert project.snapshot.facts.source_format == "voc"
    assert rings(project.objects[0].shape) == [[10, 10, 20, 10, 20, 20, 10, 20]]
    assert project.findings == [("other", project.findings[0][1])]
    assert "1 objects of " in project.findings[0][1]


@pytest.mark.parametrize(("right", "expected"), [(9, 10), (40, 40)])
def test_a_box_that_begins_at_zero_makes_the_project_count_from_zero(
    voc: Callable[..., Path], read: Reader, rings: Callable[..., Any], right: int, expected: int
) -> None:
    project = read(voc(thing((0, 5, right, 9))))
    flat = rings(project.objects[0].shape)[0]
    assert (min(flat[::2]), max(flat[::2])) == (0, expected)
    told = "boxes are taken to count pixels from 0, not 1: Annotations/a.xml has one that begins at 0"
    assert project.findings.count(("other", told)) == 1


def test_a_box_whose_sides_are_the_wrong_way_round_is_turned_with_a_word(
    voc: Callable[..., Path], read: Reader, rings: Callable[..., Any]
) -> None:
    project = read(voc(thing((20, 11, 11, 20))))
    assert rings(project.objects[0].shape) == [[10, 10, 20, 10, 20, 20, 10, 20]]
    message = (
        "object 1 of Annotations/a.xml has a box whose sides are the wrong way round: the lesser number comes first now"
    )
    assert ("object-repaired", message) in project.findings


def test_boxes_of_parts_are_left_out_and_counted(voc: Callable[..., Path], read: Reader) -> None:
    part = "<part><name>head</name><bndbox><xmin>12</xmin><ymin>12</ymin><xmax>14</xmax><ymax>14</ymax></bndbox></part>"
    project = read(voc(thing(more=part * 2), thing()))
    assert len(project.objects) == 2
    assert ("other", "objects with boxes of parts: 1; the parts are left out, an object has one outline") in (
        project.findings
    )


def test_flags_pose_attributes_and_ids_are_kept(voc: Callable[..., Path], read: Reader) -> None:
    more = (
        "<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><id>17</id>"
        "<attributes><attribute><name>stain</name><value>HE</value></attribute></attributes>"
    )
    (found,) = read(voc(thing(more=more))).objects
    assert (found.id, found.attributes) == (17, {"pose": "Left", "truncated": True, "stain": "HE"})


def test_objects_have_the_outline_of_their_number_in_the_mask_and_void_is_none(
    voc: Callable[..., Path], paint: Callable[..., None], read: Reader, pixels: Callable[..., Any]
) -> None:
    root = voc(thing(name="a"), thing(name="b"), thing((31, 1, 35, 5), name="c"))
    paint("SegmentationObject", (1, (5, 5, 15, 15)), (255, (5, 5, 15, 6)), (2, (20, 20, 30, 30)))
    project = read(root)
    first, second, third = project.objects
    expected = np.zeros((30, 40), bool)
    expected[6:15, 5:15] = True
    assert (pixels(first.shape, 40, 30) == expected).all()
    assert pixels(second.shape, 40, 30).sum() == 100
    assert pixels(third.shape, 40, 30).sum() == 25
    assert [message for _, message in project.findings] == [
        "1 objects of 'a.png' have no outline: their boxes are used as outlines"
    ]


def test_masks_alone_are_a_project_with_classes_by_majority(
    tmp_path: Path, picture: Callable[..., Path], paint: Callable[..., None], read: Reader
) -> None:
    picture(tmp_path / "voc" / "JPEGImages" / "a.jpg")
    (tmp_path / "voc" / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncell::\nwall::\n"
    )
    paint("SegmentationObject", (1, (5, 5, 15, 15)), (2, (20, 20, 30, 30)))
    paint("SegmentationClass", (2, (5, 5, 15, 15)), (255, (5, 5, 15, 10)), (1, (20, 20, 30, 30)))
    project = read(tmp_path / "voc")
    assert [each.name for each in project.snapshot.facts.categories] == ["cell", "wall"]
    assert [each.category_id for each in project.objects] == [2, 1]


def test_without_a_labelmap_classes_have_the_names_of_the_challenge(
    tmp_path: Path, picture: Callable[..., Path], paint: Callable[..., None], read: Reader
) -> None:
    picture(tmp_path / "voc" / "JPEGImages" / "a.jpg")
    paint("SegmentationObject", (1, (5, 5, 15, 15)))
    paint("SegmentationClass", (15, (5, 5, 15, 15)))
    project = read(tmp_path / "voc")
    assert len(project.snapshot.facts.categories) == 20
    assert project.snapshot.facts.categories[project.objects[0].category_id - 1].name == "person"


def test_lists_are_subsets_unless_an_image_is_in_several(voc: Callable[..., Path], read: Reader) -> None:
    root = voc(thing(), stem="a b")
    for stem in "cd":
        voc(stem=stem)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for name, text in {"train": "a b\nc\n", "val": "c\nd\n", "trainval": "a b\nc\nd\n"}.items():
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text(text)
    assert [(image.name, image.subset) for image in read(root).images] == [
        ("a b.png", "train"),
        ("c.png", None),
        ("d.png", "val"),
    ]


BAD_OBJECTS = [
    ("no box", "<object><name>cell</name></object>", "object 2 of Annotations/a.xml cannot be exported: it has no box of four numbers"),
    ("words", thing(("a", 1, 2, 3)), "it has no box of four numbers"),
    ("nan", thing(("nan", 1, 2, 3)), "it has no box of four numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "sentence"), [row[1:] for row in BAD_OBJECTS], ids=[row[0] for row in BAD_OBJECTS])
def test_a_bad_object_is_a_sentence_or_is_left_out(
    voc: Callable[..., Path], read: Reader, fail: Failure, bad: str, sentence: str
) -> None:
    root = voc(thing(), bad, thing())
    assert sentence in str(fail(root))
    assert [each.id for each in read(root, on_error=OnError.SKIP).objects] == [1, 3]


def test_a_box_outside_of_the_image_is_left_out_and_counted(voc: Callable[..., Path], read: Reader) -> None:
    project = read(voc(thing(), thing((100, 100, 120, 120)), thing()))
    assert [each.id for each in project.objects] == [1, 3]
    assert any("lies outside of the image" in message for _, message in project.findings)


def test_a_mask_of_another_size_or_in_colours_is_a_sentence(
    voc: Callable[..., Path], paint: Callable[..., None], fail: Failure
) -> None:
    root = voc(thing())
    paint("SegmentationObject", (1, (5, 5, 15, 15)))
    Pillow.new("P", (20, 20), 1).save(root / "SegmentationObject" / "a.png")
    assert "SegmentationObject/a.png cannot be exported: it has 20x20 px, the image 40x30" in str(fail(root))
    Pillow.new("RGB", (40, 30), "red").save(root / "SegmentationObject" / "a.png")
    assert "its mask has colours" in str(fail(root))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<annotation><object>", "Annotations/b.xml is not xml: line 1"),
        ('<!DOCTYPE annotation [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation/>', "it has a document type"),
        ("<annotation><filename>none.png</filename></annotation>", "Annotations/b.xml has no image"),
    ],
)
def test_a_bad_xml_is_a_sentence_or_is_left_out(
    voc: Callable[..., Path], read: Reader, fail: Failure, text: str, sentence: str
) -> None:
    root = voc(thing())
    (root / "Annotations" / "b.xml").write_text(text)
    assert sentence in str(fail(root))
    assert len(read(root, on_error=OnError.SKIP).images) == 1
