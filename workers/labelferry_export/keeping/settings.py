"""What may be kept and reused, where, and how much of it: frozen settings of an export and of a store. Nothing acts here."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

SPARE_BYTES = 256 << 20
"""So much stays free on the disk, besides what the bundle itself may need."""
CHECKPOINT_BYTES = 20_000_000_000
LEAST_JOB = 500.0
LEAST_RESULT = 0.0003


class StoreSettings(msgspec.Struct, frozen=True, array_like=True):
    """A store: its folder (as the system spells it), the bytes it may hold, and whether it makes room for what is new."""

    folder: bytes
    limit: int
    evicts: bool
    spare: int = SPARE_BYTES
    """Bytes that must stay free on its disk."""


class MakerSettings(msgspec.Struct, frozen=True, array_like=True):
    """The stores, in the order they are looked into; the mark of this engine; from how many seconds of a processor on a result is kept."""

    stores: tuple[StoreSettings, ...] = ()
    mark: bytes = b""
    least: float = LEAST_RESULT


NOTHING_KEPT = MakerSettings()


@dataclass(frozen=True)
class Reuse:
    """What an export may reuse of work that was done before it, and what it keeps of its own.

    `checkpoints` is a folder of this one job's, for its later attempts; `cache` one that all exports of this machine may share. Nothing is
    kept where the folder is None or the bytes are 0.
    """

    reached: float = 0.0
    """The progress that people were told of earlier attempts: this one goes on from there."""
    checkpoints: Path | None = None
    checkpoint_bytes: int = CHECKPOINT_BYTES
    cache: Path | None = None
    cache_bytes: int = 0
    least_job: float = LEAST_JOB
    """A job that costs less (ms, as planned) is begun again sooner than its checkpoints are worth."""
    least_result: float = LEAST_RESULT
    """A result that took less (s of a processor) is made again sooner than it is found."""
    spare: int = SPARE_BYTES
    """Bytes that keeping leaves free on the disk."""


NO_REUSE = Reuse()
