"""Run lengths of COCO, packed and plain, against pycocotools both ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from labelferry_export.geometry.ring import Flags
from labelferry_export.geometry.rle import RleError, counts_of, packed_counts_of, runs_of_rle, size_of_rle, unpack
from labelferry_export.geometry.runs import Runs

masks = st.tuples(st.integers(1, 20), st.integers(1, 20)).flatmap(lambda size: arrays(np.bool_, size))


@settings(deadline=None)
@given(mask=masks)
def test_packed_and_plain_counts_are_those_of_pycocotools_both_ways(mask: Flags) -> None:
    runs = Runs.from_mask(mask)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert packed_counts_of(runs).encode() == theirs["counts"]
    assert runs_of_rle(theirs["counts"], runs.width, runs.height) == runs
    assert runs_of_rle(theirs["counts"].decode(), runs.width, runs.height) == runs
    assert runs_of_rle(counts_of(runs), runs.width, runs.height) == runs
    assert coco.frPyObjects({"size": [runs.height, runs.width], "counts": counts_of(runs)}, 0, 0) == theirs


@given(lengths=st.lists(st.integers(1, 50_000), min_size=1, max_size=40))
def test_long_runs_are_packed_like_those_of_pycocotools(lengths: list[int]) -> None:
    pixels = sum(lengths)
    runs = runs_of_rle(lengths, 1, pixels)
    theirs = coco.frPyObjects({"size": [pixels, 1], "counts": lengths}, pixels, 1)
    assert packed_counts_of(runs).encode() == theirs["counts"]
    assert unpack(theirs["counts"]).tolist() == lengths


def test_a_block_with_a_hole_has_the_counts_of_the_oracle() -> None:
    mask = np.zeros((10, 12), dtype=np.bool_)
    mask[2:8, 3:9] = True
    mask[4:6, 5:7] = False
    runs = Runs.from_mask(mask)
    assert sum(counts_of(runs)) == 120
    assert runs.area == 32
    assert counts_of(runs)[:6] == [32, 6, 4, 6, 4, 2]


def test_runs_go_down_the_columns() -> None:
    mask = np.zeros((3, 5), dtype=np.bool_)
    mask[0, 4] = True
    assert counts_of(Runs.from_mask(mask)) == [12, 1, 2]


def test_empty_runs_in_between_are_read_as_what_they_mean() -> None:
    assert counts_of(runs_of_rle([1, 2, 0, 3, 2, 0], 2, 4)) == [1, 5, 2]
    assert counts_of(runs_of_rle([0, 0, 8], 2, 4)) == [8]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([4, 4], "add up to 8, not to the 3 x 3 = 9"),
        ([], "flat list"),
        ([12, -3], "run length 1 is negative"),
        ([1] * 11, "more than a mask"),
        ([1.5, 7.5], "whole numbers"),
        ([2**40, 1], "at most 32 bits"),
        ([2**70, 1], "whole numbers"),
        ([-(2**62), -(2**62), 9], "negative"),
        ([[1, 8]], "flat list"),
        ([[1], 8], "whole numbers"),
        (["1", "8"], "whole numbers"),
        ([None, 8], "whole numbers"),
        ([True, False], "whole numbers"),
        (None, "must be a list or a string, not NoneType"),
        ({"counts": 3}, "not dict"),
        ("", "empty"),
        ("1 2", "cannot, at place 1"),
        ("1p", "cannot, at place 1"),
        ("1é", "not ASCII"),
        ("1Q", "middle of a number"),
        ("P" * 9 + "0", "more than 32 bits"),
        (b"\xff\x00", "cannot, at place 0"),
        ("4", "add up to 4"),
    ],
)
def test_counts_that_are_no_mask_are_refused_with_the_reason(counts: object, words: str) -> None:
    with pytest.raises(RleError, match=words):
        runs_of_rle(counts, 3, 3)


@pytest.mark.parametrize(("width", "height"), [(0, 3), (3, -1), (70_000, 70_000)])
def test_an_impossible_size_is_refused(width: int, height: int) -> None:
    with pytest.raises(RleError, match="cannot have the size"):
        runs_of_rle([9], width, height)


@given(text=st.binary(max_size=40))
def test_whatever_is_packed_gives_runs_or_a_clear_error(text: bytes) -> None:
    try:
        runs = runs_of_rle(text, 6, 5)
    except RleError:
        return
    assert sum(counts_of(runs)) == 30


def test_size_is_height_then_width() -> None:
    assert size_of_rle([10, 12]) == (12, 10)


@pytest.mark.parametrize("size", [None, [1], [1, 2, 3], [0, 4], [2.0, 3], ["2", 3], [True, 3], [2**20, 2**20]])
def test_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(RleError, match="two positive whole numbers"):
        size_of_rle(size)
