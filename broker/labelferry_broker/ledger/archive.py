"""What the ledger may read of the past: jobs that have ended, transfers, templates. The store implements it; tests have a twin in memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from labelferry_broker.ledger.rows import AttemptRow, JobRow, TemplateRow, TransferRow
from labelferry_protocol.words import State


class Archive(Protocol):
    """Reads of what was applied so far. Each may raise `Refusal(STORE)` when the store cannot be read now."""

    def job(self, job_id: str) -> JobRow | None:
        """Return a job, ended or not."""

    def job_of_key(self, owner: str, idempotency_key: str) -> JobRow | None:
        """Return the job that this user's key has made."""

    def attempt(self, job_id: str, attempt: int) -> AttemptRow | None:
        """Return one attempt of a job."""

    def history(self, owner: str | None, before: int | None, limit: int) -> Sequence[JobRow]:
        """Return at most `limit` jobs, newest first: of one owner or of all (None), with a number below `before`."""

    def count_by_state(self, owner: str | None) -> Mapping[State, int]:
        """Return how many jobs are in each state, of one owner or of all (None); states without a job may be left out."""

    def transfer(self, transfer_id: str) -> TransferRow | None:
        """Return one download."""

    def transfers(self, job_id: str, limit: int) -> Sequence[TransferRow]:
        """Return at most `limit` downloads of a job, newest first."""

    def count_downloads(self, job_ids: Iterable[str]) -> Mapping[str, int]:
        """Return how many downloads of each job are complete; jobs without one may be left out."""

    def template(self, owner: str, name: str) -> TemplateRow | None:
        """Return a user's template."""

    def template_names(self, owner: str) -> Sequence[str]:
        """Return the names of a user's templates, sorted."""
