"""ImageJ RoiSets, read back by roifile: sub-pixel polygons, composites with open holes, names and properties."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roifile
import shapely
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.formats.imagej import entry_name, properties_text, roi_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.model import Instance


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def instance(*parts: Part, crowd: bool = False, **attributes: str | float | bool) -> Instance:
    return Instance(id=7, image_id=5, category_id=2, shape=Shape(parts), crowd=crowd, attributes=dict(attributes))


def roi(each: Instance) -> Any:
    return roifile.ImagejRoi.frombytes(roi_of(each, "nucleus", 2)[0])


def test_a_ring_is_a_polygon_with_its_exact_coordinates_class_and_number() -> None:
    ring = box(2.25, 3.5, 10, 5)
    found = roi(instance(Part(ring), round=True))
    assert found.roitype == roifile.ROI_TYPE.POLYGON
    assert found.options == roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    assert found.coordinates().tolist() == ring.tolist()
    assert (found.left, found.top, found.right, found.bottom) == (2, 3, 13, 9)
    assert found.integer_coordinates.tolist() == [[0, 1], [10, 1], [10, 6], [0, 6]]
    assert found.name == "7 nucleus"
    assert found.group == 2
    assert found.props == "round: true\nobject_id: 7\nclass: nucleus\n"
    assert found.stroke_color == bytes((255, 230, 120, 20))


def test_parts_and_holes_are_the_rings_of_one_composite() -> None:
    parts = (Part(box(2, 3, 20, 15), (box(5, 5, 4, 4), box(12, 5, 4, 4))), Part(box(30, 3, 3.5, 3)))
    found = roi(instance(*parts))
    rings = [ring[:-1].tolist() for ring in found.coordinates(multi=True)]
    assert rings == [ring.tolist() for part in parts for ring in (part.outer, *part.holes)]
    assert (found.roitype, found.shape_roi_size) == (roifile.ROI_TYPE.RECT, 4 * (4 * 3 + 1))
    assert (found.left, found.top, found.right, found.bottom) == (2, 3, 34, 18)


def test_overlapping_parts_are_joined_because_imagej_fills_by_the_even_odd_rule() -> None:
    each = instance(Part(box(2, 2, 10, 10)), Part(box(7, 7, 10, 10)))
    data, joined = roi_of(each, "nucleus", 2)
    assert joined
    assert shapely.Polygon(roifile.ImagejRoi.frombytes(data).coordinates()).area == 175


def test_coordinates_beyond_15_bits_are_exact_too() -> None:
    ring = box(40_000, 50_000, 7, 9)
    assert roi(instance(Part(ring))).coordinates().tolist() == ring.tolist()


def test_a_ring_of_more_than_16_bits_of_vertices_is_whole() -> None:
    angle = np.linspace(0, 2 * np.pi, 70_000, endpoint=False)
    ring = np.stack([100 + 90 * np.cos(angle), 100 + 90 * np.sin(angle)], axis=1)
    assert np.allclose(roi(instance(Part(ring))).coordinates(), ring, atol=1e-5)


def test_a_crowd_is_a_property() -> None:
    assert "crowd: true\n" in roi(instance(Part(box(1, 1, 5, 5)), crowd=True)).props


def test_edge_case_13_names_of_files_are_safe_and_in_the_order_of_ids() -> None:
    assert entry_name(instance(), "a/b:c\n") == "000007-a_b_c_.roi"
    assert len(entry_name(instance(), "🚢" * 500).encode()) <= 255


def loaded(text: str) -> dict[str, str]:
    """Return properties as java.util.Properties loads them (its `load`, as documented), for lines without continuation."""
    found = {}
    for line in text.splitlines():
        fields, field, escape = ["", ""], 0, False
        characters = iter(line)
        for character in characters:
            if escape:
                spelled = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
                if character == "u":
                    fields[field] += chr(int("".join(next(characters) for _ in range(4)), 16))
                else:
                    fields[field] += spelled.get(character, character)
                escape = False
            elif character == "\\":
                escape = True
            elif field == 0 and character in ":= ":
                field = 1
                assert character == ":"
                assert next(characters) == " "
            else:
                fields[field] += character
        name, value = (each.encode("utf-16", "surrogatepass").decode("utf-16") for each in fields)
        found[name] = value
    return found


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))))
def test_any_attribute_reads_back_from_the_properties(words: dict[str, str]) -> None:
    text = properties_text(words)
    assert text.isascii()
    assert loaded(text) == words


def test_a_set_opens_with_every_roi_of_its_image(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(odd_project, formats=("imagej",))) / "annotations/imagej"
    assert sorted(path.name for path in folder.iterdir()) == ["a_RoiSet.zip", "b.c_RoiSet.zip", "ship 🚢_RoiSet.zip"]
    rois = roifile.roiread(folder / "a_RoiSet.zip")
    assert isinstance(rois, list)
    assert [each.name for each in rois] == ["1 cell", '2 yes: # <no> & "q"', "3 cell"]
    outer, hole = rois[2].coordinates(multi=True)
    assert (shapely.Polygon(outer).area, shapely.Polygon(hole).area) == (320, 25)
    with zipfile.ZipFile(folder / "a_RoiSet.zip") as archive:
        assert archive.testzip() is None
        assert {each.date_time for each in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist()[0] == "000001-cell.roi"


def test_edge_case_22_the_same_project_makes_the_same_sets(odd_project: Path, export: Callable[..., Path]) -> None:
    first, second = (export(odd_project, formats=("imagej",)).read_bytes() for _ in range(2))
    with zipfile.ZipFile(io.BytesIO(first)) as one, zipfile.ZipFile(io.BytesIO(second)) as other:
        names = [name for name in one.namelist() if name.startswith("annotations/")]
        assert names
        assert [one.read(name) for name in names] == [other.read(name) for name in names]


@pytest.mark.parametrize(("groups", "expected"), [(True, [1, 2, 1]), (False, [0, 0, 0])])
def test_classes_are_groups_unless_told_otherwise(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path], groups: bool, expected: list[int]
) -> None:
    folder = unzip(export(odd_project, formats=("imagej",), format_options={"imagej": {"groups": groups}}))
    rois = roifile.roiread(folder / "annotations/imagej/a_RoiSet.zip")
    assert isinstance(rois, list)
    assert [each.group for each in rois] == expected
