"""CVAT for images 1.1: shapes, masks row by row, attributes with types, groups; xml that attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from labelferry_protocol.errors import Code
from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.reading.conftest import Failure, Reader

META = """<meta><task><name>t</name><labels>
<label><name>wall</name><color>#ff0000</color><attributes>
<attribute><name>score</name><input_type>number</input_type></attribute>
<attribute><name>wet</name><input_type>checkbox</input_type></attribute>
<attribute><name>note</name><input_type>text</input_type></attribute></attributes></label>
<label><name>cell</name><attributes></attributes></label></labels></task></meta>"""
SQUARE = 'points="10.00,10.00;20.00,10.00;20.00,20.00;10.00,20.00"'


@pytest.fixture
def cvat(tmp_path: Path, picture: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a CVAT folder with one 40x30 image and the shapes given as xml."""

    def make(
        shapes: str = "", meta: str = META, place: str = "annotations.xml", head: str = "", more: str = ""
    ) -> Path:
        root = tmp_path / "cvat"
        picture(root / "images" / "a.png")
        image = f'<image id="0" name="a.png" width="40" height="30">{shapes}</image>'
        text = f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations><version>1.1</version>{meta}{image}{more}</annotations>'
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
        return root

    return make


@pytest.mark.parametrize(
    "place", ["annotations.xml", "annotations/annotations.xml", "annotations/cvat/annotations.xml", "job_7.xml"]
)
def test_polygons_and_the_classes_of_the_meta_are_read(
    cvat: Callable[..., Path], read: Reader, rings: Callable[..., Any], place: str
) -> None:
    root = cvat(f'<polygon label="cell" source="manual" occluded="0" {SQUARE} z_order="0"/>', place=place)
    project = read(root)
    assert project.snapshot.facts.source_format == "cvat"
    assert [each.name for each in project.snapshot.facts.categories] == ["wall", "cell"]
    (found,) = project.objects
    assert (found.category_id, found.attributes) == (2, {})
    assert rings(found.shape) == [[10, 10, 20, 10, 20, 20, 10, 20]]
    assert project.findings == []


def test_the_xml_itself_is_a_project(cvat: Callable[..., Path], read: Reader) -> None:
    root = cvat(f'<polygon label="cell" {SQUARE}/>', place="job.xml")
    assert len(read(root / "job.xml").objects) == 1


def test_attributes_have_the_types_that_the_meta_gives_them(cvat: Callable[..., Path], read: Reader) -> None:
    root = cvat(
        f'<polygon label="wall" source="auto" occluded="1" z_order="3" {SQUARE}>'
        '<attribute name="score">2.5</attribute><attribute name="wet">false</attribute>'
        '<attribute name="note">7</attribute><attribute name="odd">&lt;x&gt;</attribute></polygon><tag label="cell"/>'
    )
    project = read(root)
    assert project.objects[0].attributes == {
        "score": 2.5,
        "wet": False,
        "note": "7",
        "odd": "<x>",
        "occluded": True,
        "z_order": 3,
        "source": "auto",
    }
    assert project.images[0].attributes == {"tags": "cell"}


def test_a_box_may_be_turned(cvat: Callable[..., Path], read: Reader, rings: Callable[..., Any]) -> None:
    root = cvat('<box label="cell" xtl="10" ytl="10" xbr="20" ybr="14" rotation="90"/>')
    flat = rings(read(root).objects[0].shape)[0]
    assert np.allclose(sorted(zip(flat[::2], flat[1::2], strict=True)), [(13, 7), (13, 17), (17, 7), (17, 17)])


def test_an_ellipse_is_a_polygon_of_its_area(
    cvat: Callable[..., Path], read: Reader, area: Callable[..., float]
) -> None:
    root = cvat('<ellipse label="cell" cx="20" cy="15" rx="10" ry="5"/>')
    assert area(read(root).objects[0].shape) == pytest.approx(np.pi * 50, rel=1e-3)


def test_a_mask_goes_row_by_row_inside_its_box(
    cvat: Callable[..., Path], read: Reader, pixels: Callable[..., Any]
) -> None:
    # Rows of a 4x3 box: .##. / #..# / .##.
    root = cvat('<mask label="cell" rle="1, 2, 1, 1, 2, 1, 1, 2, 1" left="5" top="7" width="4" height="3"/>')
    mask = np.zeros((30, 40), bool)
    mask[7:10, 5:9] = [[0, 1, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0]]
    assert (pixels(read(root).objects[0].shape, 40, 30) == mask).all()


def test_shapes_of_one_label_and_group_are_one_object(cvat: Callable[..., Path], read: Reader) -> None:
    far = SQUARE.replace("10.00", "22.00").replace("20.00", "28.00")
    one, two = (f'<polygon label="cell" group_id="4" {points}/>' for points in (SQUARE, far))
    root = cvat(f'{one}<polygon label="wall" group_id="4" {far}/>{two}<polygon label="cell" {far}/>')
    assert [len(each.shape.parts) for each in read(root).objects] == [2, 1, 1]


def test_subsets_and_folders_of_names_are_kept(tmp_path: Path, picture: Callable[..., Path], read: Reader) -> None:
    root = tmp_path / "cvat"
    picture(root / "images" / "train" / "x" / "a.png")
    image = '<image id="0" name="x/a.png" subset="train" width="40" height="30"></image>'
    (root / "annotations.xml").write_text(f"<annotations>{META}{image}</annotations>")
    assert [(each.name, each.subset) for each in read(root).images] == [("x/a.png", "train")]


def test_a_label_that_is_not_declared_is_added_with_a_word(cvat: Callable[..., Path], read: Reader) -> None:
    project = read(cvat(f'<polygon label="new" {SQUARE}/>'))
    assert [each.name for each in project.snapshot.facts.categories] == ["wall", "cell", "new"]
    assert project.findings == [("other", "the label 'new' is not declared in the meta of annotations.xml: added")]


BAD_SHAPES = [
    ("points", '<points label="cell" points="1,1;2,2"/>', "it is points, which has no area"),
    ("polyline", '<polyline label="cell" points="1,1;2,2;3,3"/>', "it is a line, which has no area"),
    ("unknown", '<blob label="cell"/>', "<blob> is not known"),
    ("no points", '<polygon label="cell"/>', "not made of pairs of numbers"),
    ("odd points", '<polygon label="cell" points="1;2;3"/>', "not made of pairs of numbers"),
    ("words", '<polygon label="cell" points="a,b;c,d;e,f"/>', "not made of pairs of numbers"),
    ("box", '<box label="cell" xtl="1" ytl="x" xbr="2" ybr="2"/>', "its ytl is 'x', and no number"),
    ("empty box", '<box label="cell" xtl="1" ytl="2" xbr="1" ybr="5"/>', "its box is empty"),
    ("sum", '<mask label="cell" rle="1,2" left="0" top="0" width="2" height="2"/>', "add up to 3, not to the 2 x 2"),
    ("no numbers", '<mask label="cell" rle="x" left="0" top="0" width="2" height="2"/>', "its mask: invalid literal"),
    ("empty mask", '<mask label="cell" rle="4" left="0" top="0" width="2" height="2"/>', "its mask is empty"),
    ("huge", '<mask label="cell" rle="4" left="0" top="0" width="99999" height="99999"/>', "which no image has"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "sentence"), [row[1:] for row in BAD_SHAPES], ids=[row[0] for row in BAD_SHAPES])
def test_a_shape_that_is_no_area_is_a_sentence_or_is_left_out(
    cvat: Callable[..., Path], read: Reader, fail: Failure, bad: str, sentence: str
) -> None:
    good = f'<polygon label="cell" {SQUARE}/>'
    root = cvat(good + bad + good)
    assert sentence in str(fail(root))
    project = read(root, on_error=OnError.SKIP)
    assert [each.id for each in project.objects] == [1, 3]
    assert [(code, sentence in message) for code, message in project.findings] == [("object-dropped", True)]


def test_a_video_is_refused_with_what_to_do(cvat: Callable[..., Path], fail: Failure) -> None:
    error = fail(cvat(more='<track id="0" label="cell"><box frame="0"/></track>'))
    assert error.code is Code.SOURCE
    assert "annotates a video (it has tracks): export the task from CVAT as 'CVAT for images 1.1'" in str(error)


BILLION = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (f'<!DOCTYPE annotations [<!ENTITY l0 "lol">{BILLION}]>', "it has a document type (DOCTYPE)"),
        ('<!DOCTYPE annotations [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "it has a document type (DOCTYPE)"),
        ('<!DOCTYPE annotations SYSTEM "http://127.0.0.1/x.dtd">', "it has a document type (DOCTYPE)"),
        ("<!DOCTYPE cvat>", "it has a document type (DOCTYPE)"),
        ('<!DOCTYPE a [<!ENTITY b "]">\n] >\n', "it has a document type (DOCTYPE)"),
    ],
)
def test_entities_are_refused_before_they_are_opened(
    cvat: Callable[..., Path], fail: Failure, head: str, sentence: str
) -> None:
    root = cvat(f'<polygon label="cell" {SQUARE}/>', head=head)
    error = fail(root)
    assert error.code is Code.SOURCE
    assert sentence in str(error)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<annotations><image", "annotations.xml is not xml: line 1"),
        ("<annotations></wrong>", "annotations.xml is not xml: line 1: mismatched tag"),
        ("<annotations>" + "<a>" * 100, "annotations.xml is refused: line 1: more than 32 elements inside one another"),
        ("<annotations>&undefined;</annotations>", "annotations.xml is not xml: line 1: undefined entity"),
        ("<annotations></annotations>", "cvat holds no images"),
    ],
)
def test_broken_xml_is_a_sentence_that_names_the_line(
    cvat: Callable[..., Path], fail: Failure, text: str, sentence: str
) -> None:
    root = cvat()
    (root / "annotations.xml").write_text(text)
    assert sentence in str(fail(root))
