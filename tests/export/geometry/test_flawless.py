"""The quick look at many shapes at once against the exact one at each: `flawless` holds for what `mend` would not touch, and for nothing else."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from labelferry_export.geometry.clean import clean, flawless, mend
from labelferry_export.geometry.ring import lay_out
from labelferry_export.geometry.runs import Runs
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.geometry.steps import simple_steps
from labelferry_export.geometry.trace import shape_of_runs

WIDTH, HEIGHT = 12, 9
Ring = NDArray[np.float64]
COORDINATES = st.integers(-1, 13).map(float) | st.sampled_from([0.5, 2.25, float("nan"), float("inf"), -0.0])
LOOSE = st.lists(st.tuples(COORDINATES, COORDINATES), max_size=7).map(
    lambda points: np.array(points, float).reshape(-1, 2)
)


@st.composite
def walks(draw: st.DrawFn) -> Ring:
    """A ring of single steps: there on a random walk, and back another way along the pixels; it may meet itself, or not."""
    steps = draw(st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), min_size=2, max_size=14))
    points = np.cumsum([(5, 4), *steps], axis=0).tolist()
    x, y = points[-1]
    while max(abs(x - points[0][0]), abs(y - points[0][1])) > 1:
        x, y = x + int(np.sign(points[0][0] - x)), y + int(np.sign(points[0][1] - y))
        points.append([x, y])
    return np.array(points, float)


@st.composite
def contours(draw: st.DrawFn) -> Ring:
    """An outline of random pixels, along their edges, each step by itself."""
    cells = draw(st.lists(st.booleans(), min_size=20, max_size=20))
    shape = shape_of_runs(Runs.from_mask(np.array([True, *cells[1:]]).reshape(4, 5)))
    assert shape is not None
    corners = shape.parts[0].outer
    lines = [
        np.linspace(a, b, int(np.abs(b - a).sum()), endpoint=False)
        for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)
    ]
    return np.concatenate(lines)


RINGS = LOOSE | walks() | contours()
SHAPES = st.lists(st.builds(Part, RINGS, st.lists(RINGS, max_size=1).map(tuple)), max_size=2).map(
    lambda parts: Shape(tuple(parts))
)


def told(shape: Shape) -> list[list[bytes]]:
    return [[ring.tobytes() for ring in (part.outer, *part.holes)] for part in shape.parts]


@settings(max_examples=400, deadline=None)
@given(shapes=st.lists(SHAPES, max_size=5))
def test_what_is_flawless_is_what_the_exact_way_leaves_as_it_is(shapes: list[Shape]) -> None:
    quick = flawless(lay_out(shapes), WIDTH, HEIGHT).tolist()
    for shape, fine in zip(shapes, quick, strict=True):
        exact = mend(Shape((*shape.parts,)), WIDTH, HEIGHT)
        untouched = exact.shape is not None and not exact.findings and told(exact.shape) == told(shape)
        assert fine == untouched
        again = clean(shape, WIDTH, HEIGHT)
        assert again.findings == exact.findings
        assert again.shape is exact.shape is None or (
            again.shape and exact.shape and told(again.shape) == told(exact.shape)
        )


@settings(max_examples=400, deadline=None)
@given(rings=st.lists(walks() | contours(), min_size=1, max_size=6))
def test_steps_from_pixel_to_pixel_are_simple_where_the_exact_library_says_so(rings: list[Ring]) -> None:
    rings = [ring + 20 for ring in rings]
    told_apart = [ring for ring in rings if len(ring) >= 3 and (ring != np.roll(ring, -1, axis=0)).any(axis=1).all()]
    laid = lay_out([Shape((Part(ring),)) for ring in told_apart])
    expected = [
        bool(shapely.is_valid(shapely.polygons(ring)) and shapely.area(shapely.polygons(ring)) > 0)
        for ring in told_apart
    ]
    assert simple_steps(laid, np.ones(len(told_apart), np.bool_)).tolist() == expected


@pytest.mark.parametrize(
    ("ring", "simple"),
    [
        pytest.param([[0, 0], [1, 0], [1, 1]], True, id="the smallest triangle"),
        pytest.param([[0, 0], [1, 1], [1, 0], [0, 1]], False, id="two diagonals that cross"),
        pytest.param([[0, 0], [1, 0], [2, 0], [1, 0]], False, id="there and back"),
        pytest.param([[0, 0], [2, 0], [2, 2], [0, 2]], False, id="longer steps are for others to judge"),
        pytest.param([[0.5, 0], [1.5, 0], [1.5, 1]], False, id="so are halves"),
        pytest.param([[40000, 0], [40001, 0], [40001, 1]], False, id="and far ones"),
    ],
)
def test_only_single_steps_that_meet_nothing_are_known(ring: list[list[float]], simple: bool) -> None:
    laid = lay_out([Shape((Part(np.array(ring, float)),))])
    assert simple_steps(laid, np.ones(1, np.bool_)).tolist() == [simple]


def test_each_shape_can_lie_in_an_image_of_its_own_size() -> None:
    square = Shape((Part(np.array([[0, 0], [10, 0], [10, 8], [0, 8]], float)),))
    laid = lay_out([square, square, square])
    assert flawless(laid, np.array([10, 9, 20]), np.array([8, 8, 7])).tolist() == [True, False, False]
