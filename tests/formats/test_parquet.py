"""Parquet, read back by `datasets`, PyArrow and pandas: the original bytes, classes by name, groups of rows of a bounded size."""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet
import pycocotools.mask as reference
import pytest

from labelferry_export.check import check
from labelferry_export.errors import ExportError
from labelferry_export.formats import parquet
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

# Arrow and pycocotools are at odds with NumPy 2's deprecations; nothing of ours is looked away from.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

Load = Callable[..., Any]


def test_datasets_shows_images_and_the_names_of_classes(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path], load_dataset: Load
) -> None:
    folder = unzip(export(odd_project, formats=("parquet",)))
    rows = load_dataset(str(folder / "annotations/parquet"))["train"]
    assert rows.features["objects"]["category"].feature.names == ["cell", 'yes: # <no> & "q"']
    assert [row["file_name"] for row in rows] == ["a.png", "b.c.png", "empty.png", "ship 🚢.png"]
    assert [row["objects"]["id"] for row in rows] == [[1, 2, 3], [4], [], [5]]
    assert rows[0]["objects"]["area"] == [100, 28, 295]
    assert rows[3]["objects"]["iscrowd"] == [1]
    assert all(row["image"].size == (40, 30) for row in rows)


def test_the_bytes_of_an_image_are_the_originals(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(odd_project, formats=("parquet",), images=False))
    table = pd.read_parquet(folder / "annotations/parquet/train.parquet")
    digests = {hashlib.sha256(path.read_bytes()).digest() for path in odd_project.rglob("*.png")}
    assert {hashlib.sha256(each["bytes"]).digest() for each in table["image"]} == digests


def test_run_lengths_are_those_that_pycocotools_reads(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path], load_dataset: Load
) -> None:
    options = {"parquet": {"segmentation": "rle", "images": False}}
    folder = unzip(export(odd_project, formats=("parquet",), format_options=options))
    row = load_dataset(str(folder / "annotations/parquet"))["train"][0]
    assert "image" not in row
    for area, mask in zip(row["objects"]["area"], row["objects"]["segmentation"], strict=True):
        assert int(reference.area(mask)) == area
    assert "bridges" not in (folder / "README.md").read_text().split("## Warnings")[-1]


def test_every_split_is_a_table_under_the_name_the_card_says(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path], load_dataset: Load
) -> None:
    folder = unzip(export(make_project(6), formats=("parquet",), split={"left": 0.5, "right": 0.5}))
    splits = load_dataset(str(folder / "annotations/parquet"))
    assert sorted(splits) == ["left", "right"]
    assert sum(len(rows) for rows in splits.values()) == 6


def test_groups_of_rows_are_bounded_by_rows_and_by_bytes(
    make_project: Callable[..., Path],
    export: Callable[..., Path],
    unzip: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = make_project(7)
    monkeypatch.setattr(parquet, "ROWS_OF_A_GROUP", 3)
    folder = unzip(export(project, formats=("parquet",)))
    assert _groups(folder) == [3, 3, 1]
    monkeypatch.setattr(parquet, "BYTES_OF_A_GROUP", 1)
    folder = unzip(export(project, formats=("parquet",)))
    assert _groups(folder) == [1] * 7


def _groups(folder: Path) -> list[int]:
    with pyarrow.parquet.ParquetFile(folder / "annotations/parquet/train.parquet") as file:
        return [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]


def test_edge_case_22_the_same_project_makes_the_same_bytes(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    tables = [unzip(export(odd_project, formats=("parquet",))) / "annotations/parquet/train.parquet" for _ in range(2)]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_a_project_without_images_after_a_selection_makes_a_table_without_rows(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    project = make_project(1)
    folder = unzip(export(project, formats=("parquet",), split={"most": 0.999, "none": 0.001}))
    sizes = {path.stem: len(pd.read_parquet(path)) for path in folder.glob("annotations/parquet/*.parquet")}
    assert sorted(sizes.values()) == [0, 1]


def test_without_pyarrow_the_format_is_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert importlib.util.find_spec("pyarrow") is None
    with pytest.raises(ExportError, match=r"pip install 'labelferry\[parquet\]'") as caught:
        check(ExportOptions(formats=("parquet",)))
    assert caught.value.code is Code.USAGE
    check(ExportOptions(formats=("coco",)))


def test_the_schema_says_the_features_in_words_that_old_and_new_readers_know() -> None:
    types = json.loads(parquet.schema_of(parquet.features([], "polygons", images=True)).metadata[b"huggingface"])
    assert types["info"]["features"]["image"] == {"_type": "Image"}
    assert types["info"]["features"]["objects"]["id"] == {
        "feature": {"dtype": "int64", "_type": "Value"},
        "_type": "Sequence",
    }
