"""A metric table of one's own: the classes as a table in markdown, for a report."""

from collections.abc import Iterator

from labelferry_export.format import Cost
from labelferry_export.tables.measuring import Measurements
from labelferry_export.tables.writer import FOLDER, MetricWriter, Target

SHOWN = ("class", "objects", "area_mean", "circularity_mean")


def write(target: Target, measurements: Measurements) -> Iterator[int]:
    """Write `classes.md`; yields how many objects were among the rows, which are none here."""
    (classes,) = (table for table in measurements.tables if table.name == "classes")
    places = [index for index, column in enumerate(classes.columns) if column.key in SHOWN]
    with target.open(f"{FOLDER}/classes.md") as file:
        headers = [classes.columns[place].header(measurements.scaled) for place in places]
        file.write(_line(headers) + _line(["---"] * len(places)))
        for block in classes.rows:
            for row in block:
                file.write(_line([_cell(row[place]) for place in places]))
            yield 0


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _line(cells: list[str]) -> bytes:
    return f"| {' | '.join(cells)} |\n".encode()


WRITER = MetricWriter(
    name="markdown",
    title="Classes as a markdown table",
    usage="`metrics/classes.md` is a table to paste into a report.",
    cost=Cost(image=0.01, object=0.001),
    write=write,
)
