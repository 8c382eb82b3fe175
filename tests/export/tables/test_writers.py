"""Tables as CSV, workbook and JSON: the same numbers in each, the same bytes each time."""

import csv
import gc
import io
import json
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from labelferry_export.errors import ExportError
from labelferry_export.model import Category, Image, Instance
from labelferry_export.tables import Measurements, find, known
from labelferry_export.tables.columns import Kind
from labelferry_export.tables.csv_table import line_of
from labelferry_protocol.errors import Code

Points = Sequence[tuple[float, float]]
Box = Callable[[float, float, float, float], Points]
MakeObject = Callable[..., Instance]
MakeImage = Callable[..., Image]
Measure = Callable[..., Measurements]
Written = Callable[[str, Measurements], Any]


def read_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def read_xlsx(data: bytes) -> dict[str, list[tuple[Any, ...]]]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {sheet.title: [tuple(cell.value for cell in row) for row in sheet] for sheet in book}


@pytest.fixture
def measured(measure: Measure, make_object: MakeObject, make_image: MakeImage, box: Box) -> Measurements:
    objects = [
        make_object(5, box(10, 10, 90, 90)),
        make_object(7, box(100, 10, 160, 50), box(110, 20, 130, 40), category_id=2, attributes={"score": 0.5}),
    ]
    categories = [Category(1, "=cmd|' /C calc'!A0"), Category(2, 'a "b", c\nd')]
    return measure([(make_image(), objects), (make_image(2, "-1.png"), [])], categories, scale=0.1)


def test_csv_xlsx_and_json_hold_the_same_numbers(measured: Measurements, written: Written) -> None:
    texts = written("csv", measured).files
    sheets = read_xlsx(written("xlsx", measured).files["metrics/metrics.xlsx"])
    parsed = json.loads(written("json", measured).files["metrics/metrics.json"])
    for table in measured.tables:
        headers = [column.header(True) for column in table.columns]
        lines = read_csv(texts[f"metrics/{table.name}.csv"])
        header, *rows = sheets[table.name]
        assert list(header) == headers
        assert len(lines) == len(rows) == len(parsed[table.name])
        for line, row, record in zip(lines, rows, parsed[table.name], strict=True):
            assert list(record) == list(line) == headers
            for column, cell in zip(table.columns, row, strict=True):
                text, value = line[column.header(True)], record[column.header(True)]
                if column.kind in (Kind.TEXT, Kind.ATTRIBUTES):
                    continue
                if value is None:
                    assert text == ""
                    assert cell is None
                else:
                    assert isinstance(cell, int | float)
                    assert float(text) == cell == value


def test_they_yield_how_many_objects_were_written(measured: Measurements, written: Written) -> None:
    assert [written(name, measured).objects for name in known()] == [2, 2, 2]


@pytest.mark.parametrize("name", ["csv", "json", "xlsx"])
def test_the_same_tables_give_the_same_bytes(measured: Measurements, written: Written, name: str) -> None:
    assert written(name, measured).files == written(name, measured).files


def test_a_quantity_that_is_not_defined_is_empty_and_never_0(measured: Measurements, written: Written) -> None:
    files = written("csv", measured).files
    assert read_csv(files["metrics/objects.csv"])[0]["orientation_rad"] == ""
    empty_image = read_csv(files["metrics/images.csv"])[1]
    assert empty_image["objects"] == "0"
    assert empty_image["area_mean_um2"] == empty_image["feret_max_std_um"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_text_in_csv_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    (row,) = csv.reader(io.StringIO(line_of([text]).decode(), newline=""))
    assert row == [f"'{text}"]


def test_a_negative_number_in_csv_stays_a_number() -> None:
    assert line_of([-1.5, -2, "-2"]) == b"-1.5,-2,'-2\r\n"


def test_quotes_commas_and_line_ends_in_csv_are_read_back(measured: Measurements, written: Written) -> None:
    lines = read_csv(written("csv", measured).files["metrics/objects.csv"])
    assert lines[1]["class"] == 'a "b", c\nd'
    assert lines[0]["class"] == "'=cmd|' /C calc'!A0"


def test_csv_is_utf_8_with_lines_that_end_in_cr_lf() -> None:
    assert line_of(["naïve 😀", None, 0.1]) == "naïve 😀,,0.1\r\n".encode()


def test_text_in_a_workbook_is_text_whatever_it_begins_with(measured: Measurements, written: Written) -> None:
    book = openpyxl.load_workbook(io.BytesIO(written("xlsx", measured).files["metrics/metrics.xlsx"]))
    sheet = book["objects"]
    place = [cell.value for cell in sheet[1]].index("class") + 1
    cell = sheet.cell(2, place)
    assert (cell.value, cell.data_type) == ("=cmd|' /C calc'!A0", "s")
    assert sheet.freeze_panes == "A2"
    assert sheet.cell(1, 1).font.bold


def test_a_workbook_shows_rounded_what_it_holds_in_full(measured: Measurements, written: Written) -> None:
    book = openpyxl.load_workbook(io.BytesIO(written("xlsx", measured).files["metrics/metrics.xlsx"]))
    sheet = book["objects"]
    place = [cell.value for cell in sheet[1]].index("feret_max_um") + 1
    assert sheet.cell(2, place).number_format == "0.000"
    assert sheet.cell(2, place).value == pytest.approx(11.3137085, abs=1e-7)
    assert len(str(sheet.cell(2, place).value)) > 12


def test_every_column_is_explained_with_its_unit(measured: Measurements, written: Written) -> None:
    header, *rows = read_xlsx(written("xlsx", measured).files["metrics/metrics.xlsx"])["columns"]
    assert header == ("table", "column", "title", "unit", "definition")
    units = {(row[0], row[1]): row[3] for row in rows}
    assert units["objects", "area_um2"] == "um2"
    assert units["objects", "circularity"] is None
    explained = {(table.name, column.header(True)) for table in measured.tables[:-1] for column in table.columns}
    assert set(units) == explained


def test_characters_that_xml_cannot_hold_are_escaped(
    measure: Measure, make_object: MakeObject, make_image: MakeImage, box: Box, written: Written
) -> None:
    name = "a\x00b\x1b <&> _x0041_ c"
    measured = measure([(make_image(), [make_object(1, box(0, 0, 9, 9))])], [Category(1, name)])
    sheets = read_xlsx(written("xlsx", measured).files["metrics/metrics.xlsx"])
    assert sheets["objects"][1][4] == "a_x0000_b_x001B_ <&> _x005F_x0041_ c"


def test_a_sheet_that_is_full_goes_on_in_another(
    measure: Measure,
    make_object: MakeObject,
    make_image: MakeImage,
    box: Box,
    written: Written,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("labelferry_export.tables.workbook.MAX_ROWS", 4)
    monkeypatch.setattr("labelferry_export.tables.rowfile.BLOCK_ROWS", 5)
    objects = [make_object(number, box(0, 0, 9, 9)) for number in range(1, 9)]
    measured = measure([(make_image(), objects)])
    sheets = read_xlsx(written("xlsx", measured).files["metrics/metrics.xlsx"])
    assert list(sheets)[:4] == ["objects", "objects_2", "objects_3", "images"]
    for name, ids in (("objects", [1, 2, 3]), ("objects_2", [4, 5, 6]), ("objects_3", [7, 8])):
        assert sheets[name][0][0] == "object_id"
        assert [row[0] for row in sheets[name][1:]] == ids


def test_a_text_too_long_for_a_cell_is_cut_with_a_finding(
    measure: Measure, make_object: MakeObject, make_image: MakeImage, box: Box, written: Written
) -> None:
    name = "😀" * 20_000
    measured = measure([(make_image(), [make_object(1, box(0, 0, 9, 9))])], [Category(1, name)])
    kept = written("xlsx", measured)
    assert read_xlsx(kept.files["metrics/metrics.xlsx"])["objects"][1][4] == "😀" * 16_383
    assert [warn.code for warn in kept.warnings] == ["format-loss", "format-loss"]
    assert "class in row 2" in kept.warnings[0].message
    assert name.encode() in written("csv", measured).files["metrics/objects.csv"]


def test_json_tells_the_scale_and_holds_attributes_as_they_are(measured: Measurements, written: Written) -> None:
    parsed = json.loads(written("json", measured).files["metrics/metrics.json"])
    assert parsed["scale_um_per_px"] == 0.1
    assert [each["attributes"] for each in parsed["objects"]] == [{}, {"score": 0.5}]


@pytest.mark.parametrize("name", ["csv", "json", "xlsx"])
def test_a_project_without_images_gives_tables_with_headers_alone(
    measure: Measure, written: Written, name: str
) -> None:
    files = written(name, measure([], [])).files
    assert files
    if name == "json":
        assert json.loads(files["metrics/metrics.json"])["objects"] == []
    if name == "xlsx":
        assert len(read_xlsx(files["metrics/metrics.xlsx"])["objects"]) == 1


@pytest.mark.parametrize("name", ["csv", "json", "xlsx"])
def test_a_writer_can_be_stopped_after_any_block(
    measure: Measure,
    make_object: MakeObject,
    make_image: MakeImage,
    box: Box,
    keep: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr("labelferry_export.tables.rowfile.BLOCK_ROWS", 1)
    images = [(make_image(n, f"{n}.png"), [make_object(n, box(0, 0, 9, 9))]) for n in range(1, 6)]
    measured = measure(images)
    blocks = sum(1 for _ in find(name).write(keep(), measured))
    assert blocks > 10
    for stop in range(blocks):
        writing = find(name).write(keep(), measured)
        for _ in range(stop):
            next(writing)
        assert isinstance(writing, Generator)
        writing.close()
        gc.collect()


def test_an_unknown_writer_is_a_usage_error_that_names_the_known_ones() -> None:
    with pytest.raises(ExportError, match="choose from csv, json, xlsx") as raised:
        find("parquet")
    assert raised.value.code is Code.USAGE


def test_every_file_of_a_writer_here_is_known_by_its_name() -> None:
    folder = Path(__import__("labelferry_export.tables").tables.__file__).parent
    assert set(known()) >= {path.name.removesuffix("_table.py") for path in folder.glob("*_table.py")}
