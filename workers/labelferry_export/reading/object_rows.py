"""The objects in a snapshot's file: written in batches as they are found, settled image by image. A row is a block of one image's objects."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from labelferry_export.geometry.ring import Flags, Integers
from labelferry_export.instances import Columns
from labelferry_export.model import LARGEST_ID
from labelferry_export.packing import pack, unpack

SCHEMA = """
CREATE TABLE objects(image INTEGER, block BLOB);
CREATE INDEX objects_of_image ON objects(image);
CREATE TABLE id_taken(id INTEGER PRIMARY KEY);
CREATE TABLE numberless(turn INTEGER PRIMARY KEY, image INTEGER);
"""
OBJECTS_OF_A_ROW = 4096
"""A row that is settled holds at most so many: what a database takes as one value is bounded."""
FEW_OBJECTS_OF_A_ROW = 256
"""Where rows hold fewer than so many on average, they are put together."""


class ObjectRows:
    """The rows of one file. Until `renumber`, an object without a number of its own has one below 0."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._highest = 0
        """Of the ids that were taken."""
        self._numberless = 0
        self._above = 0
        self.have_attributes = False
        """Whether any object has."""

    def add(self, columns: Columns, positions: Integers) -> None:
        """Add objects to the images at `positions`, (n,). Ids that are no numbers to keep, or taken, are not kept.

        An object at position 0 is passed over: only its id is taken, or its turn among those without.
        """
        if not len(columns):
            return
        kept = (columns.ids >= 1) & (columns.ids <= LARGEST_ID)
        kept[kept] = self._take(columns.ids[kept])
        if not kept.all():
            turns = self._numberless + np.arange(1, 1 + np.count_nonzero(~kept))
            self._numberless += len(turns)
            rows = zip(turns.tolist(), positions[~kept].tolist(), strict=True)
            self._connection.executemany("INSERT INTO numberless VALUES (?, ?)", rows)
            ids = columns.ids.copy()
            ids[~kept] = -turns
            columns = replace(columns, ids=ids)
        if not positions.all() or (np.diff(positions) < 0).any():
            order = np.argsort(positions, kind="stable")
            order = order[positions[order] > 0]
            columns, positions = columns.taken(order), positions[order]
        if not len(columns):
            return
        self.have_attributes |= columns.attributes is not None
        cuts = [0, *(np.flatnonzero(np.diff(positions)) + 1).tolist(), len(positions)]
        self._insert(positions[cuts[:-1]].tolist(), pack(columns, cuts))

    def renumber(self, above: int) -> Iterator[tuple[int, str]]:
        """Give every object without a number of its own one above `above`; yield it and its image's name, where it is exported."""
        self._above = above
        query = "SELECT turn, name FROM numberless JOIN image ON position = image ORDER BY turn"
        for turn, name in self._connection.execute(query):
            yield above + turn, name

    def of(self, position: int) -> tuple[Columns, bool]:
        """Return the objects of an image by id, and whether they are stored just so."""
        blocks = blocks_of(self._connection, position)
        columns = Columns.joined([unpack(block) for block in blocks])
        stored = len(blocks) <= 1 + len(columns) // FEW_OBJECTS_OF_A_ROW
        low = columns.ids < 0
        if low.any():
            columns, stored = replace(columns, ids=np.where(low, self._above - columns.ids, columns.ids)), False
        if not _ascend(columns.ids):
            columns, stored = columns.taken(np.argsort(columns.ids)), False
        return columns, stored

    def put(self, position: int, columns: Columns) -> None:
        """Put these in the place of an image's objects."""
        self.remove(position)
        cuts = [*range(0, len(columns), OBJECTS_OF_A_ROW), len(columns)]
        self._insert([position] * (len(cuts) - 1), pack(columns, cuts))

    def remove(self, position: int) -> None:
        """Remove the objects of an image."""
        self._connection.execute("DELETE FROM objects WHERE image = ?", (position,))

    def _insert(self, positions: Sequence[int], blocks: Iterator[bytes]) -> None:
        self._connection.executemany("INSERT INTO objects VALUES (?, ?)", zip(positions, blocks, strict=True))

    def _take(self, ids: Integers) -> Flags:
        """Return which of these ids were free, (n,); they are taken now."""
        insert = "INSERT OR IGNORE INTO id_taken VALUES (?)"
        if len(ids) and ids[0] > self._highest and _ascend(ids):
            self._highest = int(ids[-1])
            self._connection.executemany(insert, ((number,) for number in ids.tolist()))
            return np.ones(len(ids), np.bool_)
        self._highest = max(self._highest, int(ids.max(initial=0)))
        return np.array(
            [self._connection.execute(insert, (number,)).rowcount == 1 for number in ids.tolist()], np.bool_
        )


def blocks_of(connection: sqlite3.Connection, position: int) -> list[bytes]:
    """Return the blocks of an image's objects, in order."""
    rows = connection.execute("SELECT block FROM objects WHERE image = ? ORDER BY rowid", (position,))
    return [block for (block,) in rows]


def _ascend(ids: Integers) -> bool:
    return bool((np.diff(ids) > 0).all())
