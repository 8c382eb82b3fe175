"""The part of YAML that data files are written in, held against a whole YAML reader."""

import pytest
import yaml  # type: ignore[import-untyped]  # of one test: not worth its stubs
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.formats._yaml import quoted
from labelferry_export.sources.yolo_yaml import Value, YamlError, read_yaml

TEXTS = [
    "a: 1\nb: 2.5\nc: text with spaces\nd: 'it''s'\ne: \"q\\\"\\u00e9\\n\"\nf:\ng: ~\nh: true\n",
    "# comment\n---\nnames: # here too\n  0: person\n  1: traffic light # and here\n  2: 'a: b'\n",
    "names: ['a', \"b\", c d, 4]\nnc: 4\n",
    "names: [a,\n  b, # first\n  c\n]\ntrain: x\n",
    "names:\n- a\n- b\ntrain: images\n",
    "names:\n  - a\n  -   b\n",
    "a:\n  b:\n    c: [1, {x: y, z: [2, 3]}]\n  d: e\n",
    "list:\n- x: 1\n  y: 2\n- x: 3\n",
    "url: https://example.org/x#y\npath: ../datasets\nwin: C:\\data\n",
    "empty: []\nmap: {}\nminus: -5\nexp: 1.5e+3\n",
    "{train: a, val: b, names: [x]}\n",
    "'quoted key': 1\n\"other\": 2\n",
    "a: [\n]\n",
    "",
]


def keyed(value: object) -> object:
    """Whole readers make numbers of keys; ours are text."""
    if isinstance(value, dict):
        return {str(key): keyed(each) for key, each in value.items()}
    return [keyed(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("text", TEXTS)
def test_what_people_write_is_read_as_a_whole_reader_does(text: str) -> None:
    assert read_yaml(text) == keyed(yaml.safe_load(text))


@given(names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=5))
def test_every_name_that_is_written_is_read_back(names: list[str]) -> None:
    text = "train: images\nnames:\n" + "".join(f"  {index}: {quoted(name)}\n" for index, name in enumerate(names))
    value = read_yaml(text)
    assert isinstance(value, dict)
    expected: Value = {str(index): name for index, name in enumerate(names)}
    assert value["names"] == (expected or None)


@pytest.mark.parametrize(
    "text",
    [
        *("a: *b\n", "a: &x 1\n", "a: |\n  text\n", "\ta: 1\n", "a: 'x\n", "a: [1, 2\n", "a: {b}\n", "a: 1\na: 2\n"),
        *("a: 1\n   b: 2\n", 'a: "\\q"\n', "a: 'x' y\n", "a: [1] 2\n", "- a\nb: 1\n", "a: 1\nb\n"),
    ],
)
def test_what_is_not_understood_is_an_error_with_its_line(text: str) -> None:
    with pytest.raises(YamlError, match=r"^line [0-9]+: "):
        read_yaml(text)


@given(st.text(st.sampled_from("ab01:-[]{},#'\"\\ \n&|."), max_size=60))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    try:
        read_yaml(text)
    except YamlError:
        return
