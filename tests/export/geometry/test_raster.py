"""Which pixels shapes cover, against the oracles of the reference rasteriser."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from labelferry_export.geometry import raster
from labelferry_export.geometry.raster import Runs, runs_of, runs_of_all
from labelferry_export.geometry.ring import Floats
from labelferry_export.geometry.shape import Part, Shape

# pycocotools 2.0.11 itself, when it decodes under numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SQUARE = [(10, 10), (20, 10), (20, 20), (10, 20)]
TRIANGLE = [(5, 5), (25, 5), (5, 25)]


def shape_of(*rings: object) -> Shape:
    return Shape(tuple(Part(np.array(ring, dtype=np.float64)) for ring in rings))


def square(corner: float, side: float) -> Floats:
    far = corner + side
    return np.array([(corner, corner), (far, corner), (far, far), (corner, far)], dtype=np.float64)


@pytest.mark.parametrize(
    ("ring", "area", "bbox"),
    [
        pytest.param(SQUARE, 100, (10, 10, 10, 10), id="coordinates are pixel edges"),
        pytest.param(
            [(10, 10), (19, 10), (19, 19), (10, 19)],
            81,
            (10, 10, 9, 9),
            id="a contour through pixel centres loses a row",
        ),
        pytest.param(
            [(9.5, 9.5), (19.5, 9.5), (19.5, 19.5), (9.5, 19.5)], 100, (10, 10, 10, 10), id="half a pixel outwards"
        ),
        pytest.param([(10.4, 10), (20.4, 10), (20.4, 20), (10.4, 20)], 100, (10, 10, 10, 10), id="shifted by 0.4 px"),
        pytest.param(TRIANGLE, 190, (5, 5, 19, 19), id="a triangle covers fewer pixels than its area"),
        pytest.param(TRIANGLE[::-1], 190, (5, 5, 19, 19), id="winding has no meaning"),
        pytest.param([(-10, 10), (20, 10), (20, 20), (-10, 20)], 200, (0, 10, 20, 10), id="what is outside is cut off"),
        pytest.param([(10, 10), (20, 20), (20, 10), (10, 20)], 50, (10, 10, 10, 9), id="a bow-tie is even-odd"),
        pytest.param([(1, 1), (5, 5), (9, 9)], 0, None, id="a line covers nothing"),
        pytest.param([(3.1, 3.1), (3.2, 3.1), (3.1, 3.2)], 0, None, id="a dot between centres covers nothing"),
    ],
)
def test_the_oracles_of_the_reference_hold(
    ring: list[tuple[float, float]], area: int, bbox: tuple[int, ...] | None
) -> None:
    runs = runs_of(shape_of(ring), 40, 40)
    assert (runs.area, runs.bbox) == (area, bbox)
    assert runs.mask().sum() == area


def test_a_second_ring_inside_the_first_is_a_union_and_fills_nothing_out() -> None:
    assert runs_of(shape_of(square(5, 25), square(10, 10)), 40, 40).area == 625


def test_a_hole_is_cut_out() -> None:
    shape = Shape((Part(square(5, 25), (square(10, 10),)),))
    assert runs_of(shape, 40, 40).area == 525


def test_a_part_in_the_hole_of_another_is_kept() -> None:
    shape = Shape((Part(square(5, 25), (square(10, 10),)), Part(square(13, 3))))
    assert runs_of(shape, 40, 40).area == 525 + 9


def test_holes_that_overlap_are_cut_out_once() -> None:
    shape = Shape((Part(square(5, 25), (square(10, 10), square(15, 10))),))
    assert runs_of(shape, 40, 40).area == 625 - (100 + 100 - 25)


def test_no_shapes_give_no_runs_and_a_shape_outside_gives_empty_ones() -> None:
    assert runs_of_all([], 4, 4) == []
    assert runs_of(shape_of(square(50, 5)), 40, 40) == Runs(40, 40, np.empty(0, dtype=np.int64))


def test_a_vertex_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="clean the shape first"):
        runs_of(shape_of([(0, 0), (5, float("nan")), (3, 3)]), 9, 9)


def test_an_absurd_outline_is_worked_on_in_blocks_and_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tangle = shape_of(np.random.default_rng(3).uniform(-5, 70, (300, 2)))
    whole = runs_of(tangle, 60, 50)
    monkeypatch.setattr(raster, "MOST_AT_ONCE", 100)
    assert runs_of(tangle, 60, 50) == whole


coarse = st.integers(-12, 60).map(float)
fifths = st.integers(-60, 300).map(lambda number: number / 5)
tenths = st.integers(-120, 600).map(lambda number: number / 10)
anything = st.floats(-40, 90, allow_nan=False, width=32)
tiny = st.floats(0, 2.5, allow_nan=False)
ring_points = st.sampled_from([coarse, fifths, tenths, anything, tiny]).flatmap(
    lambda number: st.lists(st.tuples(number, number), min_size=3, max_size=12)
)


@settings(max_examples=400, deadline=None)
@given(ring=ring_points, width=st.integers(1, 50), height=st.integers(1, 50))
def test_any_ring_covers_exactly_the_pixels_of_the_reference(
    ring: list[tuple[float, float]], width: int, height: int
) -> None:
    flat = [float(value) for point in ring for value in point]
    (reference,) = coco.frPyObjects([flat], height, width)
    runs = runs_of(shape_of(ring), width, height)
    assert np.array_equal(runs.mask(), coco.decode(reference))
    assert runs.area == coco.area(reference)
    assert list(runs.bbox or (0, 0, 0, 0)) == coco.toBbox(reference).tolist()


@settings(max_examples=150, deadline=None)
@given(shapes=st.lists(st.lists(ring_points, min_size=1, max_size=3), min_size=1, max_size=5))
def test_many_shapes_in_one_pass_are_the_unions_of_the_reference(shapes: list[list[list[tuple[float, float]]]]) -> None:
    together = runs_of_all([shape_of(*rings) for rings in shapes], 45, 38)
    for rings, runs in zip(shapes, together, strict=True):
        flat = [[float(value) for point in ring for value in point] for ring in rings]
        assert np.array_equal(runs.mask(), coco.decode(coco.merge(coco.frPyObjects(flat, 38, 45))))


@settings(max_examples=150, deadline=None)
@given(outer=ring_points, holes=st.lists(ring_points, max_size=3), other=ring_points)
def test_a_part_is_its_outer_ring_without_its_holes(
    outer: list[tuple[float, float]],
    holes: list[list[tuple[float, float]]],
    other: list[tuple[float, float]],
) -> None:
    def pixels(ring: list[tuple[float, float]]) -> Runs:
        return runs_of(shape_of(ring), 45, 38)

    part = Part(np.array(outer, dtype=np.float64), tuple(np.array(hole, dtype=np.float64) for hole in holes))
    shape = Shape((part, *shape_of(other).parts))
    expected = pixels(outer).minus(*map(pixels, holes)).union(pixels(other))
    assert runs_of(shape, 45, 38) == expected
