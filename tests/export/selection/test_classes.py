"""Classes: selected, renamed, merged and dropped."""

import pytest

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.selection.classes import Classes
from labelferry_export.selection.reason import Reason
from labelferry_export.source import FoundCategory
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

PROJECT = ("cat", "dog", "wolf", "sky")


def mapped(names: tuple[str, ...] = PROJECT, /, **options: object) -> tuple[Classes, list[str]]:
    classes = Classes(ExportOptions(**options))  # type: ignore[arg-type] # each test names its own
    added = [classes.add(FoundCategory(key, name)) for key, name in enumerate(names)]
    return classes, [each.name for each in added if each is not None]


def test_without_a_mapping_every_class_has_its_place_as_number_even_where_names_are_equal() -> None:
    classes, names = mapped(("cell", "cell", "dog"))
    assert names == ["cell", "cell", "dog"]
    assert [classes.number(key) for key in range(3)] == [1, 2, 3]
    assert list(classes.findings()) == []


def test_several_classes_become_one_where_the_first_of_them_stood() -> None:
    classes, names = mapped(class_map={"dog": "canid", "wolf": "canid", "cat": "felid"})
    assert names == ["felid", "canid", "sky"]
    assert [classes.number(key) for key in range(4)] == [1, 2, 2, 3]


def test_a_class_mapped_to_the_name_of_another_joins_it_whichever_comes_first() -> None:
    classes, names = mapped(class_map={"cat": "dog", "sky": "dog"})
    assert names == ["dog", "wolf"]
    assert [classes.number(key) for key in range(4)] == [1, 1, 2, 1]


def test_names_can_be_exchanged() -> None:
    _, names = mapped(class_map={"cat": "dog", "dog": "cat"})
    assert names == ["dog", "cat", "wolf", "sky"]


def test_an_empty_name_drops_a_class_and_a_star_is_every_other() -> None:
    classes, names = mapped(class_map={"dog": "dog", "wolf": "dog", "*": ""})
    assert names == ["dog"]
    assert [classes.reason(key) for key in range(4)] == [Reason.CLASS_MAP, None, None, Reason.CLASS_MAP]
    _, others = mapped(class_map={"dog": "dog", "*": "other"})
    assert others == ["other", "dog"]


def test_what_became_of_classes_is_told_with_their_objects() -> None:
    classes, _ = mapped(class_map={"cat": "felid", "dog": "canid", "wolf": "canid", "sky": ""})
    for key in (0, 1, 1, 2, 3, 3, 3):
        classes.count(key)
    assert list(classes.findings()) == [
        (Finding.CLASS_DROPPED, "the class 'sky' is left out (3 objects)"),
        (Finding.CLASS_RENAMED, "the class 'cat' is called 'felid' (1 object)"),
        (Finding.CLASS_MERGED, "2 classes are one, 'canid': 'dog' (2 objects), 'wolf' (1 object)"),
    ]


def test_classes_are_selected_by_the_names_they_have_after_the_mapping() -> None:
    classes, names = mapped(class_map={"wolf": "dog"}, classes=("dog",))
    classes.check()
    assert names == ["cat", "dog", "sky"], "a selection takes no class off the list: the numbers stay"
    assert [classes.reason(key) for key in range(4)] == [Reason.CLASSES, None, None, Reason.CLASSES]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"class_map": {"bird": "x"}}, "no class 'bird' that could be mapped; its classes are 'cat', 'dog'"),
        ({"classes": ("bird",)}, "no class 'bird'; its classes are 'cat', 'dog', 'wolf', 'sky'"),
        ({"classes": ("wolf",), "class_map": {"wolf": "dog"}}, "'wolf' is called 'dog' by the mapping"),
        ({"classes": ("sky",), "class_map": {"sky": ""}}, "'sky' is dropped by the mapping"),
    ],
)
def test_a_class_that_is_not_there_is_wrong_usage(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ExportError, match=sentence) as caught:
        mapped(PROJECT, **options)[0].check()
    assert caught.value.code is Code.USAGE
