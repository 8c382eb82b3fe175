"""Conditions on attributes: how they are written, and what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.errors import ExportError
from labelferry_export.model import Attribute
from labelferry_export.selection.condition import kinds_asked
from labelferry_export.selection.condition_text import DEEPEST, MOST_CHARACTERS, condition_of, read_condition
from labelferry_export.selection.tokens import ConditionError
from labelferry_protocol.errors import Code

CELL: dict[str, Attribute] = {
    "occluded": False,
    "score": 0.75,
    "count": 3,
    "stage": "metaphase",
    "cell type": "T",
    "image": "x",
    "a.b": 1,
}
IMAGE: dict[str, Attribute] = {"patient": "p1", "good": True, "in": 1}


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("occluded == false and score >= 0.5 and stage in ('metaphase', \"anaphase\")", True),
        ("score < 0.5", False),
        ("score == .75", True),
        ("score > -1e3", True),
        ("count == 3.0", True),
        ("count != 3", False),
        ("0.5 <= score < 0.8", True),
        ("0.5 <= score < 0.7", False),
        ("stage not in ('a', null)", True),
        ("stage > 'a' and stage < 'n'", True),
        ("not occluded", True),
        ("occluded", False),
        ("not (occluded or score < 0.5) and not not true", True),
        ("false and false or true", True),
        ("`cell type` == 'T'", True),
        ("`a.b` == 1", True),
        ("image == 'x'", True),
        ("image.patient == 'p1'", True),
        ("image.`patient` == 'p1' and image.good", True),
        ("image.in == 1", True),
        ("stage == 'meta\\phase'", True),
        ("(score) >= (0.5)", True),
        # A name without an attribute is null.
        ("nothing == null", True),
        ("nothing != null", False),
        ("nothing == false", False),
        ("nothing < 1", False),
        ("nothing >= 1", False),
        ("not nothing", True),
        ("nothing in (null)", True),
        ("image.nothing == null", True),
        # Values of different kinds are different, and neither is less.
        ("count == '3'", False),
        ("count != '3'", True),
        ("occluded == 0", False),
        ("occluded < 1", False),
        ("count in (true, '3')", False),
        ("stage > 1", False),
        # A value alone is met when it is true: text and numbers never are.
        ("count", False),
        ("stage", False),
    ],
)
def test_a_condition_means_what_it_says(text: str, met: bool) -> None:
    assert read_condition(text).meets(CELL, IMAGE) is met


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("score = 0.5", 7, "a comparison is written =="),
        ("(a", 3, "')' is expected, but the condition ends"),
        ("a and", 6, "a name or a value is expected"),
        ("x in ()", 7, "a value is expected"),
        ("x in (y)", 7, "a value is expected"),
        ("x in [1]", 6, "round brackets"),
        ("a not 3", 7, "'in' is expected"),
        ("a.b == 1", 2, "backticks"),
        ("`image`.b == 1", 8, "backticks"),
        ("image. == 2", 8, "an attribute of the image"),
        ("a-b", 2, "backticks"),
        ("a == 'x", 6, "is not closed"),
        ("1e999 < a", 1, "too large"),
        ("cell type", 6, "'and', 'or' or the end is expected"),
        ("a && b", 3, "write 'and'"),
        ("a || b", 3, "write 'or'"),
        ("!a", 1, "write 'not'"),
        ("a == == b", 6, "a name or a value is expected"),
        ("", 1, "a name or a value is expected"),
        ("a == 1)", 7, "the end is expected"),
        ("12ab", 1, "means nothing"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, place: int, reason: str) -> None:
    with pytest.raises(ConditionError) as caught:
        read_condition(text)
    lines = str(caught.value).splitlines()
    assert reason in lines[0]
    assert f"at character {place}" in lines[0]
    assert lines[1].strip() == text.strip()
    assert lines[2].index("^") == 2 + place - 1


def test_the_place_is_shown_in_a_long_condition_too() -> None:
    text = "a == 1 and " * 20 + "b = 2"
    with pytest.raises(ConditionError) as caught:
        read_condition(text)
    _, shown, mark = str(caught.value).splitlines()
    assert shown[mark.index("^")] == "="


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                "a",
                "1",
                "'x'",
                "(",
                ")",
                "and",
                "or",
                "not",
                "in",
                "==",
                "<",
                ",",
                ".",
                "image",
                "`",
                "true",
                "-1e5",
                "\\",
            ]
        )
    ).map(" ".join)
)
def test_no_text_raises_anything_but_the_parsers_own_error(text: str) -> None:
    try:
        condition = read_condition(text)
    except ConditionError:
        return
    assert condition.meets({"a": 1}, {"a": "x"}) in (True, False)


def test_length_and_depth_are_bounded() -> None:
    assert read_condition("(" * DEEPEST + "true" + ")" * DEEPEST).meets({}, {})
    for text in ("(" * 2000, "not " * 500 + "a", "a" * (MOST_CHARACTERS + 1), "(" * (DEEPEST + 1) + "a"):
        with pytest.raises(ConditionError):
            read_condition(text)
    assert not read_condition(" or ".join(["a"] * 300)).meets({}, {})


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("image.patient == 'p1'", False),
        ("score > 1 and image.patient == 'p1'", False),
        ("score > 1 or image.patient == 'p1'", True),
        ("not (score > 1 or image.patient == 'p2')", False),
        ("score in (1, 2) and image.patient == 'p2'", True),
        ("image.patient == 'p2'", True),
        ("occluded", True),
        ("false", False),
    ],
)
def test_an_image_no_object_of_which_could_meet_a_condition_is_known_beforehand(text: str, can: bool) -> None:
    assert read_condition(text).can_meet({"patient": "p2"}) is can


values = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
texts = st.recursive(
    st.sampled_from(["a", "b", "a == 1", "b < 'b'", "a in (1, 'a', null)", "image.x", "image.x == 1", "true"]),
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not {}".format, inner)
    ),
    max_leaves=8,
)


@given(texts, values, values, values)
def test_an_image_is_left_out_only_if_none_of_its_objects_meets_the_condition(
    text: str, a: Attribute | None, b: Attribute | None, x: Attribute | None
) -> None:
    condition = read_condition(text)
    attributes = {name: value for name, value in (("a", a), ("b", b)) if value is not None}
    of_image = {"x": x} if x is not None else {}
    assert condition.can_meet(of_image) or not condition.meets(attributes, of_image)


def test_the_names_that_are_asked_for_are_known() -> None:
    condition = read_condition("a and image.b and not `c d` in (1)")
    assert (set(condition.names), set(condition.image_names)) == ({"a", "c d"}, {"b"})


def test_the_kinds_that_names_are_compared_with_are_known() -> None:
    condition = read_condition(
        "a > 1 and not ('x' == a or b in (1, null, true)) and c == d and image.a == false and e or f == null"
    )
    found = {(name.name, name.of_image): kinds for name, kinds in kinds_asked(condition.term).items()}
    assert found == {
        ("a", False): {"number", "text"},
        ("b", False): {"number", "null", "bool"},
        ("a", True): {"bool"},
    }


def test_an_unreadable_condition_of_the_options_is_wrong_usage_and_a_blank_one_is_none() -> None:
    assert condition_of(" ") is None
    with pytest.raises(ExportError, match="cannot be read") as caught:
        condition_of("a ==")
    assert caught.value.code is Code.USAGE
