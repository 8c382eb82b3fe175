"""The tables as one workbook: a sheet each, the one that explains the columns last. Numbers keep full precision and are shown rounded."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from labelferry_export.findings import Finding, Loss, Warn
from labelferry_export.format import Cost
from labelferry_export.lanes.task import Piece, Span
from labelferry_export.tables import workbook
from labelferry_export.tables.columns import Column, Kind, Row
from labelferry_export.tables.measuring import Measurements, Table
from labelferry_export.tables.recounts import XlsxRecount
from labelferry_export.tables.rowfile import RowFile, rows_in
from labelferry_export.tables.sheet_rows import MAX_CHARACTERS, RowForm
from labelferry_export.tables.small_zip import Part
from labelferry_export.tables.workbook import SheetColumn, Workbook
from labelferry_export.tables.writer import FOLDER, MetricWriter, Target

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


class MadeRows(msgspec.Struct, frozen=True, array_like=True):
    """Rows as xml, packed: the size and crc of the xml, the number of the first row, how many, and the cells whose text was cut."""

    packed: bytes
    size: int
    crc: int
    number: int
    count: int
    cut: list[tuple[int, int]]


class SheetRows(msgspec.Struct, frozen=True):
    """The task of making xml of the rows in a file, for a sheet of its own; see `RowForm` for `styles` and `texts`."""

    path: str
    styles: tuple[int, ...]
    texts: tuple[int, ...]

    def __call__(self, span: Span) -> Iterator[Piece]:
        """Yield `MadeRows`. Where a sheet ends within them, or was full early, they are not of use."""
        number = span.first % (workbook.MAX_ROWS - 1) + 2
        xml, cut = RowForm(self.styles, self.texts).xml_of(rows_in(Path(self.path), span), number)
        part = Part.of(xml)
        made = MadeRows(part.packed, part.size, part.crc, number, span.count, cut)
        yield Piece(_encode(made), span.count)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(MadeRows).decode


def write(target: Target, measurements: Measurements) -> Iterator[int]:
    """Write `metrics.xlsx`."""
    with target.open(f"{FOLDER}/metrics.xlsx") as file:
        book = Workbook(tuple(dict.fromkeys((*SHOWN_AS.values(), PLAIN))))
        for table in measurements.tables:
            sheets = _Sheets(book, table, measurements.scaled)
            for rows in sheets.fill(target):
                file.write(book.take())
                yield rows if table.name == "objects" else 0
            for warn in sheets.findings:
                target.report(warn)
        book.close()
        file.write(book.take())


class _Sheets:
    """A table's sheet, and further ones, `objects_2` and so on, when it is full."""

    def __init__(self, book: Workbook, table: Table, scaled: bool) -> None:
        self._book = book
        self._table = table
        self._columns = [_sheet_column(column, scaled) for column in table.columns]
        self._number = 1
        self._sheet = book.sheet(table.name, self._columns, table.texts)
        self.findings: list[Warn] = []

    def fill(self, target: Target) -> Iterator[int]:
        """Write all rows; yields how many, block by block."""
        if self._table.file is None:
            for block in self._table.rows:
                self._add(block)
                yield len(block)
        else:
            yield from self._fill_from(self._table.file, target)
        self._end()
        yield 0

    def _fill_from(self, file: RowFile, target: Target) -> Iterator[int]:
        task = SheetRows(str(file.path), self._book.styles_of(self._columns), self._table.texts)
        for span, pieces in target.spread_spans(task, file.spans()):
            for piece in pieces:
                if piece is None:
                    yield 0
                    continue
                made = _decode(piece.data)
                if self._sheet.full:
                    self._next()
                if made.number == self._sheet.rows + 1 and made.count <= self._sheet.room:
                    self._sheet.add_made(Part(made.packed, made.size, made.crc), made.count, made.cut)
                else:
                    self._add(rows_in(file.path, span))
                yield piece.objects

    def _add(self, block: list[Row]) -> None:
        at = 0
        while at < len(block):
            if self._sheet.full:
                self._next()
            rows = block[at : at + self._sheet.room]
            self._sheet.add(rows)
            at += len(rows)

    def _next(self) -> None:
        self._end()
        self._number += 1
        self._sheet = self._book.sheet(f"{self._table.name}_{self._number}", self._columns, self._table.texts)

    def _end(self) -> None:
        self._sheet.close()
        if self._sheet.cut:
            name = self._table.name if self._number == 1 else f"{self._table.name}_{self._number}"
            self.findings.append(_cut_finding(self._sheet.cut, name, self._table))


def _cut_finding(cut: list[tuple[int, int]], name: str, table: Table) -> Warn:
    row, place = cut[0]
    message = (
        f"metrics.xlsx, sheet {name}: {len(cut)} texts were cut to {MAX_CHARACTERS} characters, the most a cell can hold; "
        f"the first is {table.columns[place].key} in row {row + 1}. The csv and json tables hold them whole"
    )
    return Warn(code=Finding.FORMAT_LOSS, message=message, format=NAME, loss=Loss.REDUCED)


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
    cost=Cost(image=0.06, object=0.019),
    write=write,
    recount=XlsxRecount,
)
