"""The index of a store: which entry lies where in which volume, and when a volume was used last. SQLite, shared by processes."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from labelferry_export.keeping.entry import Place

NAME = "index.sqlite"
PATIENCE = 1.0
"""Seconds to wait for another process that writes."""
_VOLUME = re.compile(r"[0-9a-f]{16}\.volume")
# A number is never given twice: whoever still writes a volume that was thrown out must not meet another one's.
_SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS volume(number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, bytes INTEGER, used REAL);
CREATE TABLE IF NOT EXISTS entry(key BLOB PRIMARY KEY, kind TEXT, volume INTEGER, start INTEGER, length INTEGER, digest BLOB)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_of_volume ON entry(volume);
"""


class Volume(NamedTuple):
    """A volume: its number, which no other ever has, and the name of its file."""

    number: int
    name: str


class Index:
    """The index in a folder, as one process sees it. Everything raises `sqlite3.Error` where it cannot be read or written.

    Rows that cannot be what was written (the file was damaged where SQLite does not see it) are taken out when they are met.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / NAME, timeout=PATIENCE, isolation_level=None)
        try:
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def find(self, key: bytes) -> tuple[Volume, Place] | None:
        """Return where an entry lies."""
        query = "SELECT number, name, start, length, digest FROM entry JOIN volume ON number = volume WHERE key = ?"
        row = self._connection.execute(query, (key,)).fetchone()
        if row is None:
            return None
        volume, place = Volume(*row[:2]), Place(*row[2:])
        if _can_be(volume.name) and _can_lie(*row[2:]):
            return volume, place
        self.forget(key, volume)
        return None

    def forget(self, key: bytes, volume: Volume) -> None:
        """Take an entry out."""
        self._connection.execute("DELETE FROM entry WHERE key = ? AND volume = ?", (key, volume.number))

    def touch(self, volume: Volume, now: float) -> None:
        """Say that a volume was used."""
        self._connection.execute("UPDATE volume SET used = ? WHERE number = ?", (now, volume.number))

    def begin(self, name: str, now: float) -> Volume:
        """Add a volume."""
        cursor = self._connection.execute("INSERT INTO volume(name, bytes, used) VALUES (?, 0, ?)", (name, now))
        return Volume(cursor.lastrowid or 0, name)

    def add(self, volume: Volume, entries: Sequence[tuple[bytes, str, Place]]) -> int:
        """Add entries that are whole in a volume, in the order they lie there; return how many are new: none where the volume is gone.

        Where one is there already, it stays.
        """
        with self._writing() as connection:
            last = entries[-1][2]
            update = "UPDATE volume SET bytes = ? WHERE number = ?"
            if connection.execute(update, (last.start + last.length, volume.number)).rowcount == 0:
                return 0
            rows = ((key, kind, volume.number, each.start, each.length, each.digest) for key, kind, each in entries)
            return connection.executemany("INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?, ?, ?)", rows).rowcount

    def holds(self, volume: Volume) -> bool:
        """Whether a volume is there still."""
        return (
            self._connection.execute("SELECT 1 FROM volume WHERE number = ?", (volume.number,)).fetchone() is not None
        )

    def oldest(self, but: int) -> Volume | None:
        """Return the volume that was used least recently and holds something, but for the one with this number."""
        query = "SELECT number, name FROM volume WHERE number <> ? AND bytes > 0 ORDER BY used, number LIMIT 1"
        while (row := self._connection.execute(query, (but,)).fetchone()) is not None:
            volume = Volume(*row)
            if _can_be(volume.name):
                return volume
            self.drop(volume)
        return None

    def drop(self, volume: Volume) -> None:
        """Take out a volume with all its entries."""
        with self._writing() as connection:
            connection.execute("DELETE FROM entry WHERE volume = ?", (volume.number,))
            connection.execute("DELETE FROM volume WHERE number = ?", (volume.number,))

    @property
    def bytes(self) -> int:
        """How much all volumes hold."""
        query = "SELECT coalesce(sum(bytes), 0) FROM volume WHERE typeof(bytes) = 'integer'"
        return int(self._connection.execute(query).fetchone()[0])

    def counts(self) -> dict[str, int]:
        """Return how many entries there are of each kind."""
        query = "SELECT kind, count(*) FROM entry WHERE typeof(kind) = 'text' GROUP BY kind"
        return dict(self._connection.execute(query))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _can_be(name: object) -> bool:
    """Whether this is a volume's name as a store gives it, so that it leads nowhere else."""
    return isinstance(name, str) and _VOLUME.fullmatch(name) is not None


def _can_lie(start: object, length: object, digest: object) -> bool:
    whole = isinstance(start, int) and isinstance(length, int) and start >= 0 and length >= 0
    return whole and isinstance(digest, bytes)
