"""Splits by shares: which share a key falls into, for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.errors import ExportError
from labelferry_export.selection.shares import check_shares, split_of
from labelferry_protocol.errors import Code

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def test_a_split_follows_its_shares() -> None:
    splits = [split_of(f"image-{number}.png", 7, SHARES) for number in range(5000)]
    assert splits.count("train") == pytest.approx(4000, abs=120)
    assert splits.count("val") == pytest.approx(500, abs=80)


def test_a_split_is_the_same_on_every_machine_and_in_every_version() -> None:
    assert [split_of(f"{each}.png", 0, SHARES) for each in "abcdefg"] == [
        *("train", "train", "train", "val", "train", "train", "val"),
    ]


@given(st.text(max_size=20), st.integers(-(2**40), 2**40))
def test_every_image_falls_into_one_split_whatever_else_there_is(name: str, seed: int) -> None:
    assert split_of(name, seed, SHARES) in SHARES
    assert split_of(name, seed, SHARES) == split_of(name, seed, dict(SHARES))
    assert split_of(name, seed, {}) is None


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ({"train": 0.8, "val": 0.1}, "add up to 0.9, not to 1: train=0.8,val=0.1"),
        ({"train": 1.0, "val": 1e-3}, "add up to 1.001"),
        ({"../x": 1.0}, "cannot name a split"),
        ({"CON": 1.0}, "cannot name a split"),
        ({"": 1.0}, "cannot name a split"),
        ({"Train": 0.5, "train": 0.5}, "differ by case only"),
        ({"train": 1.5, "val": -0.5}, "'val' has the share -0.5"),
        ({"train": float("nan")}, "add up to nan"),
    ],
)
def test_a_split_that_cannot_work_is_wrong_usage(shares: dict[str, float], sentence: str) -> None:
    with pytest.raises(ExportError, match=sentence) as caught:
        check_shares(shares)
    assert caught.value.code is Code.USAGE


def test_shares_that_only_rounding_keeps_from_one_are_fine() -> None:
    check_shares({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
    check_shares({"a": 0.1, "b": 0.2, "c": 0.7})
    check_shares({})
