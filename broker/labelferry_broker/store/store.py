"""The store itself: opened by one broker at a time, written in whole turns, read by the ledger as its `Archive`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from labelferry_broker.ledger.effects import Save
from labelferry_broker.ledger.rows import Loaded


class Store:
    """The rows of every job, attempt, transfer and template. Implements `labelferry_broker.ledger.archive.Archive`."""

    @classmethod
    def open(cls, place: Path | str) -> Self:
        """Open the ledger of a state directory (made when it is missing), or of a database URL, and begin an epoch.

        Raises `Refusal(STORE)` with what to do: another broker has it, it is of a newer labelferry, the disk is full or read-only.
        """
        raise NotImplementedError

    @property
    def epoch(self) -> int:
        """This incarnation's number, higher than any before, durably."""
        raise NotImplementedError

    def begin_epoch(self) -> int:
        """Begin another epoch, as after a restart: what to do after `apply` was refused, before a new `Ledger` is made."""
        raise NotImplementedError

    def load(self) -> Loaded:
        """Return what a ledger that starts must know."""
        raise NotImplementedError

    def apply(self, saves: Sequence[Save]) -> None:
        """Write a turn, all of it or nothing, durable on return; nothing at all for an empty one.

        Raises `Refusal(STORE)` when the disk is full or the database locked: nothing was written. Raises `Diverged` when
        the rows are not what the ledger believed, or a later epoch has begun: a bug or a second broker; stop.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the database and let go of the lock; may be repeated."""
        raise NotImplementedError
