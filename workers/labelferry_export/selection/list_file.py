"""A file that lists what is to be exported: its entries, whichever form it has. What they mean: listed.py.

Text: an entry a line. `.csv` and `.tsv`: the column whose header is a known one; or the only column. `.json`: a list of entries, or of
objects that have one of the known keys. Blank lines and empty cells are skipped. UTF-8, with or without a byte order mark.
"""

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from labelferry_export.errors import ExportError
from labelferry_export.paths import check_access, open_plain
from labelferry_export.selection.words import listed
from labelferry_protocol.errors import Code

MOST_BYTES = 1 << 30
MOST_JSON_BYTES = 32 << 20
"""Json is held in memory as a whole."""
MOST_CHARACTERS = 4096
"""Of an entry that is a line."""
MOST_IN_ROW = 1 << 20
"""Characters of a line of a table, whose other columns may hold anything."""
TABLES = {".csv": "", ".tsv": "\t"}
"""The sign between cells; empty where it is the more frequent of comma and semicolon in the first line."""


class ListFile:
    """The list at `location`, below one of `roots`. `columns` are the headers that are looked for, the best first.

    Raises `ExportError` when it is not there, may not be read, or is no list.
    """

    def __init__(self, location: str, roots: Sequence[Path], columns: Sequence[str]) -> None:
        self._path = check_access(Path(location), roots, "list")
        self._columns = columns
        self.name = self._path.name
        self.sha256 = ""
        """Of its bytes; there when `entries` was read to the end."""

    def entries(self) -> Iterator[str | int]:
        """Yield the entries as they stand: text without the blanks around it, or a whole number of json."""
        with self._open() as raw:
            self.sha256 = hashlib.file_digest(raw, "sha256").hexdigest()
            raw.seek(0)
            suffix = self._path.suffix.lower()
            try:
                if suffix == ".json":
                    yield from self._of_json(raw.read())
                    return
                with io.TextIOWrapper(io.BufferedReader(raw), "utf-8-sig", newline="") as text:
                    yield from self._of_table(text, TABLES[suffix]) if suffix in TABLES else self._of_lines(text)
            except UnicodeDecodeError as error:
                raise self._error(f"is not UTF-8 text: at byte {error.start}") from None
            except (csv.Error, msgspec.DecodeError, RecursionError) as error:
                raise self._error(f"cannot be read: {error}") from None

    def _open(self) -> io.FileIO:
        try:
            raw = io.FileIO(open_plain(self._path))
        except OSError as error:
            raise self._error(f"cannot be opened: {error.strerror or error}") from None
        size = os.fstat(raw.fileno()).st_size
        most = MOST_JSON_BYTES if self._path.suffix.lower() == ".json" else MOST_BYTES
        if size > most:
            raw.close()
            raise self._error(f"has {size / 1e6:.0f} MB, over the limit of {most >> 20} MiB: put an entry on each line")
        return raw

    def _of_lines(self, text: io.TextIOWrapper) -> Iterator[str]:
        return filter(None, map(str.strip, self._short_lines(text, MOST_CHARACTERS)))

    def _short_lines(self, text: io.TextIOWrapper, most: int) -> Iterator[str]:
        """Yield the lines; raise where one is so long that it would fill the memory."""
        while line := text.readline(most + 2):
            if len(line.rstrip("\r\n")) > most:
                raise self._error(f"has a line of more than {most:,} characters: it is no list of names")
            yield line

    def _of_table(self, text: io.TextIOWrapper, delimiter: str) -> Iterator[str]:
        first = text.readline(MOST_IN_ROW)
        delimiter = delimiter or max(",;", key=first.count)
        text.seek(0)
        rows = csv.reader(self._short_lines(text, MOST_IN_ROW), delimiter=delimiter)
        head = [cell.strip() for cell in next(rows, [])]
        keys = [cell.lower() for cell in head]
        place = next((keys.index(column) for column in self._columns if column in keys), None)
        if place is None:
            if len(head) > 1:
                raise self._error(f"has no column {listed(self._columns)}: its columns are {listed(head)}")
            place = 0
            yield from filter(None, head)
        for row in rows:
            if len(row) > place and (entry := row[place].strip()):
                yield entry

    def _of_json(self, data: bytes) -> Iterator[str | int]:
        found = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
        if not isinstance(found, list):
            raise self._error("is no json list")
        for number, element in enumerate(found, 1):
            entry: Any = element
            if isinstance(element, dict):
                entry = next((element[column] for column in self._columns if column in element), None)
            if isinstance(entry, bool) or not isinstance(entry, str | int):
                raise self._error(f"holds no name or whole number at place {number}")
            if entry != "":
                yield entry.strip() if isinstance(entry, str) else entry

    def _error(self, what: str) -> ExportError:
        return ExportError(Code.USAGE, f"the list {self.name} {what}", self.name)
