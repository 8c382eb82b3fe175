"""The tables as one workbook: a sheet each, the one that explains the columns last. Numbers keep full precision and are shown rounded."""

from collections.abc import Iterator

from labelferry_export.findings import Finding, Loss, Warn
from labelferry_export.format import Cost
from labelferry_export.tables.columns import Column, Kind
from labelferry_export.tables.measuring import Measurements, Table
from labelferry_export.tables.workbook import MAX_CHARACTERS, Sheet, SheetColumn, Workbook
from labelferry_export.tables.writer import FOLDER, MetricWriter, OpenFile, Target

NAME = "xlsx"
PLAIN = "General"
SHOWN_AS: dict[Kind, str] = {
    Kind.ID: "0",
    Kind.COUNT: "0",
    Kind.PIXELS: "0.0##",
    Kind.LENGTH: "0.000",
    Kind.AREA: "0.000",
    Kind.RATIO: "0.0000",
    Kind.ANGLE: "0.0000",
}
"""How numbers are shown; the cells hold them in full. Text is shown as it is."""
LEAST_WIDTH, MOST_WIDTH, TEXT_WIDTH = 9, 40, 24
"""Of a column, in characters."""


def write(target: Target, measurements: Measurements) -> Iterator[int]:
    """Write `metrics.xlsx`."""
    with target.open(f"{FOLDER}/metrics.xlsx") as file:
        workbook = Workbook(tuple(dict.fromkeys((*SHOWN_AS.values(), PLAIN))))
        try:
            for table in measurements.tables:
                yield from _write_table(target, file, workbook, table, measurements.scaled)
            workbook.close()
            file.write(workbook.take())
        finally:
            workbook.abandon()


def _write_table(target: Target, file: OpenFile, workbook: Workbook, table: Table, scaled: bool) -> Iterator[int]:
    """Write a table's sheet, and further ones, `objects_2` and so on, when it is full."""
    columns = [_sheet_column(column, scaled) for column in table.columns]
    number = 1
    sheet = workbook.sheet(table.name, columns)
    for block in table.rows:
        at = 0
        while at < len(block):
            if sheet.full:
                _end(target, sheet, table, number)
                number += 1
                sheet = workbook.sheet(f"{table.name}_{number}", columns)
            rows = block[at : at + sheet.room]
            sheet.add(rows)
            at += len(rows)
        file.write(workbook.take())
        yield len(block) if table.name == "objects" else 0
    _end(target, sheet, table, number)
    file.write(workbook.take())


def _end(target: Target, sheet: Sheet, table: Table, number: int) -> None:
    sheet.close()
    if not sheet.cut:
        return
    row, place = sheet.cut[0]
    name = table.name if number == 1 else f"{table.name}_{number}"
    message = (
        f"metrics.xlsx, sheet {name}: {len(sheet.cut)} texts were cut to {MAX_CHARACTERS} characters, the most a cell can hold; "
        f"the first is {table.columns[place].key} in row {row + 1}. The csv and json tables hold them whole"
    )
    target.report(Warn(code=Finding.FORMAT_LOSS, message=message, format=NAME, loss=Loss.REDUCED))


def _sheet_column(column: Column, scaled: bool) -> SheetColumn:
    header = column.header(scaled)
    text = column.kind in (Kind.TEXT, Kind.ATTRIBUTES)
    width = max(len(header) + 2, TEXT_WIDTH if text else LEAST_WIDTH)
    return SheetColumn(header, SHOWN_AS.get(column.kind, PLAIN), min(width, MOST_WIDTH))


WRITER = MetricWriter(
    name=NAME,
    title="Tables as an Excel workbook",
    usage=(
        "`metrics/metrics.xlsx` opens in Excel, LibreOffice and pandas: the sheets `objects`, `images` and `classes`, and "
        "`columns`, which says what every column is and its unit. Cells hold full precision and show it rounded."
    ),
    cost=Cost(image=0.05, object=0.035),
    write=write,
)
