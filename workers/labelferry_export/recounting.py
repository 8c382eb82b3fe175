"""The self-check of what formats wrote: each format's files are read again from the finished bundle and counted, by a task for lanes."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from labelferry_export import formats
from labelferry_export.bundle.verify import about, read_again, stored
from labelferry_export.lanes.task import Piece, Span
from labelferry_export.recount import Claim, Looks, compare

FAULTS = (ValueError, zlib.error, struct.error)
"""What says that a bundle is not as it should be."""


class Recounting(msgspec.Struct, frozen=True):
    """The task of checking formats in the bundle at `path`, one for each of `claims`; the place of a span is that of its claim."""

    path: str
    claims: tuple[tuple[str, Claim], ...]

    @property
    def spans(self) -> list[Span]:
        """One for each format."""
        return [Span(place, 0, 0, 0) for place in range(len(self.claims))]

    def __call__(self, span: Span) -> Iterator[Piece]:
        """Yield nothing but what is wrong, in words."""
        name, claim = self.claims[span.offset]
        try:
            for _ in recounted(Path(self.path), name, claim):
                yield Piece()
        except FAULTS as error:
            yield Piece(str(error).encode(errors="replace"))


def recounted(path: Path, name: str, claim: Claim) -> Iterator[None]:
    """Read a format's files again; a yield now and then. Raises ValueError where they break the format's rules, or hold not what is claimed."""
    recount = formats.find(name).recount
    if recount is None:
        return
    found = recount(claim)
    yield from read_again(path, found.open)
    if isinstance(found, Looks):
        for each, file in stored(path, found.wants):
            with about(each):
                yield from found.look(file)
    compare(name, found, claim)
