"""The tables as one json file: an array of objects a table, keys as the headers of the csv files, null where nothing is defined."""

from collections.abc import Iterator

import msgspec

from labelferry_export.format import Cost
from labelferry_export.tables.columns import Kind, Row
from labelferry_export.tables.measuring import Measurements, Table
from labelferry_export.tables.recounts import JsonRecount
from labelferry_export.tables.writer import FOLDER, MetricWriter, Target

VERSION = 1
"""Of this file's form: columns are added, never changed."""

_encode = msgspec.json.Encoder().encode


def write(target: Target, measurements: Measurements) -> Iterator[int]:
    """Write `metrics.json`."""
    with target.open(f"{FOLDER}/metrics.json") as file:
        head = {"labelferry_metrics": VERSION, "scale_um_per_px": measurements.scale}
        file.write(_encode(head)[:-1])
        for table in measurements.tables:
            file.write(b',\n"%b":[' % table.name.encode())
            comma = b"\n"
            for block in table.rows:
                file.write(comma + b",\n".join(_records(table, block, measurements.scaled)))
                comma = b",\n"
                yield len(block) if table.name == "objects" else 0
            file.write(b"]")
        file.write(b"}\n")


def _records(table: Table, rows: list[Row], scaled: bool) -> Iterator[bytes]:
    headers = [column.header(scaled) for column in table.columns]
    nested = [index for index, column in enumerate(table.columns) if column.kind is Kind.ATTRIBUTES]
    for row in rows:
        record: dict[str, object] = dict(zip(headers, row, strict=True))
        for index in nested:
            record[headers[index]] = msgspec.Raw(str(row[index]).encode()) if row[index] is not None else {}
        yield _encode(record)


WRITER = MetricWriter(
    name="json",
    title="Tables as json",
    usage=(
        "`metrics/metrics.json` holds the same tables as arrays of objects (`objects`, `images`, `classes`, `columns`); "
        "`null` where a quantity is not defined."
    ),
    cost=Cost(image=0.02, object=0.006),
    write=write,
    recount=JsonRecount,
)
