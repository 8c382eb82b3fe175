"""What comes of rings as people draw them: flawless ones bit for bit, others mended or dropped with the reason."""

import itertools
import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from labelferry_export.findings import Finding
from labelferry_export.geometry.clean import Cleaned, RawObject, RawPart, clean
from labelferry_export.geometry.measure import measure_all
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.repair import polygon_of
from labelferry_export.geometry.shape import Part, Shape

SQUARE = [10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]
PENTAGRAM = [(20 + 15 * np.sin(4 * np.pi * k / 5), 20 - 15 * np.cos(4 * np.pi * k / 5)) for k in range(5)]


def area(shape: Shape | None) -> float:
    assert shape is not None
    return measure_all([shape])[0].area


def only_kind(cleaned: Cleaned) -> Finding:
    (finding,) = cleaned.findings
    return finding.kind


def test_a_flawless_ring_passes_bit_for_bit() -> None:
    ring = [0.0, 0.0, 39.999999999999, 0.1, 40.0, 40.0, 1 / 3, 2 / 3]
    cleaned = clean([ring], 40, 40)
    assert cleaned.findings == ()
    assert cleaned.shape is not None
    assert cleaned.shape.parts[0].outer.ravel().tolist() == ring


@pytest.mark.parametrize("form", ["flat", "pairs", "array", "shape"])
def test_every_form_of_a_ring_is_understood(form: str) -> None:
    array = np.array(SQUARE).reshape(-1, 2)
    forms: dict[str, RawObject] = {
        "flat": [SQUARE],
        "pairs": [array.tolist()],
        "array": [array],
        "shape": Shape((Part(array),)),
    }
    assert area(clean(forms[form], 40, 40).shape) == 100


@pytest.mark.parametrize(
    ("ring", "reason"),
    [
        pytest.param([5, 5, 25, 25], "fewer than three distinct points", id="four numbers are no box"),
        pytest.param([1, 1, 5, 5, 1, 1, 5, 5], "fewer than three distinct points", id="two points, twice"),
        pytest.param([], "fewer than three distinct points", id="nothing"),
        pytest.param([1, 1, 5, 5, 9, 9], "all its points on one line", id="collinear"),
        pytest.param([0, 0, 1, 0.1, 2, 0.2, 3, 0.3], "all its points on one line", id="collinear but for rounding"),
        pytest.param([0, 0, 5, 0, 5, 5, 5, 0, 9, 0], "encloses no area", id="there and back"),
        pytest.param([0, 0, float("nan"), 1, 2, 2], "not finite", id="nan"),
        pytest.param([0, 0, float("inf"), 1, 2, 2], "not finite", id="infinite"),
        pytest.param([0, 0, 1e300, 1, 2, 2], "absurdly large", id="absurd"),
        pytest.param([0, 0, None, 1, 2, 2], "not finite", id="null"),
        pytest.param([1, 2, 3, 4, 5], "not made of pairs", id="an odd number"),
        pytest.param(["x", 2, 3, 4, 5, 6], "not made of pairs", id="a word"),
        pytest.param([[1, 2], [3], [4, 5]], "not made of pairs", id="ragged"),
        pytest.param([[1, 2, 3], [4, 5, 6], [7, 8, 9]], "not made of pairs", id="three dimensions"),
        pytest.param([{}, {}], "not made of pairs", id="objects"),
        pytest.param([10**400, 2, 3, 4, 5, 6], "not made of pairs", id="too large for a float"),
        pytest.param([50, 50, 60, 50, 60, 60], "outside of the image", id="outside"),
        pytest.param([40, 0, 50, 0, 50, 40, 40, 40], "outside of the image", id="along the border outside"),
    ],
)
def test_a_ring_that_encloses_nothing_is_dropped_with_the_reason(ring: list[object], reason: str) -> None:
    cleaned = clean([ring], 40, 40)
    assert cleaned.shape is None
    assert only_kind(cleaned) is Finding.OBJECT_DROPPED
    assert reason in cleaned.findings[0].message


def test_an_object_without_rings_is_dropped() -> None:
    assert clean([], 40, 40).findings[0].message == "The object was left out: it has no outline."


def test_the_closing_vertex_and_repeated_ones_go_without_a_word() -> None:
    cleaned = clean([[10, 10, 20, 10, 20, 10, 20, 20, 10, 20, 10, 10]], 40, 40)
    assert cleaned.findings == ()
    assert cleaned.shape is not None
    assert cleaned.shape.parts[0].outer.tolist() == [[10, 10], [20, 10], [20, 20], [10, 20]]


def test_a_bad_part_is_left_out_and_the_others_stay_as_they_are() -> None:
    cleaned = clean([SQUARE, [1, 1, 2, 2]], 40, 40)
    assert only_kind(cleaned) is Finding.OBJECT_REPAIRED
    assert "A part of the object was left out" in cleaned.findings[0].message
    assert cleaned.shape is not None
    assert [part.outer.ravel().tolist() for part in cleaned.shape.parts] == [SQUARE]


def test_what_reaches_out_is_clipped_and_said() -> None:
    cleaned = clean([[-10, 10, 20, 10, 20, 20, -10, 20]], 40, 40)
    assert only_kind(cleaned) is Finding.OBJECT_CLIPPED
    assert (cleaned.findings[0].area_before, cleaned.findings[0].area_after) == (300, 200)
    assert cleaned.shape is not None
    assert cleaned.shape.bounds == (0, 10, 20, 20)


def test_a_clip_that_splits_gives_parts() -> None:
    bridge_outside = [5, 5, 45, 5, 45, 25, 5, 25, 5, 20, 42, 20, 42, 10, 5, 10]
    cleaned = clean([bridge_outside], 40, 40)
    assert cleaned.shape is not None
    assert len(cleaned.shape.parts) == 2
    assert area(cleaned.shape) == 2 * 35 * 5


def test_a_bow_tie_becomes_two_triangles_and_the_change_of_area_is_recorded() -> None:
    cleaned = clean([[10, 10, 20, 20, 20, 10, 10, 20]], 40, 40)
    assert only_kind(cleaned) is Finding.OBJECT_REPAIRED
    assert (cleaned.findings[0].area_before, cleaned.findings[0].area_after) == (0, 50)
    assert cleaned.shape is not None
    assert len(cleaned.shape.parts) == 2


def test_the_middle_of_a_pentagram_is_outside_by_the_even_odd_rule() -> None:
    cleaned = clean([PENTAGRAM], 40, 40)
    assert cleaned.shape is not None
    assert not runs_of(cleaned.shape, 40, 40).mask()[20, 20]
    assert polygon_of(cleaned.shape.parts[0]).is_valid


def test_a_ring_that_goes_round_twice_encloses_nothing() -> None:
    assert clean([SQUARE + SQUARE], 40, 40).shape is None


def test_a_tangle_without_end_becomes_its_pixels() -> None:
    tangle = np.random.default_rng(5).uniform(0, 60, (400, 2))
    cleaned = clean([tangle], 60, 60)
    assert "its pixels take its place" in cleaned.findings[0].message
    assert cleaned.shape is not None
    assert runs_of(cleaned.shape, 60, 60) == runs_of(Shape((Part(tangle),)), 60, 60)


def test_a_good_hole_passes_bit_for_bit() -> None:
    cleaned = clean([RawPart([5, 5, 30, 5, 30, 30, 5, 30], [SQUARE])], 40, 40)
    assert cleaned.findings == ()
    assert cleaned.shape is not None
    assert cleaned.shape.parts[0].holes[0].ravel().tolist() == SQUARE
    assert area(cleaned.shape) == 525


def test_a_hole_that_reaches_out_is_cut_to_fit_and_said() -> None:
    cleaned = clean([RawPart(SQUARE, [[15, 15, 25, 15, 25, 25, 15, 25]])], 40, 40)
    assert only_kind(cleaned) is Finding.OBJECT_REPAIRED
    assert area(cleaned.shape) == 75


def test_a_hole_that_is_none_is_left_out_and_the_outline_stays() -> None:
    cleaned = clean([RawPart(SQUARE, [[12, 12, 14, 14], [15, 15, 16, 16, 17, 17]])], 40, 40)
    assert [finding.kind for finding in cleaned.findings] == [Finding.OBJECT_REPAIRED] * 2
    assert area(cleaned.shape) == 100


def test_an_object_that_is_all_hole_is_dropped() -> None:
    cleaned = clean([RawPart(SQUARE, [[5, 5, 30, 5, 30, 30, 5, 30]])], 40, 40)
    assert cleaned.shape is None
    assert "is all hole" in cleaned.findings[0].message


def test_rings_beside_each_other_stay_a_union_even_when_one_lies_in_the_other() -> None:
    cleaned = clean([[5, 5, 30, 5, 30, 30, 5, 30], SQUARE], 40, 40)
    assert cleaned.findings == ()
    assert cleaned.shape is not None
    assert not cleaned.shape.has_holes
    assert runs_of(cleaned.shape, 40, 40).area == 625
    assert area(cleaned.shape) == 625


def test_one_bad_object_does_not_touch_the_others() -> None:
    raws: list[RawObject] = [[SQUARE], [[1, 2]], [[10, 10, 20, 20, 20, 10, 10, 20]], [SQUARE]]
    together = [clean(raw, 40, 40) for raw in raws]
    assert [area(one.shape) if one.shape else None for one in together] == [100, None, 50, 100]
    assert [len(one.findings) for one in together] == [0, 1, 1, 0]


number = st.integers(-10, 40).map(float) | st.floats(-30, 60, width=32)
rings = st.lists(st.tuples(number, number), min_size=0, max_size=9)


@settings(max_examples=200, deadline=None)
@given(objects=st.lists(st.lists(st.tuples(rings, st.lists(rings, max_size=2)), max_size=3), max_size=4))
def test_whatever_comes_in_what_comes_out_is_valid_inside_and_has_an_area(
    objects: list[list[tuple[list[tuple[float, float]], list[list[tuple[float, float]]]]]],
) -> None:
    raws = [[RawPart(outer, holes) for outer, holes in parts] for parts in objects]
    for cleaned in (clean(raw, 30, 25) for raw in raws):
        if cleaned.shape is None:
            assert only_kind(cleaned) is Finding.OBJECT_DROPPED
            continue
        left, top, right, bottom = cleaned.shape.bounds
        assert 0 <= left < right <= 30
        assert 0 <= top < bottom <= 25
        assert all(polygon_of(part).is_valid for part in cleaned.shape.parts)
        assert area(cleaned.shape) > 0


@settings(max_examples=200, deadline=None)
@given(ring=st.lists(st.tuples(*[st.integers(0, 40).map(float)] * 2), min_size=3, max_size=10))
def test_a_repair_keeps_what_even_odd_encloses(ring: list[tuple[float, float]]) -> None:
    cleaned = clean([ring], 40, 40)
    parts = cleaned.shape.parts if cleaned.shape else ()
    repaired = shapely.union_all([polygon_of(part) for part in parts])
    closed = np.array([*ring, ring[0]])
    for x, y in [(7.31, 9.77), (20.13, 20.61), (33.71, 11.29), (12.57, 30.437)]:
        crossings = 0
        for (x0, y0), (x1, y1) in itertools.pairwise(closed):
            if (y0 > y) != (y1 > y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) > x:
                crossings += 1
        assert repaired.contains(shapely.Point(x, y)) == (crossings % 2 == 1)


@settings(deadline=None)
@given(
    text=st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), st.lists, max_leaves=12).map(
        json.dumps
    )
)
def test_any_json_gives_a_region_or_a_reason(text: str) -> None:
    raw = json.loads(text)
    if isinstance(raw, list):
        cleaned = clean(raw, 40, 40)
        assert cleaned.shape is not None or cleaned.findings


def test_a_ring_that_it_would_take_for_ever_to_judge_becomes_its_pixels() -> None:
    turns = np.arange(200_000) * (2 * np.pi / 200_000)
    reach = np.where(np.arange(200_000) % 2, 11.0, 6.0)
    star = np.stack([20 + reach * np.cos(turns), 15 + reach * np.sin(turns)], axis=1)
    cleaned = clean([star], 40, 30)
    assert [finding.message for finding in cleaned.findings] == [
        "The object's outline meets itself so often that its pixels take its place."
    ]
    assert cleaned.shape is not None
