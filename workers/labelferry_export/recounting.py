"""The self-check of what formats and tables hold: their files are read again from the finished bundle and counted, by a task for lanes."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from labelferry_export import formats, tables
from labelferry_export.bundle.verify import about, read_again, stored
from labelferry_export.lanes.task import Piece, Span
from labelferry_export.recount import Claim, Looks, Reads, Recount, compare

FAULTS = (ValueError, zlib.error, struct.error)
"""What says that a bundle is not as it should be."""


class Recounting(msgspec.Struct, frozen=True):
    """The task of checking formats, then metric tables, in the bundle at `path`; the place of a span is that of its claim among all."""

    path: str
    claims: tuple[tuple[str, Claim], ...]
    tables: tuple[tuple[str, Claim], ...]

    @property
    def spans(self) -> list[Span]:
        """One for each format and table."""
        return [Span(place, 0, 0, 0) for place in range(len(self.claims) + len(self.tables))]

    def __call__(self, span: Span) -> Iterator[Piece]:
        """Yield nothing but what is wrong, in words."""
        name, claim = (*self.claims, *self.tables)[span.offset]
        try:
            made = _recount_of(name, claim) if span.offset < len(self.claims) else _recount_of_table(name)
            for _ in recounted(Path(self.path), made, name, claim):
                yield Piece()
        except FAULTS as error:
            yield Piece(str(error).encode(errors="replace"))


def _recount_of(name: str, claim: Claim) -> Recount | None:
    recount = formats.find(name).recount
    return None if recount is None else recount(claim)


def _recount_of_table(name: str) -> Recount | None:
    recount = tables.find(name).recount
    return None if recount is None else recount()


def recounted(path: Path, found: Recount | None, name: str, claim: Claim) -> Iterator[None]:
    """Read the files of `name` again; a yield now and then. Raises ValueError where they break its rules, or hold not what is claimed."""
    if found is None:
        return
    if isinstance(found, Reads):
        yield from read_again(path, found.open)
    if isinstance(found, Looks):
        for each, file in stored(path, found.wants):
            with about(each):
                yield from found.look(file)
    compare(name, found, claim)
