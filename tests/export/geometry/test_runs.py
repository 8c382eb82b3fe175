"""Masks as runs: there and back, joined, taken from each other, and as a hash."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelferry_export.geometry.ring import Flags
from labelferry_export.geometry.runs import Runs

masks = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda size: arrays(np.bool_, size))
pairs = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda size: st.tuples(arrays(np.bool_, size), arrays(np.bool_, size), arrays(np.bool_, size))
)


@given(mask=masks)
def test_a_mask_comes_back_from_its_runs(mask: Flags) -> None:
    runs = Runs.from_mask(mask)
    assert np.array_equal(runs.mask(), mask)
    assert runs.area == mask.sum()
    assert Runs.from_counts(runs.counts, runs.width, runs.height) == runs
    assert runs.counts.sum() == mask.size


@given(mask=masks)
def test_the_box_holds_every_set_pixel_and_the_crop_shows_it(mask: Flags) -> None:
    runs = Runs.from_mask(mask)
    if not mask.any():
        assert runs.bbox is None
        return
    rows, columns = np.nonzero(mask)
    box = int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
    assert runs.bbox == box
    x, y, width, height = box
    assert np.array_equal(runs.mask(runs.bbox), mask[y : y + height, x : x + width])


@given(three=pairs)
def test_union_and_minus_are_those_of_the_masks(three: tuple[Flags, Flags, Flags]) -> None:
    one, two, other = map(Runs.from_mask, three)
    assert np.array_equal(one.union(two, other).mask(), three[0] | three[1] | three[2])
    assert np.array_equal(one.minus(two, other).mask(), three[0] & ~(three[1] | three[2]))


def test_counts_begin_with_the_zeros_even_when_there_are_none() -> None:
    assert Runs.from_mask(np.ones((2, 2), dtype=np.bool_)).counts.tolist() == [0, 4]
    assert Runs.from_mask(np.zeros((2, 2), dtype=np.bool_)).counts.tolist() == [4]


def test_equal_masks_are_equal_and_have_one_hash() -> None:
    one, two = Runs.from_mask(np.eye(3, dtype=np.bool_)), Runs.from_mask(np.eye(3, dtype=np.bool_))
    assert one == two
    assert hash(one) == hash(two)
    assert one != Runs.from_mask(np.eye(4, dtype=np.bool_))
    assert one != "a mask"


def test_masks_of_different_sizes_are_not_joined() -> None:
    with pytest.raises(ValueError, match="different sizes"):
        Runs.from_mask(np.eye(3, dtype=np.bool_)).union(Runs.from_mask(np.eye(4, dtype=np.bool_)))
