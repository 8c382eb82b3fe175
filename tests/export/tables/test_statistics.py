"""Sums over many values, against the standard library's `statistics`, also where the values do not fit into memory."""

import math
import statistics
from collections.abc import Generator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.tables.statistics import Summary, summarise, summarise_now

numbers = st.floats(-1e9, 1e9, allow_nan=False)


def in_blocks(values: Sequence[float], size: int) -> Summary:
    blocks = [np.array(values[at : at + size], np.float64) for at in range(0, len(values), size)]
    summaries: list[Summary] = []

    def work() -> Generator[None, None, None]:
        summaries.append((yield from summarise(lambda: blocks)))

    assert all(step is None for step in work())
    return summaries[0]


@given(st.lists(numbers, min_size=2, max_size=60), st.integers(1, 9))
def test_they_are_those_of_the_standard_library(values: list[float], size: int) -> None:
    summary = in_blocks(values, size)
    assert summary.count == len(values)
    assert summary.sum == pytest.approx(math.fsum(values), abs=1e-3)
    assert summary.mean == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-3)
    assert summary.median == statistics.median(values)
    assert summary.std == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-3)
    assert (summary.min, summary.max) == (min(values), max(values))


@given(st.lists(numbers, min_size=1, max_size=80), st.integers(1, 9))
def test_a_median_of_more_than_fits_into_memory_is_exact(values: list[float], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labelferry_export.tables.statistics.GATHERED", 3)
        assert in_blocks(values, size).median == statistics.median(values)


@pytest.mark.parametrize("values", [[5.0] * 50, [-1.5, -0.0, 0.0, 1e-300, 1e100] * 8, [-2.0] * 20 + [3.0] * 20])
def test_a_median_among_equal_and_extreme_values_is_exact(values: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labelferry_export.tables.statistics.GATHERED", 3)
    assert in_blocks(values, 7).median == statistics.median(values)


def test_what_is_not_defined_is_left_out() -> None:
    summary = summarise_now(np.array([1.0, math.nan, 3.0]))
    assert (summary.count, summary.mean, summary.median) == (2, 2.0, 2.0)


def test_nothing_is_defined_of_no_values_but_their_sum() -> None:
    assert summarise_now(np.empty(0)) == Summary(0, 0.0, None, None, None, None, None)


def test_a_single_value_has_no_deviation() -> None:
    assert summarise_now(np.array([4.0])) == Summary(1, 4.0, 4.0, 4.0, None, 4.0, 4.0)
