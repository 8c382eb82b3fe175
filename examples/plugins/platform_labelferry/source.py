"""A platform's own database as a source: SQLite here, with the image files in a folder beside it.

The tables: class(id, name), image(id, file, width, height, well), object(id, image, class, outline, score); `outline` is json, a list of
rings, each a list of x, y, x, y, ... in pixels.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from labelferry_export.errors import ExportError
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Reads, Sink
from labelferry_protocol.errors import Code

TABLES = {"class", "image", "object"}
SQLITE = b"SQLite format 3\0"
ROWS_PER_STEP = 200


class PlatformSource:
    """Reads `*.db` of the platform. labelferry makes one without arguments, and gives it a path that the worker may read."""

    name = "platform"
    title = "the platform's database"
    looks_for = "a file .db with the tables class, image and object"
    reads = Reads(holes="no", parts="several rings", crowds="no", attributes="score; well of images", ids="kept")

    def recognises(self, path: Path) -> bool:
        """Whether the file is one of the platform's. Reads little, and never raises."""
        try:
            if path.suffix != ".db" or not path.is_file():
                return False
            with path.open("rb") as file:
                if file.read(len(SQLITE)) != SQLITE:
                    return False
            with closing(_opened(path)) as database:
                rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                return {name for (name,) in rows} >= TABLES
        except (OSError, sqlite3.Error):
            return False

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """Tell the sink all of it: classes, then images, then objects. Ids that point nowhere are the sink's business."""
        try:
            with closing(_opened(path)) as database:
                yield from _told(database, path, sink)
        except sqlite3.Error as error:
            raise ExportError(Code.SOURCE, f"{path.name} cannot be read: {error}", path.name) from error


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _told(database: sqlite3.Connection, path: Path, sink: Sink) -> Iterator[float]:
    sink.begin(FoundProject(path.stem, path.parent))
    for number, name in database.execute("SELECT id, name FROM class ORDER BY id"):
        sink.add_category(FoundCategory(number, name))
    for number, file, width, height, well in database.execute(
        "SELECT id, file, width, height, well FROM image ORDER BY id"
    ):
        attributes = {"well": well} if well else {}
        sink.add_image(FoundImage(number, file, width=width, height=height, id=number, attributes=attributes))
        yield 0.1
    (total,) = database.execute("SELECT count(*) FROM object").fetchone()
    rows = database.execute("SELECT id, image, class, outline, score FROM object ORDER BY image, id")
    for turn, (number, image, category, outline, score) in enumerate(rows):
        # Whatever is wrong with an outline is found, repaired or reported by labelferry: a source hands on what it has.
        parts = tuple(Part(np.asarray(ring, np.float64).reshape(-1, 2)) for ring in json.loads(outline))
        label = f"object {number} of the platform"
        sink.add_object(
            FoundObject(
                image, category, Shape(parts), label, id=number, attributes={} if score is None else {"score": score}
            )
        )
        if turn % ROWS_PER_STEP == 0:
            yield 0.1 + 0.9 * turn / total
