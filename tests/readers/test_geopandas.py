"""GeoPandas reads GeoJSON: valid geometries in pixels, one row an object."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.scenes import Bundle

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    geopandas: Any = pytest.importorskip("geopandas", reason="GeoPandas is not installed: make readers")

pytestmark = pytest.mark.filterwarnings("ignore")


def test_every_object_is_a_row_with_a_valid_geometry(export: Callable[..., Bundle]) -> None:
    frame = geopandas.read_file(export("geojson").folder / "annotations/geojson/a.geojson")
    assert frame.geometry.is_valid.all()
    assert frame.geometry.area.tolist() == [100, 91, 72]
    assert frame.geometry.geom_type.tolist() == ["Polygon", "Polygon", "MultiPolygon"]
    assert frame["name"].astype(str).tolist() == ["1", "2", "3"]
    assert frame.total_bounds.tolist() == [2, 2, 30, 26]
    assert frame["objectType"].tolist() == ["annotation"] * 3


def test_an_image_without_objects_is_an_empty_frame(export: Callable[..., Bundle]) -> None:
    assert geopandas.read_file(export("geojson").folder / "annotations/geojson/empty.geojson").empty
