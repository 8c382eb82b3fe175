"""What an export noticed and did about it: every drop, repair, clip or rename is a typed finding, and none is silent."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import UNSET, Struct, UnsetType


class Finding(StrEnum):
    """The kinds of findings; the value travels in events, the manifest and the README of a bundle, and never changes."""

    IMAGE_MISSING = "image-missing"
    IMAGE_BROKEN = "image-broken"
    IMAGE_SIZE = "image-size"
    """The file's size is not the one the project says."""
    IMAGE_RENAMED = "image-renamed"
    IMAGE_TURNED = "image-turned"
    """The file's pixels are stored turned (EXIF): sizes and outlines are those of the upright image."""
    IMAGE_PAGES = "image-pages"
    """The file has several pages, one of which is the image."""
    IMAGE_DEPTH = "image-depth"
    """Not all bits of the pixels can be read."""
    OBJECT_DROPPED = "object-dropped"
    OBJECT_REPAIRED = "object-repaired"
    OBJECT_CLIPPED = "object-clipped"
    OBJECT_RENUMBERED = "object-renumbered"
    OBJECT_NO_PIXEL = "object-no-pixel"
    """A sliver or dot that covers no pixel centre: kept, with an empty mask."""
    REFERENCE_BROKEN = "reference-broken"
    """An id that points nowhere."""
    FORMAT_LOSS = "format-loss"
    """A format cannot say it; what it does instead is a `Loss`."""
    CONTRAST_WINDOW = "contrast-window"
    SELECTION_UNMATCHED = "selection-unmatched"
    """What a selection names and the project does not have."""
    CLASS_RENAMED = "class-renamed"
    CLASS_MERGED = "class-merged"
    CLASS_DROPPED = "class-dropped"
    SPLIT_RENAMED = "split-renamed"
    SPLIT_UNASSIGNED = "split-unassigned"
    """Images without a subset, or without what groups them."""
    SPLIT_GAP = "split-gap"
    """A split without images, or without a class that another one has."""
    OTHER = "other"


class Loss(StrEnum):
    """What a format does to what it cannot say; the value travels in events, the manifest and the README, and never changes."""

    BRIDGED = "bridged"
    SPLIT = "split"
    FILLED = "filled"
    JOINED = "joined"
    DROPPED = "dropped"
    HIDDEN = "hidden"
    MARKED = "marked"
    REDUCED = "reduced"
    RENAMED = "renamed"
    CLIPPED = "clipped"
    ROUNDED = "rounded"
    REFUSED = "refused"


LOSSES: dict[Loss, str] = {
    Loss.BRIDGED: "parts or holes are joined to one ring by bridges of no width",
    Loss.SPLIT: "one object is several rings, or several objects",
    Loss.FILLED: "a hole is part of the object",
    Loss.JOINED: "what touches or overlaps is one",
    Loss.DROPPED: "an object is left out",
    Loss.HIDDEN: "pixels that lie under another object are left out",
    Loss.MARKED: "an object is there as something to be ignored: void, difficult",
    Loss.REDUCED: "something of an object, an image or a class is left out",
    Loss.RENAMED: "a name or a text has other characters",
    Loss.CLIPPED: "something is cut off at the border of the image",
    Loss.ROUNDED: "a number or an outline is less exact",
    Loss.REFUSED: "it is there, but the field's readers refuse it, or take it for something else",
}
"""The kinds of losses in words."""


class Warn(Struct, frozen=True, kw_only=True):
    """One finding: its kind, the image (and object, and format) it is about, what a format did, and a sentence for a person."""

    code: Finding
    message: str
    image: str | None = None
    object_id: int | None = None
    format: str | None = None
    loss: Loss | UnsetType = UNSET
    window: tuple[float, float] | UnsetType = UNSET
    """The values that are shown as black and white, where that is what it is about."""


@dataclass
class Tally:
    """What there is of one kind of finding, about one format or none: how many, the first of them, and what was lost how often."""

    example: Warn
    count: int = 0
    losses: Counter[Loss] = field(default_factory=Counter)

    def add(self, warn: Warn) -> None:
        """Count a finding."""
        self.count += 1
        if warn.loss is not UNSET:
            self.losses[warn.loss] += 1


class FindingLog:
    """The findings of one job in the order they were made, on disk: memory holds a tally of each kind.

    One finding a line, json; `add` appends. A log that exists already is continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tallies: dict[tuple[Finding, str | None], Tally] = {}
        """By kind and format, in the order of their first finding."""
        self._file: BinaryIO | None = None
        """Open from the first `add` on."""
        for warn in self:
            self._count(warn)

    def add(self, warn: Warn) -> None:
        """Append a finding."""
        if self._file is None:
            self._file = self.path.open("ab")
        self._count(warn)
        self._file.write(msgspec.json.encode(warn) + b"\n")

    @property
    def counts(self) -> dict[Finding, int]:
        """How many there are of each kind, kinds in the order of their first finding."""
        counts: dict[Finding, int] = {}
        for (code, _), tally in self.tallies.items():
            counts[code] = counts.get(code, 0) + tally.count
        return counts

    def __len__(self) -> int:
        return sum(tally.count for tally in self.tallies.values())

    def __iter__(self) -> Iterator[Warn]:
        """Yield all findings added before this was called, first to last."""
        if self._file is not None:
            self._file.flush()
        if not self.path.exists():
            return
        decode = msgspec.json.Decoder(Warn).decode
        with self.path.open("rb") as lines:
            for line in lines:
                yield decode(line)

    def close(self) -> None:
        """Write out what is buffered and let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _count(self, warn: Warn) -> None:
        self.tallies.setdefault((warn.code, warn.format), Tally(warn)).add(warn)
