"""Polygons taken from json text many at once, against json's own reader."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from labelferry_export.sources.whole_numbers import polygons_in

NUMBER = st.integers(0, 1200) | st.integers(0, 999_999_999)
RING = st.lists(st.tuples(NUMBER, NUMBER), max_size=9).map(lambda pairs: [value for pair in pairs for value in pair])
OBJECTS = st.lists(st.lists(RING, min_size=1, max_size=3), min_size=1, max_size=8)
LAYOUT = st.sampled_from([(", ", None), (",", None), (",", 1)])


def texts_of(objects: list[Any], layout: tuple[str, int | None] = (", ", None)) -> list[Raw]:
    separator, indent = layout
    return [Raw(json.dumps(each, separators=(separator, ":"), indent=indent).encode()) for each in objects]


@given(OBJECTS, LAYOUT)
def test_they_are_the_numbers_that_json_reads(objects: list[list[list[int]]], layout: tuple[str, int | None]) -> None:
    found = polygons_in(texts_of(objects, layout))
    assert found is not None
    assert found.points.ravel().tolist() == [value for each in objects for ring in each for value in ring]
    assert found.sizes.tolist() == [len(ring) // 2 for each in objects for ring in each]
    assert found.parts_of_shape.tolist() == [len(each) for each in objects]
    assert not found.hole.any()


@pytest.mark.parametrize(
    "other",
    [
        [],
        [[1, 2], 3, 4],
        [1, 2, [3, 4]],
        [1, 2, 3, 4],
        [[1, 2, 3]],
        [[1, [2]]],
        [[[1, 2]]],
        [[1.5, 2]],
        [[-1, 2]],
        [[1_000_000_000, 2]],
        [["1", 2]],
        [[None, 2]],
        {"counts": [1, 2], "size": [1, 3]},
        None,
        7,
    ],
)
def test_what_is_no_such_polygon_is_left_to_the_decoder(other: object) -> None:
    usual = [[1, 2, 30, 4, 500, 600]]
    for objects in ([other], [usual, other], [other, usual], [usual, other, usual]):
        assert polygons_in(texts_of(objects)) is None
    alone = polygons_in(texts_of([usual]))
    assert alone is not None
    assert np.array_equal(alone.points, [[1, 2], [30, 4], [500, 600]])
