"""Lists of images and objects: the forms their files have, and what they name."""

import json
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.errors import ExportError
from labelferry_export.selection.list_file import ListFile
from labelferry_export.selection.listed import IMAGE_COLUMNS, Lists
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

words = st.sampled_from(
    ['"', ",", ";", "\t", "\n", "\r", "image", "a", "1", "[", "]", "{", "}", ":", "null", "\\", "\0"]
)
text_like = st.lists(words, max_size=40).map(lambda parts: "".join(parts).encode())


def entries(path: Path) -> list[str | int]:
    return list(ListFile(str(path), [path.parent], IMAGE_COLUMNS).entries())


def list_at(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[Lists]:
    images = list_at(tmp_path, "images.txt", "plate/a.png\nb.png\n3\nnobody.png\n")
    objects = list_at(tmp_path, "objects.txt", "1\n7\n99\n")
    options = ExportOptions(images_from=str(images), objects_from=str(objects))
    with closing(Lists(options, tmp_path / "lists", [tmp_path])) as made:
        for _ in made.read():
            pass
        yield made


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("list.txt", "\ufeffa.png\r\n\n  b c.png \n# d.png", ["a.png", "b c.png", "# d.png"]),
        ("list", "a,b.png\n", ["a,b.png"]),
        ("list.csv", "image_id,stage\n1,x\n\n2,y\n", ["1", "2"]),
        ("list.csv", 'stage;File_Name\nx;"a;b.png"\ny;\n', ["a;b.png"]),
        ("list.csv", "a.png\nb.png\n", ["a.png", "b.png"]),
        ("list.csv", "image\nb.png\n", ["b.png"]),
        ("list.tsv", "image\tx\na,b.png\t1\n", ["a,b.png"]),
        ("list.csv", "image,source_name\ntrain/a.png,plate/a.png\n", ["plate/a.png"]),
        ("list.json", '["a.png", 7, ""]', ["a.png", 7]),
        ("list.json", '\ufeff[{"file_name": "a.png", "x": 1}, {"file_name": "b.png"}]', ["a.png", "b.png"]),
        ("list.json", "[]", []),
        ("list.csv", "", []),
    ],
)
def test_a_list_is_read_whatever_form_it_has(tmp_path: Path, name: str, text: str, found: list[str | int]) -> None:
    assert entries(list_at(tmp_path, name, text)) == found


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("list.txt", b"a\xff", "is not UTF-8 text"),
        ("list.txt", b"a" * 5000, "a line of more than 4,096 characters"),
        ("list.csv", b"x,y\n1,2\n", "has no column 'source_name', .*: its columns are 'x', 'y'"),
        ("list.csv", b'image\n"' + b"a" * 200_000, "cannot be read"),
        ("list.csv", b"image,x\n1," + b"a" * (1 << 20), "a line of more than 1,048,576 characters"),
        ("list.json", b'{"a": 1}', "is no json list"),
        ("list.json", b"[true]", "no name or whole number at place 1"),
        ("list.json", b'["a", {"x": 1}]', "no name or whole number at place 2"),
        ("list.json", b"[1.5]", "no name or whole number at place 1"),
        ("list.json", b"[" * 100_000, "cannot be read"),
        ("list.json", b"[1", "cannot be read"),
    ],
)
def test_a_list_that_cannot_be_read_is_wrong_usage(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ExportError, match=f"the list {name} .*{sentence}") as caught:
        entries(path)
    assert caught.value.code is Code.USAGE


@given(st.sampled_from(["list.txt", "list.csv", "list.tsv", "list.json"]), st.binary(max_size=300) | text_like)
def test_no_bytes_raise_anything_but_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    try:
        found = entries(path)
    except ExportError:
        return
    assert "" not in found


def test_a_list_lies_below_a_root_as_projects_do(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    outside = list_at(tmp_path, "list.txt", "a")
    (tmp_path / "inside" / "link.txt").symlink_to(outside)
    for path, code in (
        (outside, Code.ACCESS),
        (tmp_path / "inside" / "link.txt", Code.ACCESS),
        (tmp_path / "inside" / "nothing.txt", Code.SOURCE),
    ):
        with pytest.raises(ExportError, match="list") as caught:
            ListFile(str(path), [tmp_path / "inside"], IMAGE_COLUMNS)
        assert caught.value.code is code
    with pytest.raises(ExportError, match="cannot be opened"):
        entries(tmp_path / "inside")


def test_an_image_is_named_by_its_name_its_base_name_or_its_number(lists: Lists) -> None:
    assert lists.images is not None
    named = [("plate/a.png", 1), ("b.png", 2), ("x/b.png", 8), ("c.png", 3), ("a.png", 9), ("other/a.png", 10)]
    assert [lists.images.takes(*each) for each in named] == [True, True, True, True, False, False]
    used = lists.used["images_from"]
    assert (used.file, used.entries, used.unmatched, used.example) == ("images.txt", 4, 1, "nobody.png")
    assert len(used.sha256) == 64


def test_an_object_is_named_by_its_id(lists: Lists) -> None:
    assert lists.objects is not None
    assert [lists.objects.takes(number) for number in (1, 2, 7, None, 2**70)] == [True, False, True, False, False]
    assert (lists.used["objects_from"].unmatched, lists.used["objects_from"].example) == (1, "99")


def test_names_are_the_same_in_every_unicode_form_and_with_either_slash(tmp_path: Path) -> None:
    path = list_at(tmp_path, "list.json", json.dumps([unicodedata.normalize("NFD", "ä/ö.png"), ".\\b\\c.png", "007"]))
    options = ExportOptions(images_from=str(path))
    with closing(Lists(options, tmp_path / "lists", [tmp_path])) as lists:
        list(lists.read())
        assert lists.images is not None
        assert lists.images.takes(unicodedata.normalize("NFC", "ä/ö.png"), 1)
        assert lists.images.takes("b/c.png", 2)
        assert not lists.images.takes("d.png", 7), "007 is a name"
        assert lists.images.takes("007", 8)


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        ("images_from", "x.png\ny.png", r"no image that list.txt lists \(2 entries, the first is 'x.png'\); .*'a.png'"),
        ("objects_from", "3", r"no object that list.txt lists \(1 entry, the first is '3'\)"),
        ("images_from", "\n", "list.txt is empty: it names no image"),
        ("objects_from", "1\nnuclei", "'nuclei' is none"),
        ("objects_from", "1.0", "'1.0' is none"),
    ],
)
def test_a_list_that_names_nothing_is_wrong_usage(tmp_path: Path, option: str, text: str, sentence: str) -> None:
    options = ExportOptions(**{option: str(list_at(tmp_path, "list.txt", text))})  # type: ignore[arg-type] # a path
    with pytest.raises(ExportError, match=sentence) as caught:
        read_and_check(options, tmp_path)
    assert caught.value.code is Code.USAGE


def read_and_check(options: ExportOptions, folder: Path) -> None:
    with closing(Lists(options, folder / "lists", [folder])) as lists:
        list(lists.read())
        lists.check(["a.png"])
