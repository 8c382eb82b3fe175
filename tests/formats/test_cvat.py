"""CVAT for images 1.1, read back by the rules of its documentation and of Datumaro's reader, written again here."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.findings import Finding
from labelferry_export.formats.cvat import escaped, shapes_of
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.runs import Runs
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.geometry.trace import shape_of_mask
from labelferry_export.model import Category, Image, Instance

IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=40, height=30)
CATEGORIES = (Category(1, "cell"), Category(2, "nucleus"))


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def instance(*parts: Part, crowd: bool = False, **attributes: str | float | bool) -> Instance:
    return Instance(id=7, image_id=5, category_id=2, shape=Shape(parts), crowd=crowd, attributes=dict(attributes))


def elements(each: Instance, parts: str = "mask") -> list[ET.Element]:
    return list(ET.fromstring(b"<image>" + shapes_of(IMAGE, [each], CATEGORIES, parts).data + b"</image>"))


def attributes_of(element: ET.Element) -> dict[str, str | None]:
    return {each.attrib["name"]: each.text for each in element}


def mask_of(element: ET.Element, image: Image = IMAGE) -> Any:
    left, top, width, height = (int(element.attrib[name]) for name in ("left", "top", "width", "height"))
    counts = [int(each) for each in element.attrib["rle"].split(",")]
    assert sum(counts) == width * height
    inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
    mask = np.zeros((image.height, image.width), bool)
    mask[top : top + height, left : left + width] = inside
    return mask


def test_a_square_is_a_polygon_with_its_class_and_number() -> None:
    (element,) = elements(instance(Part(box(2, 3, 10, 5.5)), round=True))
    assert element.tag == "polygon"
    assert element.attrib == {
        "label": "nucleus",
        "source": "manual",
        "occluded": "0",
        "points": "2,3;12,3;12,8.5;2,8.5",
        "z_order": "0",
    }
    assert attributes_of(element) == {"object_id": "7", "round": "true"}


def test_what_cvat_has_its_own_place_for_goes_there() -> None:
    (element,) = elements(instance(Part(box(2, 3, 10, 5)), occluded=True, z_order=3, source="auto"))
    assert [element.attrib[name] for name in ("occluded", "z_order", "source")] == ["1", "3", "auto"]
    assert attributes_of(element) == {"object_id": "7"}


def test_edge_case_1_a_hole_stays_open_in_the_mask() -> None:
    each = instance(Part(box(3, 3, 25, 25), (box(10, 10, 10, 10),)))
    (element,) = elements(each)
    assert element.tag == "mask"
    assert mask_of(element).sum() == 525
    assert (mask_of(element) == runs_of(each.shape, 40, 30).mask()).all()


def test_run_lengths_go_row_by_row_and_begin_with_zeros() -> None:
    corner = instance(
        Part(np.array([(0, 0), (3, 0), (3, 1), (1, 1), (1, 2), (0, 2)], np.float64)), Part(box(2, 1, 1, 1))
    )
    (element,) = elements(corner)
    assert element.attrib["rle"] == "0, 4, 1, 1"


def test_parts_are_one_mask_or_polygons_of_one_group() -> None:
    each = instance(Part(box(1, 1, 5, 5)), Part(box(11, 1, 5, 5)))
    assert [element.tag for element in elements(each)] == ["mask"]
    grouped = elements(each, "group")
    assert [(element.tag, element.attrib["group_id"]) for element in grouped] == [("polygon", "7")] * 2


def test_only_what_is_rounded_is_reported() -> None:
    exact = instance(Part(box(1, 1, 5, 5)), Part(box(11, 1, 5, 5)))
    assert shapes_of(IMAGE, [exact], CATEGORIES, "mask").losses == ()
    rounded = instance(Part(box(1, 1, 5, 5)), Part(box(11.5, 1, 5, 5)))
    (warn,) = shapes_of(IMAGE, [rounded], CATEGORIES, "mask").losses
    assert (warn.code, warn.object_id, warn.format) == (Finding.FORMAT_LOSS, 7, "cvat")
    assert "2 parts" in warn.message


def test_a_holed_object_without_a_pixel_is_left_out_and_reported() -> None:
    sliver = instance(Part(box(3.6, 3.6, 0.3, 0.3), (box(3.7, 3.7, 0.1, 0.1),)))
    written = shapes_of(IMAGE, [sliver], CATEGORIES, "mask")
    assert written.data == b""
    assert [warn.code for warn in written.losses] == [Finding.OBJECT_NO_PIXEL]


def test_a_crowd_is_an_attribute() -> None:
    (element,) = elements(instance(Part(box(1, 1, 5, 5)), crowd=True))
    assert attributes_of(element)["is_crowd"] == "true"


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_makes_xml_that_can_be_read(text: str) -> None:
    element = ET.fromstring(f'<a b="{escaped(text)}">{escaped(text)}</a>')
    replaced = escaped(text).count("\ufffd")
    if replaced == text.count("\ufffd"):
        assert element.attrib["b"] == text
        assert (element.text or "") == text


def test_characters_that_xml_cannot_hold_are_replaced_and_reported() -> None:
    written = shapes_of(IMAGE, [instance(Part(box(1, 1, 5, 5)), note="a\x00b")], CATEGORIES, "mask")
    assert "a\ufffdb".encode() in written.data
    assert len(written.losses) == 1


masks = st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=9, max_size=9).map(
    lambda rows: np.array(rows, bool)
)


@given(masks)
def test_any_mask_reads_back_as_itself(mask: Any) -> None:
    shape = shape_of_mask(mask)
    if shape is None or not (shape.has_holes or len(shape.parts) > 1):
        return
    image = Image(id=5, name="a.png", path=Path("a.png"), width=12, height=9)
    each = Instance(id=7, image_id=5, category_id=1, shape=shape)
    written = shapes_of(image, [each], CATEGORIES, "mask")
    (element,) = ET.fromstring(b"<image>" + written.data + b"</image>")
    assert Runs.from_mask(mask_of(element, image)) == Runs.from_mask(mask)
    assert written.losses == ()


def test_labels_and_their_attributes_are_declared_and_ids_follow_the_order_of_names(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(odd_project, formats=("cvat",)))
    root = ET.parse(folder / "annotations/cvat/annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    labels = {label.findtext("name"): label for label in root.iter("label")}
    assert list(labels) == ["cell", 'yes: # <no> & "q"']
    declared = {each.findtext("name"): each.findtext("input_type") for each in labels["cell"].iter("attribute")}
    assert declared == {"object_id": "text", "is_crowd": "checkbox", "note": "text", "round": "checkbox"}
    images = root.findall("image")
    assert root.findtext("meta/task/size") == "4"
    assert sorted(images, key=lambda each: each.attrib["name"]) == sorted(
        images, key=lambda each: int(each.attrib["id"])
    )
    assert sorted(int(each.attrib["id"]) for each in images) == [0, 1, 2, 3]
    for image in images:
        assert (folder / "images" / image.attrib["name"]).exists()
        for element in image:
            assert element.attrib["label"] in labels
            names = {each.findtext("name") for each in labels[element.attrib["label"]].iter("attribute")}
            assert set(attributes_of(element)) <= names


def test_edge_case_20_an_image_without_objects_is_in_the_file(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    root = ET.parse(unzip(export(odd_project, formats=("cvat",))) / "annotations/cvat/annotations.xml").getroot()
    assert [len(each) for each in root.findall("image")] == [3, 1, 0, 1]


def test_every_split_has_its_own_file_that_names_it(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(make_project(6), formats=("cvat",), split={"train": 0.5, "val": 0.5}))
    names = set()
    for split in ("train", "val"):
        for image in ET.parse(folder / f"annotations/cvat/{split}.xml").getroot().iter("image"):
            assert image.attrib["subset"] == split
            assert (folder / "images" / image.attrib["name"]).exists()
            names.add(image.attrib["name"])
    assert len(names) == 6
