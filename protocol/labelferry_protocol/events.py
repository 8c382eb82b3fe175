"""What the broker tells subscribers about one job, on the topic that is its id.

The lane carries each event once, in the order of `seq`; a new subscriber is first sent the `Snapshot`. Beats on a topic of
their own keep a quiet lane alive.
"""

from typing import Annotated

from msgspec import Meta

from labelferry_protocol.errors import Code
from labelferry_protocol.message import (
    Count,
    JobId,
    Message,
    Name,
    Part,
    Percent,
    Seconds,
    Sha256,
    Text,
    Timestamp,
    Word,
)
from labelferry_protocol.words import CancelledBy, Phase, Stage, State


class StageProgress(Part, frozen=True, kw_only=True):
    """How far a stage is: `current` of `total` items (bytes while compressing or downloading), and the item at hand."""

    current: Count
    total: Count
    current_item: Name | None = None


class WarningSummary(Part, frozen=True, kw_only=True):
    """One kind of warning of a job: how often it came, and one of them in words. All of them are in the bundle's manifest.

    `format` is the format it is about, where it is about one; `losses` says how often that did what (`bridged`, `dropped`, ...).
    """

    code: Word
    count: Count
    example: Text = ""
    format: Word | None = None
    losses: Annotated[dict[Word, Count], Meta(max_length=32)] = {}


class ExportCounts(Part, frozen=True, kw_only=True):
    """What is in a bundle."""

    images: Count = 0
    objects: Count = 0
    classes: Count = 0
    files: Count = 0
    skipped: Count = 0


class BundleFacts(Part, frozen=True, kw_only=True):
    """What a published bundle is: its size in bytes, its digest, and whether it lacks something, for a cancel ended its making."""

    size: Count
    sha256: Sha256
    partial: bool = False
    file_name: Name = "export.zip"


class Event(Message, frozen=True, kw_only=True):
    """What every event says: whose it is and where it stands. Order by `seq`; a new `epoch` is a restarted broker: ask for a snapshot."""

    job_id: JobId
    epoch: int
    attempt: int
    seq: int
    timestamp: Timestamp


class Started(Event, frozen=True, kw_only=True):
    """broker -> subscribers: a worker has begun an attempt."""

    project: Name
    worker: Name
    total_items: Count = 0


class Progress(Event, frozen=True, kw_only=True):
    """broker -> subscribers: how far the attempt is. `progress` is 0-100 within `phase`; in total, processing is 0-50 and downloading 50-100."""

    progress: Percent
    phase: Phase
    stage: Stage | None
    message: Text
    stage_progress: StageProgress
    estimated_time_remaining: Seconds | None = None
    stalled: bool = False
    """Whether this says that nothing has moved for long: the next one without this says that it moves again."""


class PhaseChanged(Event, frozen=True, kw_only=True):
    """broker -> subscribers: the bundle is published; what follows for whoever wants it is downloading."""

    previous: Phase
    phase: Phase


class Completed(Event, frozen=True, kw_only=True):
    """broker -> subscribers: the bundle is published; nothing of the job follows. `path` is filled in by a client that downloaded it."""

    project: Name
    bundle: BundleFacts
    counts: ExportCounts
    warnings: tuple[WarningSummary, ...] = ()
    duration: Seconds = 0.0
    path: str | None = None


class Failed(Event, frozen=True, kw_only=True):
    """broker -> subscribers: the job ended without a bundle; nothing of it follows. `message` says what, where and what to do."""

    project: Name
    code: Code
    message: Text
    stage: Stage | None = None
    item: Name | None = None
    retryable: bool = False


class Cancelled(Event, frozen=True, kw_only=True):
    """broker -> subscribers: the job has stopped and is cleaned up (`cleanup_completed`); nothing of it follows.

    `who` is the user name, or what in the system did it. `bundle` is there when the finished part was kept, `counts` says what it holds;
    `partial` that it lacks something: a bundle that was whole before the cancel arrived is none.
    """

    project: Name
    cancelled_by: CancelledBy
    who: Name
    progress: Percent
    phase: Phase
    cleanup_completed: bool
    partial: bool = False
    message: Text = ""
    requested_at: Timestamp | None = None
    bundle: BundleFacts | None = None
    counts: ExportCounts | None = None


Terminal = Completed | Failed | Cancelled


class Snapshot(Event, frozen=True, kw_only=True):
    """broker -> one subscriber, and the reply to `get-snapshot`: all that is known of a job now; events with a higher `seq` follow it."""

    project: Name
    owner: Name
    state: State
    created_at: Timestamp
    position: Count | None = None
    """How many jobs are leased before this one, while it is queued."""
    started: Started | None = None
    progress: Progress | None = None
    terminal: Terminal | None = None
    cancel_requested_by: Name | None = None
    cancel_requested_at: Timestamp | None = None


class Beat(Message, frozen=True, kw_only=True):
    """broker -> all subscribers of the beat topic, every second: the lane is alive, and this is the broker's epoch."""

    epoch: int
    timestamp: Timestamp


JobEvent = Started | Progress | PhaseChanged | Completed | Failed | Cancelled
EventsLane = Started | Progress | PhaseChanged | Completed | Failed | Cancelled | Snapshot | Beat

TERMINAL_EVENTS = (Completed, Failed, Cancelled)

OverallPercent = Annotated[float, Meta(ge=0, le=100)]


def overall(progress: float, phase: Phase) -> OverallPercent:
    """Return the progress in total (0-100) of `progress` within `phase`: processing is the first half, downloading the second."""
    return progress / 2 if phase is Phase.PROCESSING else 50 + progress / 2
