"""What a writer of tables is, and where it writes to. To add one: a file `..._table.py` here, or a package with an entry point."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from labelferry_export.findings import Warn
from labelferry_export.format import Cost, Option
from labelferry_export.lanes.task import Piece, Span, SpanTask
from labelferry_export.recount import Recount
from labelferry_export.tables.measuring import Measurements
from labelferry_protocol.options import FormatOption

FOLDER = "metrics"
"""Where the tables lie in a bundle."""


class OpenFile(Protocol):
    """A file of the bundle while it is written."""

    def write(self, data: bytes, /) -> object:
        """Add bytes."""

    def write_stretch(self, data: bytes, packed: bytes, /) -> object:
        """Add bytes that are deflated already, as `bundle.packed.stretch` does."""


class Target(Protocol):
    """What a writer sees of a job."""

    @property
    def options(self) -> Mapping[str, FormatOption]:
        """The writer's own options, every one with a value."""

    def open(self, name: str) -> AbstractContextManager[OpenFile]:
        """Begin a file of the bundle; one at a time."""

    def spread_spans(self, task: SpanTask, spans: Iterable[Span]) -> Iterator[tuple[Span, Iterator[Piece | None]]]:
        """Do a task on stretches of a file, on several cores at once; yield its pieces in order. None is a moment to stop."""

    def report(self, warn: Warn) -> None:
        """Say what a table cannot hold."""


@dataclass(frozen=True)
class MetricWriter:
    """A writer of tables: its name in the options, what it is called, how its files are opened (`usage`, markdown), what it costs.

    `write` writes its files and yields, after every block of rows, how many objects were among them; nothing is left open when
    it ends.
    """

    name: str
    title: str
    usage: str
    cost: Cost
    write: Callable[[Target, Measurements], Iterator[int]]
    options: Mapping[str, Option] = field(default_factory=dict)
    recount: Callable[[], Recount] | None = None
    """Makes what reads the tables again before the bundle is published, and counts their rows."""
