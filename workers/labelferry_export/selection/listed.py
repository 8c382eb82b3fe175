"""What two lists name: the images, and the objects, that are to be exported. On disk, so that memory does not grow with them.

An image is meant by its name in the project, by its base name (then all that have it), or by its number: the project's own id, and where it
has none its place, 1, 2, ... Names are compared in unicode NFC, with forward slashes. An object is meant by its id.
"""

import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.model import ListUsed
from labelferry_export.selection.list_file import ListFile
from labelferry_export.selection.words import listed
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

IMAGE_COLUMNS = ("source_name", "file_name", "filename", "image_name", "image_id", "image", "file", "name", "id")
OBJECT_COLUMNS = ("object_id", "annotation_id", "instance_id", "object", "id")
"""The headers, and keys of json objects, that a list may have its entries under; those of the tables of a bundle are among them."""
AT_ONCE = 2000
LARGEST = 2**63 - 1


class ListedImages:
    """The images that a list names, in a table of its own."""

    def __init__(self, connection: sqlite3.Connection, file: ListFile) -> None:
        self._connection = connection
        self._file = file
        connection.execute("CREATE TABLE image(entry TEXT PRIMARY KEY, number INTEGER, hit INTEGER DEFAULT 0)")

    def read(self) -> Iterator[None]:
        """Read the list, some milliseconds at a time."""
        entries = self._file.entries()
        while some := list(islice(entries, AT_ONCE)):
            rows = [(name_key(str(each)), _number(each)) for each in some]
            self._connection.executemany("INSERT OR IGNORE INTO image(entry, number) VALUES (?, ?)", rows)
            yield
        self._connection.execute("CREATE INDEX image_number ON image(number) WHERE number IS NOT NULL")

    def takes(self, name: str, number: int) -> bool:
        """Whether the list means the image with this name and number."""
        key = name_key(name)
        query = "UPDATE image SET hit = 1 WHERE entry IN (?, ?) OR number = ?"
        return self._connection.execute(query, (key, key.rpartition("/")[2], number)).rowcount > 0

    @property
    def used(self) -> ListUsed:
        """What became of the list."""
        return _used(self._connection, self._file, "image")


class ListedObjects:
    """The objects that a list names, in a table of its own."""

    def __init__(self, connection: sqlite3.Connection, file: ListFile) -> None:
        self._connection = connection
        self._file = file
        connection.execute("CREATE TABLE object(entry INTEGER PRIMARY KEY, hit INTEGER DEFAULT 0)")

    def read(self) -> Iterator[None]:
        """Read the list, some milliseconds at a time."""
        entries = self._file.entries()
        while some := list(islice(entries, AT_ONCE)):
            rows = [(self._id(each),) for each in some]
            self._connection.executemany("INSERT OR IGNORE INTO object(entry) VALUES (?)", rows)
            yield

    def takes(self, number: int | None) -> bool:
        """Whether the list means the object with this id."""
        if number is None or abs(number) > LARGEST:
            return False
        return self._connection.execute("UPDATE object SET hit = 1 WHERE entry = ?", (number,)).rowcount > 0

    @property
    def used(self) -> ListUsed:
        """What became of the list."""
        return _used(self._connection, self._file, "object")

    def _id(self, entry: str | int) -> int:
        number = _number(entry)
        if number is None:
            message = f"the list {self._file.name} names objects by their ids, which are whole numbers: {str(entry)[:80]!r} is none"
            raise ExportError(Code.USAGE, message, self._file.name)
        return number


class Lists:
    """The lists that the options name, in a new file at `path`; `images` and `objects` are None where there is none. `read` them first."""

    def __init__(self, options: ExportOptions, path: Path, roots: Sequence[Path]) -> None:
        self.images: ListedImages | None = None
        self.objects: ListedObjects | None = None
        self._connection: sqlite3.Connection | None = None
        self._path = path
        if options.images_from is None and options.objects_from is None:
            return
        # A crash throws the file away, as it does the snapshot.
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")
        if options.images_from is not None:
            self.images = ListedImages(self._connection, ListFile(options.images_from, roots, IMAGE_COLUMNS))
        if options.objects_from is not None:
            self.objects = ListedObjects(self._connection, ListFile(options.objects_from, roots, OBJECT_COLUMNS))

    def read(self) -> Iterator[None]:
        """Read the lists, some milliseconds at a time; raise `ExportError` where one cannot be read."""
        for each in (self.images, self.objects):
            if each is not None:
                yield from each.read()

    @property
    def used(self) -> dict[str, ListUsed]:
        """What became of each list, by its option."""
        lists = {"images_from": self.images, "objects_from": self.objects}
        return {option: each.used for option, each in lists.items() if each is not None}

    def check(self, names: Sequence[str]) -> None:
        """Raise `ExportError(USAGE)` when a list names nothing that the project has; `names` are some of its images."""
        for option, used in self.used.items():
            if used.entries and used.unmatched < used.entries:
                continue
            what = "image" if option == "images_from" else "object"
            if not used.entries:
                raise ExportError(Code.USAGE, f"the list {used.file} is empty: it names no {what}", used.file)
            has = f"; its images are called {listed(names)}" if what == "image" and names else ""
            message = f"the project has no {what} that {used.file} lists ({_entries(used.entries)}, the first is {used.example!r}){has}"
            raise ExportError(Code.USAGE, message, used.file)

    def close(self) -> None:
        """Take the file away."""
        if self._connection is not None:
            self._connection.close()
            self._path.unlink(missing_ok=True)


def lists_path(snapshot: Path) -> Path:
    """Return where the lists of the snapshot at `snapshot` lie while it is made."""
    return snapshot.with_name(f"{snapshot.name}.lists")


def name_key(name: str) -> str:
    """Return what two spellings of an image's name share."""
    return unicodedata.normalize("NFC", name.replace("\\", "/").strip()).removeprefix("./")


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _number(entry: str | int) -> int | None:
    """Return an entry as a number, None when it is none, or is written as none is (`007`)."""
    text = str(entry)
    if len(text) > 20 or not text.removeprefix("-").isdecimal() or not text.isascii():
        return None
    number = int(text)
    return number if str(number) == text and abs(number) <= LARGEST else None


def _used(connection: sqlite3.Connection, file: ListFile, table: str) -> ListUsed:
    count = f"SELECT count(*), count(*) FILTER (WHERE hit = 0) FROM {table}"  # noqa: S608 - two constants
    entries, unmatched = connection.execute(count).fetchone()
    first = f"SELECT entry FROM {table} WHERE hit = 0 ORDER BY rowid LIMIT 1"  # noqa: S608 - two constants
    row = connection.execute(first).fetchone()
    return ListUsed(file.name, file.sha256, entries, unmatched, str(row[0]) if row else "")
