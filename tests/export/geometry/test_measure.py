"""Measures of shapes whose measures are known in closed form, and against scikit-image on fine pixels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops

from labelferry_export.geometry import caliper
from labelferry_export.geometry.clean import clean
from labelferry_export.geometry.measure import QUANTITY, Measures, Quantity, measure_all
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.ring import Floats
from labelferry_export.geometry.shape import Part, Shape


def rectangle(width: float, height: float, x: float = 0, y: float = 0) -> Floats:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], dtype=np.float64)


def turned(ring: Floats, angle: float) -> Floats:
    """Return a ring turned by an angle, from x towards y."""
    cosine, sine = math.cos(angle), math.sin(angle)
    x, y = ring[:, 0], ring[:, 1]
    return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1)


def disk(corners: int, radius: float, x: float = 0, y: float = 0) -> Floats:
    angles = 2 * np.pi * np.arange(corners) / corners
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def measured(outer: Floats, *holes: Floats) -> Measures:
    return measure_all([Shape((Part(outer, holes),))])[0]


def test_a_square_of_side_80() -> None:
    square = measured(rectangle(80, 80, 3, 7))
    assert square.area == 6400
    assert square.perimeter == square.perimeter_with_holes == 320
    assert square.feret_max == pytest.approx(113.137, abs=1e-3)
    assert square.feret_min == 80
    assert square.feret_aspect_ratio == pytest.approx(math.sqrt(2))
    assert square.circularity == pytest.approx(math.pi / 4)
    assert square.compactness == pytest.approx(4 / math.pi)
    assert square.sphericity == pytest.approx(math.sqrt(math.pi) / 2)
    assert square.equivalent_diameter == pytest.approx(2 * 80 / math.sqrt(math.pi))
    assert (square.solidity, square.convexity, square.extent) == (1, 1, 1)
    assert (square.centroid_x, square.centroid_y) == (43, 47)
    assert square.major_axis == pytest.approx(4 * 80 / math.sqrt(12))
    assert square.eccentricity == 0


@pytest.mark.parametrize("ring", [rectangle(80, 80), disk(64, 20, 50, 50)])
def test_what_has_no_major_axis_has_no_orientation(ring: Floats) -> None:
    assert math.isnan(measured(ring).orientation)


def test_a_polygon_of_many_corners_is_nearly_a_circle_and_within_the_bounds() -> None:
    circle = measured(disk(720, 50, 100, 90))
    assert circle.area == pytest.approx(math.pi * 2500, rel=1e-4)
    assert circle.feret_max == pytest.approx(100)
    assert circle.feret_min == pytest.approx(100, rel=1e-4)
    assert 0.9999 < circle.circularity <= 1 <= circle.compactness < 1.0001
    assert circle.sphericity <= 1
    assert circle.major_axis == pytest.approx(100, rel=1e-4)
    assert [circle.centroid_x, circle.centroid_y] == pytest.approx([100, 90])


def test_a_rectangle_with_a_hole() -> None:
    framed = measured(rectangle(40, 20), rectangle(10, 10, 25, 5))
    assert framed.area == 700
    assert framed.perimeter == 120
    assert framed.perimeter_with_holes == 160
    assert framed.centroid_x == pytest.approx((800 * 20 - 100 * 30) / 700)
    assert framed.centroid_y == pytest.approx(10)
    assert framed.extent == framed.solidity == pytest.approx(700 / 800)
    assert framed.circularity == pytest.approx(4 * math.pi * 700 / 120**2)


def test_neither_winding_nor_the_first_vertex_matters() -> None:
    one = measured(rectangle(40, 20), rectangle(10, 10, 25, 5))
    two = measured(rectangle(40, 20)[::-1], np.roll(rectangle(10, 10, 25, 5), 3, axis=0))
    assert two == pytest.approx(one)


@pytest.mark.parametrize("degrees", [1, 30, 45, 89, 120, 179])
def test_a_turned_rectangle_keeps_its_measures_and_turns_its_axis(degrees: int) -> None:
    angle = math.radians(degrees)
    straight, other = measured(rectangle(80, 20)), measured(turned(rectangle(80, 20), angle))
    same = ("area", "perimeter", "feret_max", "feret_min", "feret_orthogonal", "major_axis", "minor_axis", "solidity")
    for name in same:
        assert getattr(other, name) == pytest.approx(getattr(straight, name))
    assert other.feret_min == pytest.approx(20)
    assert other.feret_orthogonal == pytest.approx(2 * 80 * 20 / math.hypot(80, 20))
    difference = (other.orientation - (math.pi / 2 - angle)) % math.pi
    assert min(difference, math.pi - difference) == pytest.approx(0, abs=1e-9)


def test_orientation_is_zero_for_what_stands_and_a_right_angle_for_what_lies() -> None:
    assert measured(rectangle(5, 30)).orientation == 0
    assert measured(rectangle(30, 5)).orientation == math.pi / 2


@pytest.mark.parametrize("angle", [0.2, 0.9, 1.7, 2.8])
def test_the_ellipse_is_that_of_scikit_image_on_fine_pixels(angle: float) -> None:
    ring = turned(np.array([(0, 0), (800, 0), (800, 200), (300, 500)], dtype=np.float64) - (400, 200), angle) + 600
    shape = Shape((Part(ring),))
    (region,) = regionprops(runs_of(shape, 1200, 1200).mask().astype(np.uint8))
    ours = measure_all([shape])[0]
    assert ours.orientation == pytest.approx(region.orientation, abs=1e-3)
    assert ours.major_axis == pytest.approx(region.axis_major_length, rel=1e-3)
    assert ours.minor_axis == pytest.approx(region.axis_minor_length, rel=1e-3)
    assert ours.eccentricity == pytest.approx(region.eccentricity, abs=1e-3)
    # A pixel's centre is half a pixel from its edge, where our coordinates begin.
    assert (ours.centroid_y - 0.5, ours.centroid_x - 0.5) == pytest.approx(region.centroid, abs=0.25)


@pytest.mark.parametrize("scale", [0.0417, 0.0625, 2.0])
def test_lengths_grow_with_the_scale_areas_with_its_square_and_ratios_not_at_all(scale: float) -> None:
    ring = turned(np.array([(0, 0), (80, 3), (90, 40), (20, 60)], dtype=np.float64), 0.4)
    small, large = measured(ring), measured(ring * scale)
    factor = {Quantity.LENGTH: scale, Quantity.AREA: scale**2, Quantity.POSITION: scale}
    for name, one, other in zip(Measures._fields, small, large, strict=True):
        assert other == pytest.approx(one * factor.get(QUANTITY[name], 1), rel=1e-9)
    scaled = small.scaled(scale)
    assert scaled.area == pytest.approx(small.area * scale**2)
    assert scaled.feret_min == pytest.approx(small.feret_min * scale)
    assert (scaled.centroid_x, scaled.orientation) == (small.centroid_x, small.orientation)


def test_every_column_has_a_quantity_in_the_order_of_the_columns() -> None:
    assert tuple(QUANTITY) == Measures._fields


def test_parts_that_lie_apart_are_one_object() -> None:
    apart = measure_all([Shape((Part(rectangle(10, 10)), Part(rectangle(10, 10, 30, 0))))])[0]
    assert (apart.area, apart.perimeter, apart.bbox_width, apart.centroid_x) == (200, 80, 40, 20)
    assert apart.feret_max == pytest.approx(math.hypot(40, 10))
    assert apart.solidity == 0.5


def test_parts_that_overlap_are_measured_as_their_union() -> None:
    shape = Shape((Part(rectangle(10, 10)), Part(rectangle(10, 10, 5, 0)), Part(rectangle(2, 2, 1, 1))))
    union = measure_all([shape])[0]
    assert union.area == pytest.approx(150)
    assert union.perimeter == pytest.approx(50)
    assert union.centroid_x == pytest.approx(7.5)


def test_an_object_in_the_hole_of_the_same_object_counts_once() -> None:
    nested = Shape((Part(rectangle(30, 30), (rectangle(10, 10, 10, 10),)), Part(rectangle(4, 4, 12, 12))))
    assert measure_all([nested])[0].area == 900 - 100 + 16


def test_what_is_not_defined_is_nan_and_never_zero() -> None:
    line = measured(np.array([(0, 0), (5, 0), (9, 0)], dtype=np.float64))
    assert line.area == 0
    for name in (
        "feret_aspect_ratio",
        "compactness",
        "extent",
        "solidity",
        "centroid_x",
        "orientation",
        "eccentricity",
    ):
        assert math.isnan(getattr(line, name))


def test_far_from_the_origin_nothing_is_lost() -> None:
    near, far = measured(rectangle(3, 7)), measured(rectangle(3, 7, 1e6, 1e6))
    assert far[:18] == pytest.approx(near[:18], rel=1e-9)


def test_no_shapes_have_no_measures() -> None:
    assert measure_all([]) == []


def test_hulls_of_many_vertices_are_measured_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [Shape((Part(turned(disk(corners, 40) * (1, 0.5), 0.3)),)) for corners in (3, 7, 40, 41, 300)]
    whole = measure_all(shapes)
    monkeypatch.setattr(caliper, "MOST_AT_ONCE", 64)
    for one, other in zip(measure_all(shapes), whole, strict=True):
        assert one == pytest.approx(other, nan_ok=True)


number = st.floats(0, 100, width=32)


@settings(max_examples=150, deadline=None)
@given(rings=st.lists(st.lists(st.tuples(number, number), min_size=3, max_size=14), min_size=1, max_size=5))
def test_the_bounds_of_geometry_hold_for_any_region_and_one_pass_measures_like_many(
    rings: list[list[tuple[float, float]]],
) -> None:
    shapes = [shape for shape in (clean([ring], 100, 100).shape for ring in rings) if shape is not None]
    together = measure_all(shapes)
    for shape, one in zip(shapes, together, strict=True):
        assert measure_all([shape])[0] == pytest.approx(one, nan_ok=True, rel=1e-6)
        assert one.circularity <= 1 <= one.compactness
        assert one.solidity <= 1
        assert one.extent <= 1 + 1e-9
        assert one.feret_min <= one.feret_max
        assert one.feret_min <= one.feret_orthogonal * (1 + 1e-9)
        assert max(one.bbox_width, one.bbox_height) <= one.feret_max * (1 + 1e-9)
        assert math.isnan(one.eccentricity) or 0 <= one.eccentricity <= 1


@settings(max_examples=100, deadline=None)
@given(points=st.lists(st.tuples(number, number), min_size=3, max_size=30))
def test_feret_widths_agree_with_turning_the_calipers_step_by_step(points: list[tuple[float, float]]) -> None:
    ring = np.array(points, dtype=np.float64)
    region = measure_all([Shape((Part(ring),))])[0]
    angles = np.linspace(0, np.pi, 721)
    widths = np.ptp(ring @ np.stack([np.cos(angles), np.sin(angles)]), axis=0)
    reach = 100 * math.sqrt(2) * np.pi / 720
    assert region.feret_max >= widths.max() - 1e-9
    assert region.feret_max <= widths.max() + reach
    assert region.feret_min <= widths.min() + 1e-9
    assert region.feret_min >= widths.min() - reach
