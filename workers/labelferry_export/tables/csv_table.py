"""The tables as csv: a file each, RFC 4180, UTF-8 (with a byte order mark if wanted), lines that end in CR LF, a header, full precision.

An empty cell is a quantity that is not defined. Text that a spreadsheet would take for a formula has an apostrophe before it; numbers
are never changed.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from labelferry_export.bundle.packed import stretch
from labelferry_export.format import Cost, Option
from labelferry_export.lanes.task import Piece, Span
from labelferry_export.tables.columns import Cell, Row
from labelferry_export.tables.measuring import Measurements, Table
from labelferry_export.tables.numbers import said_numbers
from labelferry_export.tables.recounts import CsvRecount
from labelferry_export.tables.rowfile import rows_in
from labelferry_export.tables.writer import FOLDER, MetricWriter, OpenFile, Target

LINE_END = "\r\n"
MARK = b"\xef\xbb\xbf"
"""The byte order mark, by which Excel knows UTF-8."""

_FORMULA = re.compile(r"[=+\-@\t\r]")
_QUOTED = re.compile(r'[",\r\n]')


class CsvLines(msgspec.Struct, frozen=True):
    """The task of making lines of the rows in a file; `texts` are the places of columns of text."""

    path: str
    texts: tuple[int, ...]

    def __call__(self, span: Span) -> Iterator[Piece]:
        """Yield the lines, packed too."""
        data = lines_of(rows_in(Path(self.path), span), self.texts)
        yield Piece(data, span.count, packed=stretch(data))


def write(target: Target, measurements: Measurements) -> Iterator[int]:
    """Write `objects.csv`, `images.csv`, `classes.csv` and `columns.csv`."""
    for table in measurements.tables:
        with target.open(f"{FOLDER}/{table.name}.csv") as file:
            file.write(MARK if target.options["bom"] else b"")
            file.write(line_of([column.header(measurements.scaled) for column in table.columns]))
            for rows in _write_rows(target, file, table):
                yield rows if table.name == "objects" else 0


def _write_rows(target: Target, file: OpenFile, table: Table) -> Iterator[int]:
    if table.file is None:
        for block in table.rows:
            file.write(lines_of(block, table.texts))
            yield len(block)
        return
    task = CsvLines(str(table.file.path), table.texts)
    for _, pieces in target.spread_spans(task, table.file.spans()):
        for piece in pieces:
            if piece is not None:
                file.write_stretch(piece.data, piece.packed)
            yield piece.objects if piece is not None else 0


def lines_of(rows: Sequence[Row], texts: Sequence[int]) -> bytes:
    """Return rows as lines; in the columns `texts` is text, or nothing, in all others numbers, or nothing."""
    lines = []
    numbered = [place for place in range(len(rows[0])) if place not in texts] if rows else []
    for row in rows:
        cells = [b""] * len(row)
        for place, number in zip(numbered, said_numbers([row[place] for place in numbered]), strict=True):
            cells[place] = number
        for place in texts:
            cells[place] = _field(row[place]).encode(errors="replace")
        lines.append(b",".join(cells))
    return b"\r\n".join([*lines, b""])


def line_of(row: Row) -> bytes:
    """Return a row as a line."""
    return (",".join(map(_field, row)) + LINE_END).encode(errors="replace")


def _field(cell: Cell) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return repr(cell)
    # CWE-1236: what begins so is run by spreadsheets, or ends the cell for them.
    text = f"'{cell}" if _FORMULA.match(cell) else cell
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


WRITER = MetricWriter(
    name="csv",
    title="Tables as csv",
    usage=(
        "`metrics/objects.csv`, `images.csv` and `classes.csv` open in any spreadsheet, in R and in pandas "
        '(`pandas.read_csv("metrics/objects.csv")`); `columns.csv` says what every column is. A cell is empty where a quantity '
        "is not defined. Text that begins like a formula has an apostrophe before it."
    ),
    cost=Cost(image=0.05, object=0.014),
    write=write,
    recount=CsvRecount,
    options={"bom": Option(False, "begin each file with a byte order mark: Excel shows letters beyond ASCII rightly")},
)
