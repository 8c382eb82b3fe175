"""The metric tables read again, before a bundle is published: a row an object, a row an image, every row with as many cells as there are columns."""

import csv
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO
from xml.parsers import expat

import msgspec

from labelferry_export.bundle.readers import Lines, Reader
from labelferry_export.formats._recounts.lines import decoded, record_of
from labelferry_export.tables.writer import FOLDER

BLOCK_BYTES = 1 << 20
ROW, HEADERS = b"<row ", 1


class CsvRecount:
    """Recounts `objects.csv` and `images.csv`."""

    def __init__(self) -> None:
        self.images = 0
        self.objects = 0

    def open(self, name: str) -> Reader | None:
        """Return the reader of a table of objects or images."""
        if name == f"{FOLDER}/objects.csv":
            return Lines(_CsvRows(self._objects))
        return Lines(_CsvRows(self._images)) if name == f"{FOLDER}/images.csv" else None

    def _objects(self, rows: int) -> None:
        self.objects = rows

    def _images(self, rows: int) -> None:
        self.images = rows


class _CsvRows:
    """Counts the rows of a csv file; `done` is told how many there are behind the header."""

    def __init__(self, done: Callable[[int], None]) -> None:
        self._done = done
        self._columns = 0
        self._rows = -HEADERS
        self._open = b""
        """The beginning of a row with a line end in a cell."""

    def add(self, line: bytes) -> None:
        """Take a line."""
        line = self._open + line
        if line.count(b'"') % 2:
            self._open = line + b"\n"
            return
        self._open = b""
        cells = _cells(line)
        if self._rows < 0:
            self._columns = cells
        if cells != self._columns:
            raise ValueError(f"row {self._rows + 1} has {cells} cells, and there are {self._columns} columns")
        self._rows += 1

    def close(self) -> None:
        """Say that the file has ended."""
        if self._open:
            raise ValueError("it ends within a cell")
        self._done(self._rows)


def _cells(line: bytes) -> int:
    if b'"' not in line:
        return line.count(b",") + 1
    return len(next(csv.reader([line.decode()], strict=True)))


class _Rows:
    """How many rows the tables of objects and images have."""

    def __init__(self) -> None:
        self.counts = {"objects": 0, "images": 0}

    @property
    def images(self) -> int:
        """How many images there are rows of."""
        return self.counts["images"]

    @property
    def objects(self) -> int:
        """How many objects there are rows of."""
        return self.counts["objects"]


class JsonRecount(_Rows):
    """Recounts `metrics.json`, a record a line behind the key of its table."""

    def __init__(self) -> None:
        super().__init__()
        self._table = ""
        self._decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])

    def open(self, name: str) -> Reader | None:
        """Return the reader of the file."""
        return Lines(self) if name == f"{FOLDER}/metrics.json" else None

    def add(self, line: bytes) -> None:
        """Take a line."""
        if line.startswith(b'"'):
            self._table = line[1:].partition(b'"')[0].decode()
        elif self._table in self.counts:
            decoded(self._decoder, record_of(line))
            self.counts[self._table] += 1

    def close(self) -> None:
        """Say that the file has ended."""


class XlsxRecount(_Rows):
    """Recounts `metrics.xlsx`: the rows of the sheets `objects` and `images`, and of those they go on in (`objects_2`)."""

    def wants(self, name: str) -> bool:
        """Whether this is the workbook."""
        return name == f"{FOLDER}/metrics.xlsx"

    def look(self, file: BinaryIO) -> Iterator[None]:
        """Count the rows."""
        try:
            with zipfile.ZipFile(file) as archive:
                for number, title in enumerate(_titles(archive.read("xl/workbook.xml")), start=1):
                    table = title.partition("_")[0]
                    if table in self.counts:
                        yield from self._count(archive, f"xl/worksheets/sheet{number}.xml", table)
        except (zipfile.BadZipFile, expat.ExpatError, KeyError, EOFError) as error:
            raise ValueError(f"it is no workbook: {error}") from None

    def _count(self, archive: zipfile.ZipFile, name: str, table: str) -> Iterator[None]:
        tail = b""
        self.counts[table] -= HEADERS
        with archive.open(name) as sheet:
            while block := sheet.read(BLOCK_BYTES):
                # Text has no `<` in xml, so this is a row wherever it stands.
                data = tail + block
                self.counts[table] += data.count(ROW)
                tail = data[-(len(ROW) - 1) :]
                yield
        if not tail.endswith(b"eet>"):
            raise ValueError(f"{name} in it has no end")


def _titles(workbook: bytes) -> list[str]:
    """Return the titles of the sheets, in the order of their numbers."""
    found: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            found.append(attributes["name"])

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.Parse(workbook, True)
    return found
