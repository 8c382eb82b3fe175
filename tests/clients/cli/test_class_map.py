"""Mappings of classes in files."""

from pathlib import Path

import click
import pytest

from labelferry.cli.class_map import read_class_map


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.csv", "old,new\nwolf,dog\nsky,\n"),
        ("map.csv", "\ufeffwolf;dog\r\n\r\nsky;\r\n"),
        ("map.tsv", "From\tTo\nwolf\tdog\nsky\t\n"),
        ("map.txt", "wolf, dog\nsky,\nwolf,dog"),
        ("map.json", '{"wolf": "dog", "sky": null}'),
        ("map.json", '\ufeff{"wolf": "dog", "sky": ""}'),
    ],
)
def test_a_mapping_is_read_whatever_form_it_has(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_class_map(tmp_path / name) == {"wolf": "dog", "sky": ""}


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("map.csv", b"a,b,c", "row 1 is not an old name and a new one"),
        ("map.csv", b"a,b\n,c", "row 2 is not"),
        ("map.csv", b"a,b\na,c", "'a' is mapped twice"),
        ("map.csv", b"a\xff,b", "not UTF-8"),
        ("map.csv", b"x" * (1 << 20) + b",y", "more than 1 MiB"),
        ("map.csv", b"".join(b"%d,x\n" % number for number in range(1025)), "1,025 classes are mapped"),
        ("map.json", b'{"a": 1}', "no json object of names"),
        ("map.json", b"[" * 100_000, "no json object of names"),
    ],
)
def test_a_file_that_is_no_mapping_is_wrong_usage(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(click.UsageError, match=sentence):
        read_class_map(tmp_path / name)


def test_a_mapping_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="No such file"):
        read_class_map(tmp_path / "nothing.csv")
