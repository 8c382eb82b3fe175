"""Outlines of masks: they cover exactly the pixels that they were traced from, with holes and parts where they belong."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.repair import polygon_of
from labelferry_export.geometry.ring import Flags
from labelferry_export.geometry.runs import Runs
from labelferry_export.geometry.shape import Shape
from labelferry_export.geometry.trace import shape_of_mask, shape_of_runs

masks = st.tuples(st.integers(1, 12), st.integers(1, 12), st.floats(0.2, 0.9), st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[3]).random(drawn[:2]) < drawn[2]
) | st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(lambda size: arrays(np.bool_, size))


def drawn(*rows: str) -> Flags:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def traced(*rows: str) -> Shape:
    shape = shape_of_mask(drawn(*rows))
    assert shape is not None
    return shape


@settings(max_examples=400, deadline=None)
@given(mask=masks)
def test_a_traced_mask_covers_exactly_its_pixels_and_is_valid(mask: Flags) -> None:
    shape = shape_of_mask(mask)
    if shape is None:
        assert not mask.any()
        return
    assert runs_of(shape, mask.shape[1], mask.shape[0]) == Runs.from_mask(mask)
    polygons = [polygon_of(part) for part in shape.parts]
    assert shapely.is_valid(polygons).all()
    assert shapely.is_valid(shapely.multipolygons(polygons))
    assert shapely.area(polygons).sum() == mask.sum()


@settings(deadline=None)
@given(mask=masks)
def test_every_vertex_is_a_turn_by_a_right_angle(mask: Flags) -> None:
    shape = shape_of_mask(mask)
    for part in shape.parts if shape else ():
        for ring in (part.outer, *part.holes):
            sides = np.roll(ring, -1, axis=0) - ring
            assert ((sides == 0).sum(axis=1) == 1).all()
            assert ((sides * np.roll(sides, 1, axis=0)).sum(axis=1) == 0).all()


@settings(deadline=None)
@given(mask=masks)
def test_runs_are_traced_like_the_mask_they_are(mask: Flags) -> None:
    one, two = shape_of_mask(mask), shape_of_runs(Runs.from_mask(mask))
    if one is None or two is None:
        assert one is two
        return
    for part, other in zip(one.parts, two.parts, strict=True):
        for ring, twin in zip((part.outer, *part.holes), (other.outer, *other.holes), strict=True):
            assert np.array_equal(ring, twin)


def test_one_pixel_is_a_square_along_its_edges() -> None:
    assert traced("...", ".#.").parts[0].outer.tolist() == [[1, 1], [2, 1], [2, 2], [1, 2]]


def test_a_filled_block_keeps_its_last_row_and_column() -> None:
    mask = np.zeros((40, 40), dtype=np.bool_)
    mask[10:20, 10:20] = True
    shape = shape_of_mask(mask)
    assert shape is not None
    assert shape.parts[0].outer.tolist() == [[10, 10], [20, 10], [20, 20], [10, 20]]
    assert runs_of(shape, 40, 40).area == 100


def test_pixels_that_touch_at_a_corner_are_two_parts() -> None:
    assert len(traced("#.", ".#").parts) == 2
    assert len(traced(".#", "#.").parts) == 2


def test_a_hole_belongs_to_the_part_around_it_and_an_object_in_it_is_a_part() -> None:
    shape = traced(
        "#######.#",
        "#.....#.#",
        "#.###.#.#",
        "#.#.#.#.#",
        "#.###.#.#",
        "#.....#.#",
        "#######.#",
    )
    outer, bar, inner = shape.parts
    assert [hole.tolist() for hole in outer.holes] == [[[1, 1], [6, 1], [6, 6], [1, 6]]]
    assert [hole.tolist() for hole in inner.holes] == [[[3, 3], [4, 3], [4, 4], [3, 4]]]
    assert not bar.holes


def test_an_outline_that_closes_on_itself_at_a_corner_becomes_a_ring_with_a_hole() -> None:
    (part,) = traced("###", "#.#", "##.").parts
    assert len(part.holes) == 1
    assert polygon_of(part).is_valid


def test_holes_that_touch_at_a_corner_are_two_holes() -> None:
    (part,) = traced("####", "#.##", "##.#", "####").parts
    assert len(part.holes) == 2


@pytest.mark.parametrize("offset", [(0, 0), (7, 3)])
def test_the_offset_moves_the_shape(offset: tuple[int, int]) -> None:
    shape = shape_of_mask(np.ones((2, 3), dtype=np.bool_), offset)
    assert shape is not None
    assert shape.bounds == (offset[0], offset[1], offset[0] + 3, offset[1] + 2)


def test_an_empty_mask_has_no_shape() -> None:
    assert shape_of_mask(np.zeros((3, 3), dtype=np.bool_)) is None
    assert shape_of_runs(Runs.from_mask(np.zeros((3, 3), dtype=np.bool_))) is None
