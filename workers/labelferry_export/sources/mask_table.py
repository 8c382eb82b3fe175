"""The table in a bundle that says which object, of which class, a number of a mask is."""

import csv
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.paths import inside, open_plain
from labelferry_protocol.errors import Code

BUNDLE = "annotations/instance_masks/"
TABLE = f"{BUNDLE}objects.csv"
COLUMNS = ("file", "value", "object_id", "category_id", "category")
MAX_LINE = 1 << 20

Said = dict[int, tuple[int, str]]
"""What the numbers of a mask are: an object's id, and its class."""


def classes_in_table(root: Path) -> list[str]:
    """Return the classes that the table of the bundle at `root` names, each once, by name."""
    return sorted({category for _, _, _, category in _rows(root)})


def said_in_table(root: Path) -> Iterator[tuple[str, Said]]:
    """Yield what the table says of each mask, mask by mask as they come."""
    for file, rows in itertools.groupby(_rows(root), key=lambda row: row[0]):
        yield file, {value: (number, category) for _, value, number, category in rows}


def _rows(root: Path) -> Iterator[tuple[str, int, int, str]]:
    """Yield file, value, object id and class from the table of a bundle; raise `ExportError` for a row that is none."""
    try:
        with os.fdopen(open_plain(inside(root, TABLE)), encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(iter(lambda: file.readline(MAX_LINE), ""))
            if tuple(next(rows, ())) != COLUMNS:
                raise ExportError(Code.SOURCE, f"{TABLE} has not the columns {', '.join(COLUMNS)}", TABLE)
            for name, value, number, _, category in rows:
                yield f"{BUNDLE}{name}", int(value), int(number), category
    except (csv.Error, ValueError, OSError) as error:
        raise ExportError(Code.SOURCE, f"{TABLE} cannot be read: {error}", TABLE) from None
