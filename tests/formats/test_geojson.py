"""GeoJSON, read back by shapely: valid polygons with the same area, holes open, ids that never change."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.formats.geojson import features_of
from labelferry_export.geometry.clean import clean
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.model import Category, Image, Instance

IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=40, height=30)
CATEGORIES = (Category(1, "cell"), Category(2, "nucleus"))


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def instance(*parts: Part, crowd: bool = False, **attributes: str | float | bool) -> Instance:
    return Instance(id=7, image_id=5, category_id=2, shape=Shape(parts), crowd=crowd, attributes=dict(attributes))


def feature(each: Instance, **options: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(features_of(IMAGE, [each], CATEGORIES, "project", **options).data)
    return decoded


def geometry(each: Instance) -> Any:
    return shapely.from_geojson(json.dumps(feature(each)["geometry"]))


def test_a_square_is_a_closed_polygon_with_its_class_and_number() -> None:
    found = feature(instance(Part(box(2, 3, 10, 5)), round=True, score=0.5, note="x"))
    assert found["geometry"] == {"type": "Polygon", "coordinates": [[[2, 3], [12, 3], [12, 8], [2, 8], [2, 3]]]}
    assert found["properties"] == {
        "objectType": "annotation",
        "name": "7",
        "classification": {"name": "nucleus", "color": [230, 120, 20]},
        "metadata": {"round": "true", "score": "0.5", "note": "x"},
    }


def test_the_id_is_a_uuid_that_depends_on_project_image_and_object_alone() -> None:
    square = instance(Part(box(2, 3, 10, 5)))
    number = feature(square)["id"]
    assert uuid.UUID(number).version == 5
    assert number == feature(instance(Part(box(1, 1, 2, 2))))["id"]
    elsewhere = msgspec.json.decode(features_of(IMAGE, [square], CATEGORIES, "other project").data)
    assert elsewhere["id"] != number


def test_edge_case_8_a_hole_is_a_ring_of_its_part_and_stays_open() -> None:
    found = geometry(instance(Part(box(3, 3, 25, 25), (box(10, 10, 10, 10),)), Part(box(12, 12, 4, 4))))
    assert found.geom_type == "MultiPolygon"
    assert (found.is_valid, found.area) == (True, 525 + 16)


def test_edge_case_10_overlapping_parts_are_joined_to_a_valid_shape_and_reported() -> None:
    each = instance(Part(box(2, 2, 10, 10)), Part(box(7, 7, 10, 10)))
    assert (geometry(each).is_valid, geometry(each).area) == (True, 175)
    (warn,) = features_of(IMAGE, [each], CATEGORIES, "project").losses
    assert (warn.object_id, warn.format) == (7, "geojson")


def test_parts_that_meet_along_a_side_are_joined() -> None:
    each = instance(Part(box(2, 2, 10, 10)), Part(box(12, 2, 10, 10)))
    assert (geometry(each).geom_type, geometry(each).area) == ("Polygon", 200)


def test_the_kind_of_object_is_an_option() -> None:
    assert feature(instance(Part(box(2, 3, 4, 5))), object_type="cell")["properties"]["objectType"] == "cell"


def test_measurements_are_those_of_the_tables_with_their_units() -> None:
    found = feature(instance(Part(box(2, 2, 10, 10))), measured=True)["properties"]["measurements"]
    assert found["area px^2"] == pytest.approx(100)
    assert found["feret_max px"] == pytest.approx(200**0.5)
    assert found["circularity"] == pytest.approx(np.pi / 4)
    assert not any(np.isnan(value) for value in found.values())


def test_a_crowd_is_metadata() -> None:
    assert feature(instance(Part(box(1, 1, 5, 5)), crowd=True))["properties"]["metadata"] == {"crowd": "true"}


coordinates = st.floats(0, 40).map(lambda value: round(value, 2))
rings = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9, unique=True)


@given(st.lists(rings, min_size=1, max_size=3))
def test_any_cleaned_object_is_a_valid_geometry_of_the_area_of_its_union(
    outers: list[list[tuple[float, float]]],
) -> None:
    shape = clean(outers, 40, 40).shape
    if shape is None:
        return
    found = geometry(Instance(id=7, image_id=5, category_id=1, shape=shape))
    assert found.is_valid
    union = shapely.union_all([shapely.Polygon(part.outer, part.holes).buffer(0) for part in shape.parts])
    assert found.area == pytest.approx(union.area, abs=1e-6)


def test_every_image_has_a_collection_also_the_one_without_objects(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(odd_project, formats=("geojson",))) / "annotations/geojson"
    found = {path.name: json.loads(path.read_text()) for path in folder.iterdir()}
    counts = {name: len(each["features"]) for name, each in found.items()}
    assert counts == {"a.geojson": 3, "b.c.geojson": 1, "empty.geojson": 0, "ship 🚢.geojson": 1}
    assert all(each["type"] == "FeatureCollection" for each in found.values())
    for path in folder.iterdir():
        assert shapely.from_geojson(path.read_text()).is_valid


def test_splits_are_folders(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(make_project(6), formats=("geojson",), split={"train": 0.5, "val": 0.5}))
    images = {path.relative_to(folder / "images").with_suffix("") for path in folder.glob("images/*/*")}
    files = folder.glob("annotations/geojson/*/*.geojson")
    assert {path.relative_to(folder / "annotations/geojson").with_suffix("") for path in files} == images
