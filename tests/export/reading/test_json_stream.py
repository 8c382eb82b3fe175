"""The streamed reading of json against the standard library's own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelferry_export.errors import ExportError
from labelferry_export.reading import json_cursor, json_stream
from labelferry_export.reading.json_stream import Decoder, JsonStream, WrongType, first_keys

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)
SPACES = st.sampled_from(["", " ", "\n\t", "\r\n   "])
ANYTHING = Decoder(Any)
IN_TMP = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def spaced(value: Any, space: str) -> str:
    return json.dumps(value, separators=(f"{space},{space}", f"{space}:{space}"), ensure_ascii=False)


def places_in(stream: JsonStream) -> dict[str, int]:
    steps = stream.index()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: dict[str, int] = end.value
            return found


def read_whole(path: Path) -> dict[str, Any]:
    with JsonStream(path, path.name) as stream:
        return {key: ANYTHING.decode(stream.value(place), stream.name) for key, place in places_in(stream).items()}


@IN_TMP
@given(
    tree=st.dictionaries(st.text(max_size=8), VALUES, max_size=6),
    space=SPACES,
    mark=st.booleans(),
    window=st.integers(1, 40),
)
def test_every_object_is_read_as_the_standard_library_reads_it(
    tmp_path: Path, tree: dict[str, Any], space: str, mark: bool, window: int
) -> None:
    path = tmp_path / "tree.json"
    text = space + spaced(tree, space) + space
    path.write_bytes(b"\xef\xbb\xbf" * mark + text.encode(errors="surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_cursor, "WINDOW_BYTES", window)
        assert repr(read_whole(path)) == repr(json.loads(text))


@IN_TMP
@given(elements=st.lists(VALUES, max_size=12), space=SPACES, window=st.integers(1, 40))
def test_the_elements_of_an_array_come_one_by_one_whatever_the_window(
    tmp_path: Path, elements: list[Any], space: str, window: int
) -> None:
    path = tmp_path / "list.json"
    path.write_text(spaced({"before": [[1], {"a": "]"}], "here": elements, "after": 1}, space))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_cursor, "WINDOW_BYTES", window)
        with JsonStream(path, path.name) as stream:
            found = [ANYTHING.decode(each, "list.json") for each in stream.elements(places_in(stream)["here"])]
    assert repr(found) == repr(json.loads(json.dumps(elements)))


RECORDS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9) | st.text(max_size=3) | st.floats(), max_size=3)
"""Some of them are no `dict[str, int | str]`."""


@IN_TMP
@given(
    elements=st.lists(RECORDS | st.lists(RECORDS, max_size=2), max_size=30),
    space=SPACES,
    block=st.integers(1, 200),
    junk=st.sampled_from(["", "", "", ",", "]", "{", '"', "x", "NaN"]),
)
def test_many_elements_at_once_are_the_same_as_one_by_one(
    tmp_path: Path, elements: list[Any], space: str, block: int, junk: str
) -> None:
    path = tmp_path / "list.json"
    listed = spaced(elements, space)
    place = len(listed) // 2
    path.write_text(f'{{"here": {listed[:place]}{junk}{listed[place:]}, "after": 1}}')
    decoder: Decoder[dict[str, int | str]] = Decoder(dict[str, int | str])
    told: list[list[object]] = [[], []]
    with pytest.MonkeyPatch.context() as patch, JsonStream(path, path.name) as stream:
        patch.setattr(json_stream, "BATCH_BYTES", block)
        patch.setattr(json_stream, "WINDOW_BYTES", block)
        try:
            offset = places_in(stream)["here"]
        except ExportError:
            return
        with telling(told[0]):
            for batch in stream.values(offset, decoder, lambda *wrong: told[0].append(wrong)):
                told[0] += batch.values
        with telling(told[1]):
            for count, element in enumerate(stream.elements(offset), 1):
                try:
                    told[1].append(decoder.decode(element, path.name))
                except WrongType as error:
                    told[1].append((count, element.offset, str(error)))
    assert told[0] == told[1]


@contextmanager
def telling(told: list[object]) -> Iterator[None]:
    """Appends an error's text to what was told."""
    try:
        yield
    except ExportError as error:
        told.append(str(error))


@IN_TMP
@given(data=st.binary(max_size=200))
def test_no_bytes_raise_anything_but_an_export_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bytes.json"
    path.write_bytes(b'{"a": [' + data)
    sentence = "bytes.json is read"
    try:
        read_whole(path)
    except ExportError as error:
        sentence = str(error)
    assert "bytes.json" in sentence


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b'{"a": [1, 2', 6),
        (b'{"a": "never closed', 6),
        (b'{"a": [}]}', 7),
        (b'{"a" 1}', 5),
        (b'{"a": 1,}', 8),
        (b'{"a": 1} x', 9),
        (b'{"a": }', 6),
        (b'{"a": 1, "a": 2}', 6),
        (b'{"a": [1 2]}', 9),
        (b'{"a": "\\ud800"}', 6),
        (b'{"a": "\xff"}', 6),
        (b"", 0),
        (b"\xff\xfe{\x00", 0),
    ],
)
def test_broken_json_is_named_with_its_byte(tmp_path: Path, text: bytes, offset: int) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(text)
    with pytest.raises(ExportError, match=f"broken.json is not json: at byte {offset}: "):
        read_whole(path)


def test_ten_megabytes_of_brackets_are_a_sentence_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_bytes(b'{"annotations": ' + b"[" * 10_000_000)
    with pytest.raises(ExportError, match="more than 64 lists and objects inside one another"):
        read_whole(path)


def test_a_list_at_the_top_is_no_annotation_file(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text("[1, 2]")
    with pytest.raises(ExportError, match=r"list.json is no annotation file: its top level is not a json object"):
        read_whole(path)


def test_nan_and_infinity_are_numbers_but_a_wrong_type_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    path.write_text('{"here": [[NaN, -Infinity, 1], ["x"]]}')
    decoder = Decoder(list[float])
    with JsonStream(path, path.name) as stream:
        first, second = stream.elements(places_in(stream)["here"])
    assert repr(decoder.decode(first, path.name)) == "[nan, -inf, 1.0]"
    with pytest.raises(WrongType, match="Expected `float`, got `str`"):
        decoder.decode(second, path.name)


def test_the_first_keys_are_known_without_reading_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b'{"info": {}, "images": [broken')
    assert first_keys(path, {"images"}) == {"info", "images"}


def test_a_file_that_is_written_to_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "busy.json"
    path.write_text("{}")
    with JsonStream(path, path.name) as stream:
        path.write_text('{"a": 1}')
        with pytest.raises(ExportError, match="was changed while it was being read"):
            stream.check_unchanged()


def test_an_element_too_large_for_bounded_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_cursor, "MAX_ELEMENT_BYTES", 2 << 20)
    path = tmp_path / "large.json"
    path.write_text(json.dumps({"here": ["x" * (5 << 20)]}))
    with JsonStream(path, path.name) as stream, pytest.raises(ExportError, match="one element of more than 2 MB"):
        list(stream.elements(8))
