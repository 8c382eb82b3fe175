"""The archive as it will be when this turn is durable: what was decided since, over what is on disk."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from labelferry_broker.ledger.archive import Archive
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
from labelferry_broker.ledger.rows import AttemptRow, JobRow, TemplateRow, TransferRow
from labelferry_protocol.words import State, TransferState


class ReadThrough:
    """An `Archive` over another. Two messages of one turn meet here: a submit sent twice finds its first."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._jobs: dict[str, JobRow] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._attempts: dict[tuple[str, int], AttemptRow] = {}
        self._ends: dict[tuple[str, int], EndAttempt] = {}
        self._transfers: dict[str, TransferRow] = {}
        self._templates: dict[tuple[str, str], TemplateRow | None] = {}

    def note(self, save: Save) -> None:
        """Take note of what has been decided."""
        match save:
            case AddJob(row=row):
                self._jobs[row.job_id] = row
                self._keys[row.owner, row.idempotency_key] = row.job_id
            case UpdateJob(row=row):
                self._jobs[row.job_id] = row
            case AddAttempt(row=attempt):
                self._attempts[attempt.job_id, attempt.attempt] = attempt
            case EndAttempt(job_id=job_id, attempt=number):
                self._ends[job_id, number] = save
            case SaveTransfer(row=transfer):
                self._transfers[transfer.transfer_id] = transfer
            case SaveTemplate(row=template):
                self._templates[template.owner, template.name] = template
            case DropTemplate(owner=owner, name=name):
                self._templates[owner, name] = None

    def forget(self) -> None:
        """Take note that all of it is in the archive now."""
        for noted in (self._jobs, self._keys, self._attempts, self._ends, self._transfers, self._templates):
            noted.clear()

    def job(self, job_id: str) -> JobRow | None:
        """Return a job, ended or not."""
        return self._jobs.get(job_id) or self._archive.job(job_id)

    def job_of_key(self, owner: str, idempotency_key: str) -> JobRow | None:
        """Return the job that this user's key has made."""
        job_id = self._keys.get((owner, idempotency_key))
        if job_id is not None:
            return self._jobs[job_id]
        row = self._archive.job_of_key(owner, idempotency_key)
        return row and self._jobs.get(row.job_id, row)

    def attempt(self, job_id: str, attempt: int) -> AttemptRow | None:
        """Return one attempt of a job."""
        row = self._attempts.get((job_id, attempt)) or self._archive.attempt(job_id, attempt)
        end = self._ends.get((job_id, attempt))
        if row is None or end is None:
            return row
        return replace(row, ended_at=end.ended_at, outcome=end.outcome, reason=end.reason)

    def history(self, owner: str | None, before: int | None, limit: int) -> Sequence[JobRow]:
        """Return at most `limit` jobs, newest first: of one owner or of all (None), with a number below `before`."""
        rows = {row.job_id: row for row in self._archive.history(owner, before, limit)}
        for row in self._jobs.values():
            if owner in (None, row.owner) and (before is None or row.number < before):
                rows[row.job_id] = row
        return sorted(rows.values(), key=lambda row: -row.number)[:limit]

    def count_by_state(self, owner: str | None) -> Mapping[State, int]:
        """Return how many jobs are in each state, of one owner or of all (None)."""
        counts = dict.fromkeys(State, 0) | dict(self._archive.count_by_state(owner))
        for row in self._jobs.values():
            if owner in (None, row.owner):
                old = self._archive.job(row.job_id)
                if old is not None:
                    counts[old.state] -= 1
                counts[row.state] += 1
        return counts

    def transfer(self, transfer_id: str) -> TransferRow | None:
        """Return one download."""
        return self._transfers.get(transfer_id) or self._archive.transfer(transfer_id)

    def transfers(self, job_id: str, limit: int) -> Sequence[TransferRow]:
        """Return at most `limit` downloads of a job, newest first."""
        rows = {row.transfer_id: row for row in self._archive.transfers(job_id, limit)}
        rows |= {row.transfer_id: row for row in self._transfers.values() if row.job_id == job_id}
        return sorted(rows.values(), key=lambda row: -row.number)[:limit]

    def count_downloads(self, job_ids: Iterable[str]) -> Mapping[str, int]:
        """Return how many downloads of each job are complete."""
        wanted = set(job_ids)
        counts = dict.fromkeys(wanted, 0) | dict(self._archive.count_downloads(wanted))
        for row in self._transfers.values():
            if row.job_id in wanted:
                old = self._archive.transfer(row.transfer_id)
                counts[row.job_id] += _complete(row) - (old is not None and _complete(old))
        return counts

    def template(self, owner: str, name: str) -> TemplateRow | None:
        """Return a user's template."""
        if (owner, name) in self._templates:
            return self._templates[owner, name]
        return self._archive.template(owner, name)

    def template_names(self, owner: str) -> Sequence[str]:
        """Return the names of a user's templates, sorted."""
        names = set(self._archive.template_names(owner))
        for (whose, name), row in self._templates.items():
            if whose == owner:
                (names.discard if row is None else names.add)(name)
        return sorted(names)


def _complete(row: TransferRow) -> bool:
    return row.state is TransferState.COMPLETED
