"""Splits of images: groups that are never cut, and subsets that the project itself has."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.model import Attribute, Category
from labelferry_export.selection.gaps import gaps
from labelferry_export.selection.split_names import is_split_name, role_of, safe_split_names
from labelferry_export.selection.splits import Grouping, Splits
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
names = st.lists(st.from_regex(r"\A[a-e]{1,2}/p[0-9]{1,2}_[0-9]{1,3}\.png\Z"), min_size=1, max_size=40, unique=True)


def splits_of(images: list[str], split_by: str, seed: int = 0) -> dict[str, str | None]:
    splits = Splits(ExportOptions(split=SHARES, split_by=split_by, seed=seed))
    splits.begin([None])
    return {name: splits.of(name, None, {}) for name in images}


@given(names, names, st.integers(0, 99), st.sampled_from(["name", "folder", r"regex:(p\d+)_"]))
def test_images_that_come_or_go_move_no_other(first: list[str], second: list[str], seed: int, by: str) -> None:
    alone, together = splits_of(first, by, seed), splits_of([*second, *first], by, seed)
    assert all(together[name] == split for name, split in alone.items())


@given(names, st.integers(0, 99))
def test_a_group_is_never_cut(images: list[str], seed: int) -> None:
    by_folder, by_patient = splits_of(images, "folder", seed), splits_of(images, r"regex:(p\d+)_", seed)
    for key, found in ((r"(.*)/", by_folder), (r"(p\d+)_", by_patient)):
        groups: dict[str, set[str | None]] = {}
        for name, split in found.items():
            match = re.search(key, name)
            assert match is not None
            groups.setdefault(match.group(1), set()).add(split)
        assert all(len(each) == 1 for each in groups.values())


def test_groups_fall_into_the_same_splits_for_ever() -> None:
    images = [f"day{day}/p{patient}_{patient * day}.png" for day in (1, 2) for patient in range(4)]
    assert list(splits_of(images, r"regex:p(\d+)_", 7).values()) == ["train", "val", "val", "train"] * 2
    assert list(splits_of(images, "folder", 7).values()) == ["train"] * 4 + ["test"] * 4


def test_an_attribute_groups_images_and_one_without_it_stands_alone() -> None:
    splits = Splits(ExportOptions(split=SHARES, split_by="attribute:patient"))
    assert splits.needs_attributes
    found = [splits.of(f"{number}.png", None, {"patient": "anna"}) for number in range(30)]
    assert len(set(found)) == 1
    alone = Splits(ExportOptions(split=SHARES))
    assert [splits.of(f"{n}.png", None, {}) for n in range(30)] == [alone.of(f"{n}.png", None, {}) for n in range(30)]
    ((code, message),) = splits.findings()
    assert (code, message) == (
        Finding.SPLIT_UNASSIGNED,
        "30 images without a group by 'attribute:patient': each is split by its own name; the first is '0.png'",
    )


@pytest.mark.parametrize(("value", "key"), [(1, "1"), (1.0, "1"), (1.5, "1.5"), (True, "true"), ("1", "1"), ("", None)])
def test_the_value_of_an_attribute_is_one_key_however_it_is_stored(value: Attribute, key: str | None) -> None:
    assert Grouping.of("attribute:patient").key("a.png", {"patient": value}) == key


def test_a_group_of_a_regex_that_took_no_part_is_none() -> None:
    assert Grouping.of("regex:a|(b)").key("a.png", {}) is None
    assert Grouping.of("regex:(x)").key("a.png", {}) is None
    assert Grouping.of("regex:(x*)").key("a.png", {}) is None


def test_the_projects_own_subsets_are_the_splits_and_the_usual_ones_come_first() -> None:
    splits = Splits(ExportOptions(source_split=True))
    splits.begin(["extra 1", "test", "val", "train", None])
    assert splits.names == ("train", "val", "test", "extra_1", "unassigned")
    assert [splits.of("a", each, {}) for each in ("train", "extra 1", None, "")] == [
        *("train", "extra_1", "unassigned", "unassigned"),
    ]
    assert [message for _, message in splits.findings()] == [
        "the subset 'extra 1' is called 'extra_1' in the bundle",
        "2 images the project puts into no subset, or into several: they are the split 'unassigned'; the first is 'a'",
    ]


def test_a_subset_called_unassigned_is_not_mixed_with_images_without_one() -> None:
    splits = Splits(ExportOptions(source_split=True))
    splits.begin(["Unassigned", None])
    assert (splits.of("a", "Unassigned", {}), splits.of("b", None, {})) == ("Unassigned", "unassigned_2")


def test_a_project_without_subsets_is_not_split_by_them() -> None:
    with pytest.raises(ExportError, match="split by shares") as caught:
        Splits(ExportOptions(source_split=True)).begin([None])
    assert caught.value.code is Code.USAGE
    with pytest.raises(ExportError, match="65 subsets, more than the 64"):
        Splits(ExportOptions(source_split=True)).begin([f"fold{number}" for number in range(65)])


@given(st.lists(st.text(max_size=80), max_size=20, unique=True))
def test_names_of_splits_are_safe_and_all_different(subsets: list[str]) -> None:
    found = safe_split_names(subsets)
    assert list(found) == subsets
    assert all(map(is_split_name, found.values()))
    assert len({name.lower() for name in found.values()}) == len(subsets)


def test_a_name_that_is_safe_is_kept_whoever_comes_first() -> None:
    assert safe_split_names(["a b", "a_b", "CON", "träin", "訓練"]) == {
        "a b": "a_b_2",
        "a_b": "a_b",
        "CON": "split_CON",
        "träin": "tr_in",
        "訓練": "split",
    }


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *(("train", "train"), ("Training", "train"), ("train2017", "train"), ("valid_2", "val"), ("dev", "val")),
        *(("test-01", "test"), ("testing", "test"), ("training set", None), ("fold1", None), ("2017", None)),
    ],
)
def test_what_a_split_is_for_is_known_by_its_name(name: str, role: str | None) -> None:
    assert role_of(name) == role


def test_what_a_split_lacks_is_told() -> None:
    categories = [Category(1, "cell"), Category(2, "dog"), Category(3, "nobody")]
    counts: dict[str | None, dict[int, int]] = {"train": {1: 5, 2: 1}, "val": {1: 2}}
    assert list(gaps(("train", "val", "test"), counts, categories)) == [
        "the split 'val' has no object of 'dog'",
        "the split 'test' has no images",
    ]
