"""Name patterns, and the checks that need no project."""

from pathlib import Path

import pytest

from labelferry_export.errors import ExportError
from labelferry_export.options_check import check_options
from labelferry_export.selection import Selection
from labelferry_export.selection.listed import Lists
from labelferry_export.selection.reason import Reason
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions


def selected(options: ExportOptions, *names: str) -> list[Reason | None]:
    selection = Selection(options, Lists(options, Path("unused"), []))
    return [selection.image_reason(name, number, {}) for number, name in enumerate(names, 1)]


def test_a_pattern_without_a_slash_is_held_against_the_base_name() -> None:
    assert selected(ExportOptions(select=("a*.png",)), "plate/a1.png", "a/b.png") == [None, Reason.SELECT]


def test_a_pattern_with_a_slash_is_held_against_the_whole_name() -> None:
    names = ("plate1/a.png", "plate1/deep/a.png", "other/a.png")
    assert selected(ExportOptions(select=("plate*/[ab].png",)), *names) == [None, None, Reason.SELECT]


def test_one_of_several_patterns_is_enough_and_none_takes_all() -> None:
    assert selected(ExportOptions(select=("x", "y")), "y") == [None]
    assert selected(ExportOptions(), "anything") == [None]


def test_what_is_excluded_is_left_out_though_it_is_selected() -> None:
    options = ExportOptions(select=("*.png",), exclude=("bad*", "plate2/*"))
    names = ("good.png", "bad.png", "plate2/good.png", "good.tif")
    assert selected(options, *names) == [None, Reason.EXCLUDE, Reason.EXCLUDE, Reason.SELECT]


def test_what_is_left_out_is_counted_by_the_option_that_says_so() -> None:
    options = ExportOptions(select=("*.png",), exclude=("bad*",))
    selection = Selection(options, Lists(options, Path("unused"), []))
    for name in ("a.png", "bad.png", "c.tif", "d.tif"):
        selection.image_reason(name, 1, {})
    images = selection.chosen(4, 0).images
    assert (images.found, images.selected, images.left_out) == (4, 1, {"select": 2, "exclude": 1})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (ExportOptions(min_area=3, max_area=2.5), "at least 3 and at most 2.5"),
        (ExportOptions(where="score >="), "at character 9"),
        (ExportOptions(images_from="list.txt"), "relative path"),
        (ExportOptions(objects_from="list.txt"), "relative path"),
        (ExportOptions(split={"a": 1.0}, source_split=True), "not both"),
        (ExportOptions(split_by="patient"), "nothing to split by"),
        (
            ExportOptions(split_by="folder"),
            "there is no split by shares that 'folder' could keep together: add --split",
        ),
        (ExportOptions(split_by="folder", source_split=True), "there is no split by shares"),
        (ExportOptions(split_by="attribute:"), "nothing to split by"),
        (ExportOptions(split_by="regex:("), "cannot be read"),
        (ExportOptions(split_by="regex:abc"), "has no group"),
    ],
)
def test_a_selection_that_cannot_work_is_wrong_usage(options: ExportOptions, sentence: str) -> None:
    with pytest.raises(ExportError, match=sentence) as caught:
        check_options(options)
    assert caught.value.code is Code.USAGE
