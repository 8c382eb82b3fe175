"""The acknowledged lane between a worker's supervisor and the broker, and the two lossy ones beside it: progress and control.

What changes a job's state travels here and is repeated until it is answered. A worker's word about an attempt that is no
longer its own is answered `fenced`, and the worker throws away what it has of it.
"""

from typing import Annotated

from msgspec import Meta

from labelferry_protocol.errors import Code
from labelferry_protocol.events import ExportCounts, StageProgress, WarningSummary
from labelferry_protocol.message import (
    Attempt,
    Count,
    JobId,
    Message,
    Name,
    Part,
    Path,
    Percent,
    Seconds,
    Sha256,
    Text,
    Timestamp,
    WorkerId,
)
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.requests import Refused, Token
from labelferry_protocol.words import Stage


class Holding(Part, frozen=True, kw_only=True):
    """An attempt that a worker holds now."""

    job_id: JobId
    attempt: Attempt


Holdings = Annotated[tuple[Holding, ...], Meta(max_length=256)]
Jobs = Annotated[tuple[JobId, ...], Meta(max_length=256)]


class Register(Message, frozen=True, kw_only=True):
    """worker -> broker: first, and whenever it is asked to: who I am, how many jobs I can run at once, what I still hold."""

    worker_id: WorkerId
    host: Name
    slots: Annotated[int, Meta(ge=1, le=256)]
    software: Name = ""
    holding: Holdings = ()
    paused: bool = False
    keeping: Jobs = ()
    """Jobs of which this worker keeps finished work for another attempt."""
    process: Name = ""
    """My process, as one on the same machine can look whether it lives (`process_mark`)."""
    here_for: Seconds | None = None
    """How long ago a broker welcomed this process first; None: I have just started, and removed what lost workers left here."""
    bundles: Annotated[int, Meta(ge=0, le=4096)] = 0
    """How many attempts beside those in slots I can hold whose bundle I have asked to bring: they take no slot."""


class Registered(Message, frozen=True, kw_only=True):
    """broker -> worker: you are known; renew every `renew_seconds`; what you hold in `abandon` is no longer yours: kill and clean it."""

    epoch: int
    lease_seconds: Seconds
    renew_seconds: Seconds
    abandon: Holdings = ()
    cancels: tuple["CancelOrder", ...] = ()
    ended: Jobs = ()
    """What of `keeping` nobody needs any more."""


class Renew(Message, frozen=True, kw_only=True):
    """worker -> broker: I live, and hold these; while `paused`, give me no more (my disk is full, say)."""

    worker_id: WorkerId
    holding: Holdings = ()
    paused: bool = False
    keeping: Jobs = ()


class Renewed(Message, frozen=True, kw_only=True):
    """broker -> worker: the leases of what you hold run on, but for those in `abandon`; stop those in `cancels` (again: a control frame may be lost)."""

    epoch: int
    abandon: Holdings = ()
    cancels: tuple["CancelOrder", ...] = ()
    ended: Jobs = ()


class Lease(Message, frozen=True, kw_only=True):
    """broker -> worker: run this attempt; answered with `attempt-started`. Repeated while the worker does not list it among what it holds."""

    job_id: JobId
    attempt: Attempt
    owner: Name
    project: Name
    source: Source
    options: ExportOptions
    reached: Percent = 0.0
    """What was told of the progress of attempts before this one, which goes on from there."""


class AttemptStarted(Message, frozen=True, kw_only=True):
    """worker -> broker: the child has begun. Left out where `attempt-finished` or `attempt-failed` follows at once, which say so too."""

    worker_id: WorkerId
    job_id: JobId
    attempt: Attempt


class CancelSeen(Message, frozen=True, kw_only=True):
    """worker -> broker: the cancel order has arrived; the child is being stopped. Not answered."""

    worker_id: WorkerId
    job_id: JobId
    attempt: Attempt


class RequestPublish(Message, frozen=True, kw_only=True):
    """worker -> broker: the bundle is ready here; may I bring it to the depot? Answered with `publish-granted`, `fenced`, or `cancel-order`."""

    worker_id: WorkerId
    job_id: JobId
    attempt: Attempt
    size: Count
    sha256: Sha256
    partial: bool = False
    """Whether it is what a cancel keeps; it may be whole all the same."""


class PublishGranted(Message, frozen=True, kw_only=True):
    """broker -> worker: show this token to the depot; if you can, link the bundle to `place` before, and it need not be sent."""

    job_id: JobId
    attempt: Attempt
    token: Token
    place: Path | None = None
    """A path in the depot's own folder, for a worker on its machine."""


class AttemptFinished(Message, frozen=True, kw_only=True):
    """worker -> broker: the depot has the bundle, as its receipt shows. Answered with `acknowledged` (published), `fenced`, or `cancel-order`."""

    worker_id: WorkerId
    job_id: JobId
    attempt: Attempt
    receipt: Token
    counts: ExportCounts
    warnings: Annotated[tuple[WarningSummary, ...], Meta(max_length=32)] = ()


class AttemptFailed(Message, frozen=True, kw_only=True):
    """worker -> broker: it cannot be done (`retryable` false), or could not be done this time. Cleaned up unless `cleanup_completed` is false."""

    worker_id: WorkerId
    job_id: JobId
    attempt: Attempt
    code: Code
    message: Text
    stage: Stage | None = None
    item: Name | None = None
    retryable: bool = False
    cleanup_completed: bool = True
    kept: bool = False
    """Whether this worker keeps finished work of the job for another attempt."""
    begun: bool = False
    """Whether the child had begun; said where `attempt-started` was not."""


class AttemptCancelled(Message, frozen=True, kw_only=True):
    """worker -> broker: stopped and cleaned up; with a receipt when the finished part was brought to the depot."""

    worker_id: WorkerId
    job_id: JobId
    attempt: Attempt
    cleanup_completed: bool
    forced: bool = False
    """Whether the child had to be killed."""
    receipt: Token | None = None
    counts: ExportCounts = ExportCounts()
    message: Text = ""
    partial: bool = True
    """Whether what was brought lacks something; not where all was made before the child heard of the cancel."""


class Drain(Message, frozen=True, kw_only=True):
    """worker -> broker: give me no more; I go when what I hold has ended."""

    worker_id: WorkerId


class Acknowledged(Message, frozen=True, kw_only=True):
    """broker -> worker: your word (the one with this correlation id) is in the ledger, durably."""


class Fenced(Message, frozen=True, kw_only=True):
    """broker -> worker: that attempt is not yours any more: kill it, throw away what it made, say no more of it."""

    job_id: JobId
    attempt: Attempt


class CancelOrder(Message, frozen=True, kw_only=True):
    """broker -> worker, on control (topic: job id), on work as an answer, and inside `renewed`: stop this attempt; answered with `cancel-seen`, then `attempt-cancelled`."""

    job_id: JobId
    attempt: Attempt
    keep_partial: bool = False
    grace: Seconds = 0.5


class DrainOrder(Message, frozen=True, kw_only=True):
    """broker -> worker, on control (topic: worker id): finish what you hold and go."""

    worker_id: WorkerId


class ProgressFrame(Message, frozen=True, kw_only=True):
    """worker -> broker, on progress (topic: job id): how far the attempt is. May be lost; the latest wins; never carries a change of state."""

    worker_id: WorkerId
    job_id: JobId
    attempt: Attempt
    progress: Percent
    stage: Stage
    message: Text
    stage_progress: StageProgress
    estimated_time_remaining: Seconds | None = None
    timestamp: Timestamp = 0.0
    stalled: bool = False
    """Whether nothing has moved for long."""


WorkerSays = (
    Register
    | Renew
    | AttemptStarted
    | CancelSeen
    | RequestPublish
    | AttemptFinished
    | AttemptFailed
    | AttemptCancelled
    | Drain
)
BrokerTellsWorker = Registered | Renewed | Lease | PublishGranted | Acknowledged | Fenced | CancelOrder | Refused
ControlLane = CancelOrder | DrainOrder
ProgressLane = ProgressFrame
