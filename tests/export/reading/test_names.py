"""Names in a bundle: docs/decisions/0004-names.md."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.names import choose_name, safe_name, split_suffix, unique_key

NASTY = [
    "a.png",
    "A.PNG",
    "a.jpg",
    "x/a.png",
    "y/x/a.png",
    "y/x/a.png",
    "re\u0301sume\u0301.png",
    "r\u00e9sum\u00e9.png",
    "CON.png",
    "nul",
    "com1.tar.gz",
    ".hidden.png",
    "..",
    "../../etc/passwd",
    "trailing. .png",
    "dots...",
    "tab\tnew\nline.png",
    "right\u202eto\u202cleft.png",
    "\U0001f9ea\u200d\U0001f52c.png",
    "\ud800.png",
    "a:b*c?.png",
    "back\\slash.png",
    "x" * 300 + ".png",
    "\u00e9" * 300 + ".tiff",
    "s." + "y" * 300,
    " ",
    "",
]


def names_of(sources: list[str]) -> list[str]:
    taken: set[str] = set()

    def take(key: str) -> bool:
        free = key not in taken
        taken.add(key)
        return free

    return [choose_name(source, position, take) for position, source in enumerate(sources, 1)]


def is_safe(name: str) -> bool:
    stem = name.rpartition(".")[0] or name
    return (
        0 < len(name.encode()) <= 255
        and not set(name) & set('<>:"/\\|?*\0')
        and not any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in name)
        and "\u202e" not in name
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and unicodedata.is_normalized("NFC", name)
        and stem.split(".")[0].upper() not in ("CON", "NUL", "COM1")
        and name.count(".") <= stem.count(".") + 1
    )


def test_a_plain_name_stays_as_it_is() -> None:
    assert names_of(["cell 1 (a).tif", "b.c.png", "\u30bb\u30eb.jpg"]) == [
        "cell 1 (a).tif",
        "b.c.png",
        "\u30bb\u30eb.jpg",
    ]


def test_equal_names_in_two_folders_get_their_folders_in_front() -> None:
    assert names_of(["a/b.png", "c/b.png", "d/c/b.png"]) == ["b.png", "c__b.png", "d__c__b.png"]


def test_equal_stems_with_different_suffixes_get_different_stems() -> None:
    assert names_of(["x.png", "x.jpg", "X.tif"]) == ["x.png", "x_jpg.jpg", "X_tif.tif"]


def test_names_equal_but_for_case_or_unicode_form_are_told_apart() -> None:
    names = names_of(["e\u0301.png", "\u00e9.png", "\u00c9.png"])
    assert names == ["\u00e9.png", "\u00e9_png.png", "\u00c9~3.png"]


def test_the_same_name_again_and_again_ends_with_its_place() -> None:
    assert names_of(["a.png"] * 4) == ["a.png", "a_png.png", "a~3.png", "a~4.png"]


def test_nasty_names_become_safe_and_unique() -> None:
    names = names_of(NASTY)
    assert [name for name in names if not is_safe(name)] == []
    assert len({unique_key(name) for name in names}) == len(NASTY)


def test_a_long_name_is_cut_between_characters_and_keeps_its_suffix() -> None:
    first, second = names_of(["\u00e9" * 200 + "1.png", "\u00e9" * 200 + "2.png"])
    assert first.endswith(".png")
    assert first != second
    assert max(len(first.encode()), len(second.encode())) <= 255


def test_appending_images_renames_none_of_those_before() -> None:
    assert names_of(NASTY)[: len(NASTY) // 2] == names_of(NASTY[: len(NASTY) // 2])


@pytest.mark.parametrize(
    ("base", "parts"),
    [
        ("a.png", ("a", ".png")),
        ("a.b.png", ("a.b", ".png")),
        (".png", ("_png", "")),
        ("a", ("a", "")),
        ("v1. 2", ("v1_ 2", "")),
    ],
)
def test_a_suffix_is_what_looks_like_one(base: str, parts: tuple[str, str]) -> None:
    assert split_suffix(base) == parts


@given(st.lists(st.text(max_size=40), max_size=12))
def test_any_names_become_safe_and_unique(sources: list[str]) -> None:
    names = names_of(sources)
    assert [name for name in names if not is_safe(name)] == []
    assert len({unique_key(name) for name in names}) == len(sources)


@given(st.text(max_size=40), st.sampled_from(["", ".png"]))
def test_a_safe_name_is_left_alone(stem: str, suffix: str) -> None:
    once = safe_name(stem, suffix)
    assert safe_name(*split_suffix(once)) == once or suffix == ""
