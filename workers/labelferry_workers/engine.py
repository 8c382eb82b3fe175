"""The seam to the export engine, as types: what a child needs of an export, and how it comes by one.

`open_export` is the product's; tests give `child.main` a pretended one.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labelferry_export.keeping.settings import NO_REUSE, Reuse
from labelferry_protocol.events import ExportCounts, StageProgress, WarningSummary
from labelferry_protocol.words import Stage
from labelferry_protocol.work import Lease


class Update(Protocol):
    """How far an export is: `progress` 0 to 99, `estimated_time_remaining` in s."""

    @property
    def progress(self) -> float:
        """Of 100, where 99 is a bundle that is ready here."""

    @property
    def stage(self) -> Stage:
        """What is done now."""

    @property
    def message(self) -> str:
        """The same for a person."""

    @property
    def stage_progress(self) -> StageProgress:
        """How far the stage is."""

    @property
    def estimated_time_remaining(self) -> float | None:
        """Seconds; None while unknown."""

    @property
    def notable(self) -> bool:
        """Whether it is to be told whatever follows it at once."""


class Result(Protocol):
    """What an export made: `size` in bytes."""

    @property
    def size(self) -> int:
        """Bytes of the bundle."""

    @property
    def sha256(self) -> str:
        """Its digest, 64 hexadecimal characters."""

    @property
    def counts(self) -> ExportCounts:
        """What is in it."""

    @property
    def warnings(self) -> tuple[WarningSummary, ...]:
        """What was noticed, grouped."""

    @property
    def partial(self) -> bool:
        """Whether it holds only what was finished when the export was stopped."""


class Reused(Protocol):
    """Results of single images."""

    @property
    def made(self) -> int:
        """How many this attempt has made."""

    @property
    def found(self) -> int:
        """How many were there."""


class Export(Protocol):
    """One export: run it to its end, or stop between two updates and pack what is finished."""

    @property
    def result(self) -> Result:
        """What was made, once `run` has ended."""

    @property
    def reused(self) -> Reused:
        """How many results were made, and how many were found."""

    def run(self) -> Generator[Update, None, None] | Iterator[Update]:
        """Yield after each unit of work."""

    def pack_partial(self) -> Result | None:
        """Make a bundle of what is complete; None when nothing is."""


@dataclass(frozen=True)
class Workplace:
    """Where one attempt reads and writes."""

    staging: Path
    """An empty directory of its own; all that it makes lies here."""
    target: Path
    """The bundle, inside `staging`."""
    roots: Sequence[Path]
    """The source must lie below one of these."""
    lanes: int = 1
    """Processes that may work on its images at once."""
    reuse: Reuse = NO_REUSE
    """What may be reused of work done before, and where this attempt's own is kept."""


class OpenExport(Protocol):
    """Makes the export of a lease; may raise `ExportError`."""

    def __call__(self, lease: Lease, place: Workplace) -> Export:
        """Return the export, not yet begun."""
