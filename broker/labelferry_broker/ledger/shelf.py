"""The bundles that the depot keeps, oldest first: how old and large they are, and which of them retention takes next."""

from collections.abc import Iterator
from dataclasses import dataclass

from labelferry_broker.ledger.settings import LedgerSettings


@dataclass(slots=True)
class Kept:
    """One bundle: its size in bytes, since when it is here, and until when it is taken for being downloaded (steady s)."""

    size: int
    since: float
    wanted_until: float = 0.0


class Shelf:
    """All bundles by job id, in the order in which they came; ages go by the steady clock, so a turned wall clock evicts nothing."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self.size = 0
        """Bytes of all of them together."""

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, job_id: str, size: int, since: float) -> None:
        """Put a bundle up; none that is here already is older than its predecessors."""
        self.remove(job_id)
        self._kept[job_id] = Kept(size, since)
        self.size += size

    def remove(self, job_id: str) -> None:
        """Take a bundle down; one that is not here is none."""
        kept = self._kept.pop(job_id, None)
        if kept is not None:
            self.size -= kept.size

    def want(self, job_id: str, until: float) -> None:
        """Note until when a bundle is taken for being downloaded."""
        kept = self._kept.get(job_id)
        if kept is not None:
            kept.wanted_until = until

    def due(self, now: float, settings: LedgerSettings) -> Iterator[str]:
        """Yield what is to go, oldest first: what is too old, then more while the rest is too large.

        A bundle that is downloaded now is put off for a while when it is too old, and goes last when there is too much.
        The youngest (`spare_seconds`) never go.
        """
        left, spared = self.size, []
        for job_id, kept in self._kept.items():
            age = now - kept.since
            over = left > settings.keep_bytes
            if age < settings.spare_seconds or not (over or age > settings.keep_seconds):
                break
            if kept.wanted_until > now and age <= settings.keep_seconds + settings.download_grace_seconds:
                spared.append((job_id, kept.size))
                continue
            left -= kept.size
            yield job_id
        for job_id, size in spared:
            if left <= settings.keep_bytes:
                return
            left -= size
            yield job_id
