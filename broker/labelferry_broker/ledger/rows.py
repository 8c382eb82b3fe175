"""What the store keeps, one frozen row a thing. The ledger decides rows; the store only writes and reads them."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from labelferry_protocol.events import BundleFacts, Cancelled, Completed, ExportCounts, Failed, Progress, Started
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.words import CancelledBy, State, TransferState


class CancelMark(msgspec.Struct, frozen=True, kw_only=True):
    """The durable wish that a job end: whose hand, when (s, UTC), and whether the finished part is to be kept."""

    by: CancelledBy
    who: str
    at: float
    keep_partial: bool = False
    reason: str = ""


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job. What stands before `state` never changes."""

    job_id: str
    number: int
    """Its place in the order of all submits: 1, 2, ...; the queue and the history go by it."""
    owner: str
    idempotency_key: str
    project: str
    source: Source
    options: ExportOptions
    created_at: float

    state: State = State.QUEUED
    attempt: int = 0
    """The attempt that runs, or the last that did; 0 before the first lease."""
    worker_id: str | None = None
    """Who holds the attempt, or held it last."""
    worker_user: str | None = None
    seq_reserved: int = 0
    """No event of this job has a higher `seq`, in any epoch so far; after the terminal event, its `seq`."""
    retry_at: float | None = None
    """When a queued job may be leased again (s, UTC), if its last attempt asked for a pause."""
    reasons: tuple[str, ...] = ()
    """Why each attempt before this one ended, in words."""
    cancel: CancelMark | None = None
    started: Started | None = None
    progress: Progress | None = None
    terminal: Completed | Failed | Cancelled | None = None
    finished_at: float | None = None
    bundle: BundleFacts | None = None
    bundle_attempt: int | None = None
    """Whose bundle the depot keeps for this job; None when there was none, or retention has taken it."""
    counts: ExportCounts | None = None


class Outcome(StrEnum):
    """How an attempt stands, or how it ended: by which word of its worker, or `lost` without one."""

    LEASED = "leased"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One lease of a job: to whom, from when to when (s, UTC), and how it ended."""

    job_id: str
    attempt: int
    worker_id: str
    worker_user: str
    host: str
    leased_at: float
    ended_at: float | None = None
    outcome: Outcome = Outcome.LEASED
    reason: str = ""


class TransferRow(msgspec.Struct, frozen=True, kw_only=True):
    """One download of a bundle; sizes in bytes, times in s, UTC."""

    transfer_id: str
    number: int
    """Its place in the order of all transfers."""
    job_id: str
    user: str
    started_at: float
    updated_at: float
    received: int
    size: int
    state: TransferState


class TemplateRow(msgspec.Struct, frozen=True, kw_only=True):
    """A user's export options under a name."""

    owner: str
    name: str
    options: ExportOptions
    saved_at: float


@dataclass(frozen=True, slots=True)
class BundleRow:
    """A bundle that the depot keeps: its job, when that ended (s, UTC), and its size in bytes."""

    job_id: str
    finished_at: float
    size: int


@dataclass(frozen=True)
class Loaded:
    """What a broker that starts must know at once: every job that has not ended, and the last numbers given."""

    jobs: tuple[JobRow, ...] = ()
    last_job_number: int = 0
    last_transfer_number: int = 0
    bundles: tuple[BundleRow, ...] = ()
    """What the depot keeps, oldest first."""
