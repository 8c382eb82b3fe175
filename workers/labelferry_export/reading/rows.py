"""What the snapshot's writer is told of an image, and what it tells: plain rows. The file they stand in is snapshot_writer.py's."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class Standing(IntEnum):
    """What becomes of an image, as the column `kept` has it."""

    MISSING = 0
    """Left out because it cannot be exported."""
    KEPT = 1
    NOT_SELECTED = 2


@dataclass(frozen=True)
class ImageRow:
    """An image that was added. `width` and `height` are None where the project does not say them."""

    position: int
    name: str
    standing: Standing
    path: Path | None
    width: int | None
    height: int | None
    subset: str | None
    bundle_name: str

    @property
    def kept(self) -> bool:
        """Whether it is exported."""
        return self.standing is Standing.KEPT


@dataclass(frozen=True)
class Settled:
    """What an image turned out to be, once its file was looked at. The fields are columns of the snapshot."""

    bundle_name: str
    width: int
    height: int
    size: int
    mtime_ns: int
    mode: str
    orientation: int
    page: int
    full_width: int
    full_height: int
    written: str
    quality: int
    split: str | None
