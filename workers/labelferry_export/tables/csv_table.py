"""The tables as csv: a file each, RFC 4180, UTF-8 without a byte order mark, lines that end in CR LF, a header, full precision.

An empty cell is a quantity that is not defined. Text that a spreadsheet would take for a formula has an apostrophe before it; numbers
are never changed.
"""

import re
from collections.abc import Iterator

from labelferry_export.format import Cost
from labelferry_export.tables.columns import Cell, Row
from labelferry_export.tables.measuring import Measurements
from labelferry_export.tables.writer import FOLDER, MetricWriter, Target

LINE_END = "\r\n"

_FORMULA = re.compile(r"[=+\-@\t\r]")
_QUOTED = re.compile(r'[",\r\n]')


def write(target: Target, measurements: Measurements) -> Iterator[int]:
    """Write `objects.csv`, `images.csv`, `classes.csv` and `columns.csv`."""
    for table in measurements.tables:
        with target.open(f"{FOLDER}/{table.name}.csv") as file:
            file.write(line_of([column.header(measurements.scaled) for column in table.columns]))
            for block in table.rows:
                file.write(b"".join(map(line_of, block)))
                yield len(block) if table.name == "objects" else 0


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
    cost=Cost(image=0.03, object=0.016),
    write=write,
)
