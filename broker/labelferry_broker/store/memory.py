"""The store's twin in memory: the same calls, the same answers, nothing on disk. For tests and for trying things."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Self

from msgspec.structs import replace

from labelferry_broker.ledger.effects import (
    AddAttempt,
    AddJob,
    DropTemplate,
    EndAttempt,
    Save,
    SaveTemplate,
    SaveTransfer,
    UpdateJob,
)
from labelferry_broker.ledger.rows import AttemptRow, BundleRow, JobRow, Loaded, Outcome, TemplateRow, TransferRow
from labelferry_broker.store.diverged import Diverged
from labelferry_protocol.life import TERMINAL
from labelferry_protocol.words import State, TransferState


class _Rows:
    """All rows; a copy of it is what a transaction works on."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobRow] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.attempts: dict[tuple[str, int], AttemptRow] = {}
        self.transfers: dict[str, TransferRow] = {}
        self.templates: dict[tuple[str, str], TemplateRow] = {}

    def __copy__(self) -> Self:
        twin = type(self)()
        for name, rows in vars(self).items():
            setattr(twin, name, dict(rows))
        return twin

    def write(self, save: Save) -> None:
        match save:
            case AddJob(row=row):
                _believe(row.job_id not in self.jobs and (row.owner, row.idempotency_key) not in self.keys)
                self.jobs[row.job_id] = row
                self.keys[row.owner, row.idempotency_key] = row.job_id
            case UpdateJob(previous=previous, row=row):
                _believe(row.job_id in self.jobs and self.jobs[row.job_id].state is previous)
                self.jobs[row.job_id] = row
            case AddAttempt(row=attempt):
                _believe((attempt.job_id, attempt.attempt) not in self.attempts)
                self.attempts[attempt.job_id, attempt.attempt] = attempt
            case EndAttempt(job_id=job_id, attempt=number):
                old = self.attempts.get((job_id, number))
                _believe(old is not None and old.outcome is Outcome.LEASED)
                assert old is not None  # noqa: S101 - believed just now
                ended = replace(old, ended_at=save.ended_at, outcome=save.outcome, reason=save.reason)
                self.attempts[job_id, number] = ended
            case SaveTransfer(row=transfer):
                self.transfers[transfer.transfer_id] = transfer
            case SaveTemplate(row=template):
                self.templates[template.owner, template.name] = template
            case DropTemplate(owner=owner, name=name):
                self.templates.pop((owner, name), None)


class MemoryStore:
    """Implements what `store.Store` does; a broker that is killed keeps it and calls `begin_epoch`."""

    def __init__(self) -> None:
        self._rows = _Rows()
        self._epoch = 1

    @property
    def epoch(self) -> int:
        """This incarnation's number."""
        return self._epoch

    def begin_epoch(self) -> int:
        """Begin another epoch, as after a restart."""
        self._epoch += 1
        return self._epoch

    def load(self) -> Loaded:
        """Return what a ledger that starts must know."""
        rows = self._rows
        kept = [row for row in rows.jobs.values() if row.bundle_attempt is not None]
        live = [row for row in rows.jobs.values() if row.state not in TERMINAL]
        return Loaded(
            jobs=tuple(sorted(live, key=lambda row: row.number)),
            last_job_number=max((row.number for row in rows.jobs.values()), default=0),
            last_transfer_number=max((row.number for row in rows.transfers.values()), default=0),
            bundles=tuple(
                BundleRow(row.job_id, row.finished_at or 0.0, row.bundle.size)
                for row in sorted(kept, key=lambda row: (row.finished_at or 0.0, row.number))
                if row.bundle is not None
            ),
        )

    def apply(self, saves: Sequence[Save]) -> None:
        """Write a turn, all of it or nothing; raise `Diverged` when a row is not as believed."""
        if saves:
            rows = copy(self._rows)
            for save in saves:
                rows.write(save)
            self._rows = rows

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def job(self, job_id: str) -> JobRow | None:
        """Return a job, ended or not."""
        return self._rows.jobs.get(job_id)

    def job_of_key(self, owner: str, idempotency_key: str) -> JobRow | None:
        """Return the job that this user's key has made."""
        return self._rows.jobs.get(self._rows.keys.get((owner, idempotency_key), ""))

    def attempt(self, job_id: str, attempt: int) -> AttemptRow | None:
        """Return one attempt of a job."""
        return self._rows.attempts.get((job_id, attempt))

    def history(self, owner: str | None, before: int | None, limit: int) -> Sequence[JobRow]:
        """Return at most `limit` jobs, newest first: of one owner or of all (None), with a number below `before`."""
        found = [
            row
            for row in self._rows.jobs.values()
            if owner in (None, row.owner) and (before is None or row.number < before)
        ]
        return sorted(found, key=lambda row: -row.number)[:limit]

    def count_by_state(self, owner: str | None) -> Mapping[State, int]:
        """Return how many jobs are in each state, of one owner or of all (None); states without a job are left out."""
        return Counter(row.state for row in self._rows.jobs.values() if owner in (None, row.owner))

    def transfer(self, transfer_id: str) -> TransferRow | None:
        """Return one download."""
        return self._rows.transfers.get(transfer_id)

    def transfers(self, job_id: str, limit: int) -> Sequence[TransferRow]:
        """Return at most `limit` downloads of a job, newest first."""
        found = [row for row in self._rows.transfers.values() if row.job_id == job_id]
        return sorted(found, key=lambda row: -row.number)[:limit]

    def count_downloads(self, job_ids: Iterable[str]) -> Mapping[str, int]:
        """Return how many downloads of each job are complete; jobs without one are left out."""
        wanted = set(job_ids)
        complete = (row for row in self._rows.transfers.values() if row.state is TransferState.COMPLETED)
        return Counter(row.job_id for row in complete if row.job_id in wanted)

    def template(self, owner: str, name: str) -> TemplateRow | None:
        """Return a user's template."""
        return self._rows.templates.get((owner, name))

    def template_names(self, owner: str) -> Sequence[str]:
        """Return the names of a user's templates, sorted."""
        return sorted(name for whose, name in self._rows.templates if whose == owner)


def _believe(condition: bool) -> None:
    if not condition:
        raise Diverged("a row is not what the ledger believed")
