"""LabelMe folders: every kind of shape, groups, masks, images that are where they are, or not."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.reading.conftest import Failure, Reader

SQUARE = [[10, 10], [20, 10], [20, 20], [10, 20]]
FAR = [[30, 20], [35, 20], [35, 25], [30, 25]]
INNER = [[12, 12], [14, 12], [14, 14], [12, 14]]


def page(*shapes: dict[str, Any], image: str = "a.png", **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"version": "5.5.0", "flags": {}, "imagePath": image, "imageData": None}
    return {**said, "shapes": list(shapes), "imageHeight": 30, "imageWidth": 40, **more}


def shape(points: Any = SQUARE, **more: Any) -> dict[str, Any]:
    return {"label": "cell", "points": points, "group_id": None, "shape_type": "polygon", "flags": {}, **more}


def png(mask: Any) -> str:
    out = io.BytesIO()
    Pillow.fromarray(np.array(mask, np.uint8) * np.uint8(255)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a LabelMe folder of json files by name, with a 40x30 image a.png, b.png, ... for each."""

    def make(**pages: dict[str, Any]) -> Path:
        root = tmp_path / "labelme"
        root.mkdir(exist_ok=True)
        for stem, tree in pages.items():
            (root / f"{stem}.json").write_text(json.dumps(tree))
            picture(root / f"{stem}.png")
        return root

    return make


def test_polygons_of_several_files_become_one_project(
    folder: Callable[..., Path], read: Reader, rings: Callable[..., Any]
) -> None:
    root = folder(
        b=page(shape(label="wall"), image="b.png"), a=page(shape(), shape(FAR, description="odd", flags={"ok": True}))
    )
    project = read(root)
    assert project.snapshot.facts.source_format == "labelme"
    assert [(image.name, image.width, image.height) for image in project.images] == [
        ("a.png", 40, 30),
        ("b.png", 40, 30),
    ]
    assert [each.name for each in project.snapshot.facts.categories] == ["cell", "wall"]
    assert [(each.id, each.image_id, each.category_id) for each in project.objects] == [(1, 1, 1), (2, 1, 1), (3, 2, 2)]
    assert rings(project.objects[1].shape) == [np.ravel(FAR).tolist()]
    assert project.objects[1].attributes == {"ok": True, "description": "odd"}
    assert project.findings == []


def test_shapes_of_one_label_and_group_are_one_object_of_several_parts(
    folder: Callable[..., Path], read: Reader, rings: Callable[..., Any]
) -> None:
    root = folder(
        a=page(shape(group_id=3), shape(INNER, label="x", group_id=3), shape(FAR, group_id=3), shape(FAR, group_id=4))
    )
    first, *others = read(root).objects
    assert len(rings(first.shape)) == 2
    assert [len(each.shape.parts) for each in others] == [1, 1]


def test_rings_flagged_as_holes_are_cut_out_of_their_group(folder: Callable[..., Path], read: Reader) -> None:
    root = folder(a=page(shape(group_id=1), shape(INNER, group_id=1, flags={"hole": True}), shape(FAR, group_id=1)))
    (found,) = read(root).objects
    assert [len(part.holes) for part in found.shape.parts] == [1, 0]
    assert found.attributes == {}


@pytest.mark.parametrize("points", [[[10, 10], [20, 20]], [[20, 20], [10, 10]], SQUARE])
def test_a_rectangle_is_its_four_corners(
    folder: Callable[..., Path], read: Reader, rings: Callable[..., Any], points: Any
) -> None:
    (found,) = read(folder(a=page(shape(points, shape_type="rectangle")))).objects
    assert rings(found.shape) == [np.ravel(SQUARE).tolist()]


def test_a_circle_is_a_polygon_whose_area_is_the_circles(
    folder: Callable[..., Path], read: Reader, area: Callable[..., float]
) -> None:
    (found,) = read(folder(a=page(shape([[20, 15], [20, 25]], shape_type="circle")))).objects
    assert len(found.shape.parts[0].outer) == 128
    assert area(found.shape) == pytest.approx(np.pi * 100, rel=1e-3)


def test_a_mask_is_traced_along_its_pixels_with_its_hole(
    folder: Callable[..., Path], read: Reader, pixels: Callable[..., Any]
) -> None:
    mask = np.zeros((30, 40), bool)
    mask[5:15, 8:20] = True
    mask[8:10, 10:12] = False
    crop = png(mask[5:15, 8:20])
    root = folder(a=page(shape([[8, 5], [19, 14]], shape_type="mask", mask=crop)))
    (found,) = read(root).objects
    assert (pixels(found.shape, 40, 30) == mask).all()


def test_images_are_found_relative_to_their_json_also_with_backslashes(
    tmp_path: Path, picture: Callable[..., Path], read: Reader
) -> None:
    root = tmp_path / "project"
    (root / "labels" / "x").mkdir(parents=True)
    picture(root / "pictures" / "a.png")
    (root / "labels" / "x" / "a.json").write_text(json.dumps(page(shape(), image="..\\..\\pictures\\a.png")))
    assert read(root).images[0].path == root / "pictures" / "a.png"


def test_classes_keep_the_order_of_labels_txt(folder: Callable[..., Path], read: Reader) -> None:
    root = folder(a=page(shape(label="b"), shape(label="a"), shape(label="c")))
    (root / "labels.txt").write_text("__ignore__\n_background_\nc\nb\n")
    assert [each.name for each in read(root).snapshot.facts.categories] == ["c", "b", "a"]


def test_images_without_a_json_are_not_annotated_and_that_is_said(
    folder: Callable[..., Path], picture: Callable[..., Path], read: Reader
) -> None:
    root = folder(a=page(shape()), b=page(image="b.png"))
    picture(root / "new.png")
    project = read(root)
    assert [image.name for image in project.images] == ["a.png", "b.png"]
    assert project.findings == [("other", "1 images beside the json files have no json, and are left out: 'new.png'")]


BAD_SHAPES = [
    ("point", shape([[1, 1]], shape_type="point"), "shape 2 of a.json cannot be exported: it is a point, which has no area"),
    ("line", shape([[1, 1], [5, 5]], shape_type="linestrip"), "it is a line, which has no area"),
    ("kind", shape(shape_type="cloud"), "it has the shape_type 'cloud', which is not known"),
    ("two points", shape([[1, 1], [2, 2]]), "fewer than three distinct points"),
    ("words", shape([["a", "b"]] * 3), "not made of pairs of numbers"),
    ("nothing", shape([]), "not made of pairs of numbers"),
    ("radius", shape([[5, 5], [5, 5]], shape_type="circle"), "radius is not above 0"),
    ("three corners", shape(SQUARE[:3], shape_type="rectangle"), "a rectangle of 3 points, and not of 2"),
    ("no mask", shape([[1, 1], [5, 5]], shape_type="mask"), "a mask without the mask"),
    ("no base64", shape([[1, 1], [5, 5]], shape_type="mask", mask="\u00e9"), "its mask is not base64"),
    ("no png", shape([[1, 1], [5, 5]], shape_type="mask", mask="AAAA"), "its mask cannot be read: "),
    ("no shape", {"label": "cell", "points": 7}, "shape 2 of a.json cannot be exported: Expected `array`"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "sentence"), [row[1:] for row in BAD_SHAPES], ids=[row[0] for row in BAD_SHAPES])
def test_a_shape_that_is_no_area_is_a_sentence_or_is_left_out(
    folder: Callable[..., Path], read: Reader, fail: Failure, bad: dict[str, Any], sentence: str
) -> None:
    root = folder(a=page(shape(), bad, shape(FAR)))
    assert sentence in str(fail(root))
    project = read(root, on_error=OnError.SKIP)
    assert [each.id for each in project.objects] == [1, 3] or sentence.startswith(
        "shape 2 of a.json cannot be exported: Exp"
    )
    assert len(project.objects) == 2
    assert [(code, sentence in message) for code, message in project.findings] == [("object-dropped", True)]


def test_a_shape_of_which_nothing_can_be_drawn_is_left_out_and_counted(
    folder: Callable[..., Path], read: Reader
) -> None:
    project = read(folder(a=page(shape(), shape([[float("nan"), 1], [5, 5], [1, 5]]), shape(FAR))))
    assert [each.id for each in project.objects] == [1, 3]
    (finding,) = project.findings
    assert finding[0] == "object-dropped"
    assert "object 2 of image 'a.png' cannot be exported: its outline" in finding[1]


BAD_PAGES = [
    ("only inside", page(image="none.png", imageData="AAAA"), "is only inside the json (imageData): save it as a file"),
    ("missing", page(image="none.png"), "the image 'none.png' is missing"),
    ("outside", page(image="../../none.png"), "lies outside of the project"),
    ("absolute", page(image="/etc/passwd"), "lies outside of the project"),
    ("size", page(imageWidth=41, image="b.png"), "the image 'b.png' has 40x30 px, the project says 41x30"),
    ("no list", page() | {"shapes": 7}, "b.json is not what LabelMe writes"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "sentence"), [row[1:] for row in BAD_PAGES], ids=[row[0] for row in BAD_PAGES])
def test_a_page_without_a_good_image_is_a_sentence_or_is_left_out(
    folder: Callable[..., Path], read: Reader, fail: Failure, bad: dict[str, Any], sentence: str
) -> None:
    root = folder(a=page(shape()), b=bad)
    assert sentence in str(fail(root))
    assert [image.name for image in read(root, on_error=OnError.SKIP).images] == ["a.png"]


def test_a_link_out_of_the_project_is_not_read(folder: Callable[..., Path], tmp_path: Path, read: Reader) -> None:
    root = folder(a=page(shape()))
    (tmp_path / "secret.json").write_text(json.dumps(page(shape(), image="a.png")))
    (root / "b.json").symlink_to("../secret.json")
    assert len(read(root).images) == 1


def test_deep_nesting_is_a_sentence(folder: Callable[..., Path], read: Reader, fail: Failure) -> None:
    root = folder(a=page(shape()), b=page())
    (root / "b.json").write_text('{"imagePath": "b.png", "shapes": ' + "[" * 1_000_000)
    assert "more than 64 lists and objects inside one another" in str(fail(root))
