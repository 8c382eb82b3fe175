"""What clients ask the broker, and its answers. Every request carries a correlation id in its header; answers may come out of order."""

from typing import Annotated

from msgspec import Meta

from labelferry_protocol.errors import Code
from labelferry_protocol.events import BundleFacts, Cancelled, Completed, ExportCounts, Failed, Snapshot
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
    Text,
    Timestamp,
    Word,
)
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.words import Phase, Role, State, TransferState

Token = Annotated[bytes, Meta(max_length=2048)]


class Hello(Message, frozen=True, kw_only=True):
    """client or worker -> broker: first on every connection to the requests lane; may be repeated at any time."""

    minimum_version: int
    maximum_version: int
    features: tuple[Word, ...] = ()
    software: Name = ""


class Welcome(Message, frozen=True, kw_only=True):
    """broker -> client or worker: the version both speak, who you are here, and where the other lanes are.

    `endpoints` maps a lane to its endpoint; in a tcp endpoint the host `*` stands for the host you reached the broker at.
    """

    version: int
    features: tuple[Word, ...]
    epoch: int
    user: Name
    role: Role
    endpoints: dict[Word, Name]
    software: Name = ""
    timestamp: Timestamp = 0.0


class Submit(Message, frozen=True, kw_only=True):
    """client -> broker: make a job of this source and these options; the same key from the same user is the same job, whenever it is sent again."""

    idempotency_key: Word
    source: Source
    options: ExportOptions = ExportOptions()


class Submitted(Message, frozen=True, kw_only=True):
    """broker -> client: the job is in the ledger, durably. `created` is false when the key had made it before."""

    job_id: JobId
    state: State
    project: Name
    created: bool = True


class Cancel(Message, frozen=True, kw_only=True):
    """client -> broker: stop this job (only this attempt of it, if one is named). Without `keep_partial` the job's own option holds."""

    job_id: JobId
    keep_partial: bool | None = None
    attempt: Attempt | None = None
    reason: Text | None = None


class CancelAccepted(Message, frozen=True, kw_only=True):
    """broker -> client: the wish is in the ledger, durably; `cancel-settled` follows with the same correlation id when the job has ended."""

    job_id: JobId
    state: State


class CancelSettled(Message, frozen=True, kw_only=True):
    """broker -> client: how the job ended. `outcome` is a `cancelled` event, or what had come before the cancel."""

    job_id: JobId
    outcome: Cancelled | Completed | Failed


class GetSnapshot(Message, frozen=True, kw_only=True):
    """client -> broker: tell me all that is known of this job now; answered with a `snapshot`. Resync and polling use it."""

    job_id: JobId


class JobSummary(Part, frozen=True, kw_only=True):
    """One row of the history."""

    job_id: JobId
    project: Name
    owner: Name
    state: State
    source: str
    created_at: Timestamp
    finished_at: Timestamp | None = None
    attempt: int = 0
    progress: Percent = 0.0
    phase: Phase = Phase.PROCESSING
    bundle: BundleFacts | None = None
    available: bool = False
    """Whether the bundle can be downloaded now."""
    counts: ExportCounts | None = None
    message: Text = ""
    downloads: Count = 0


class GetHistory(Message, frozen=True, kw_only=True):
    """client -> broker: the newest of my jobs (an admin's: of everybody's, with `everybody`), at most `limit`, older than `before` if it is given."""

    limit: Annotated[int, Meta(ge=1, le=50)] = 20
    before: JobId | None = None
    everybody: bool | None = None


class History(Message, frozen=True, kw_only=True):
    """broker -> client: jobs, newest first; `more` says that older ones exist."""

    jobs: tuple[JobSummary, ...]
    more: bool = False


class OpenDownload(Message, frozen=True, kw_only=True):
    """client -> broker: I want this job's bundle; name the transfer to go on with one that was cut."""

    job_id: JobId
    transfer_id: JobId | None = None


class DownloadOpened(Message, frozen=True, kw_only=True):
    """broker -> client: show this token to the depot. Keep `transfer_id` to resume and to report."""

    transfer_id: JobId
    job_id: JobId
    bundle: BundleFacts
    token: Token
    place: Path | None = None
    """The bundle in the depot's own folder, for a client on its machine that can read it there."""


class ReportDownload(Message, frozen=True, kw_only=True):
    """client -> broker: how far a download is; sent when it ends, and at times before."""

    transfer_id: JobId
    received: Count
    state: TransferState


class DownloadReported(Message, frozen=True, kw_only=True):
    """broker -> client: noted in the history."""

    transfer_id: JobId


class TransferSummary(Part, frozen=True, kw_only=True):
    """One download of a bundle: who, when, how far."""

    transfer_id: JobId
    user: Name
    started_at: Timestamp
    updated_at: Timestamp
    received: Count
    size: Count
    state: TransferState


class GetTransfers(Message, frozen=True, kw_only=True):
    """client -> broker: who downloaded this job's bundle."""

    job_id: JobId


class Transfers(Message, frozen=True, kw_only=True):
    """broker -> client: the downloads of one job, newest first (at most 50)."""

    job_id: JobId
    transfers: tuple[TransferSummary, ...]


class SaveTemplate(Message, frozen=True, kw_only=True):
    """client -> broker: keep these options under this name among mine; an older one of that name is replaced."""

    name: Word
    options: ExportOptions


class GetTemplate(Message, frozen=True, kw_only=True):
    """client -> broker: my options of this name; answered with `template`."""

    name: Word


class DeleteTemplate(Message, frozen=True, kw_only=True):
    """client -> broker: forget my options of this name."""

    name: Word


class ListTemplates(Message, frozen=True, kw_only=True):
    """client -> broker: the names of my templates."""


class Template(Message, frozen=True, kw_only=True):
    """broker -> client: a template, as it is kept now (also the answer to `save-template`)."""

    name: Word
    options: ExportOptions
    saved_at: Timestamp


class TemplateDeleted(Message, frozen=True, kw_only=True):
    """broker -> client: it is forgotten."""

    name: Word


class Templates(Message, frozen=True, kw_only=True):
    """broker -> client: names, sorted."""

    names: tuple[Word, ...]


class WorkerSummary(Part, frozen=True, kw_only=True):
    """One worker that is connected now."""

    worker_id: JobId
    host: Name
    user: Name
    slots: Count
    busy: Count
    seen: Seconds
    """Seconds since its last word."""
    draining: bool = False
    paused: bool = False
    """Whether it takes no job now, for its disk is full."""
    software: Name = ""


class GetOverview(Message, frozen=True, kw_only=True):
    """client -> broker: how are you."""


class Overview(Message, frozen=True, kw_only=True):
    """broker -> client: the state of the service. Jobs by state are the asker's own, an admin's are everybody's."""

    software: Name
    epoch: int
    uptime: Seconds
    jobs: dict[State, Count]
    workers: tuple[WorkerSummary, ...]
    depot_ready: bool
    bundles: Count = 0
    bundle_bytes: Count = 0
    timestamp: Timestamp = 0.0
    """The broker's clock."""
    full: bool = False
    """Whether newcomers are kept out, for the broker has too few descriptors left."""
    stalled: Count = 0
    """Running jobs, of those counted in `jobs`, in which nothing has moved for long."""


class Refused(Message, frozen=True, kw_only=True):
    """broker or depot -> whoever asked: no, and why; `retry_after` in seconds where asking again may help."""

    code: Code
    message: Text
    retry_after: Seconds | None = None


ClientSays = (
    Hello
    | Submit
    | Cancel
    | GetSnapshot
    | GetHistory
    | OpenDownload
    | ReportDownload
    | GetTransfers
    | SaveTemplate
    | GetTemplate
    | DeleteTemplate
    | ListTemplates
    | GetOverview
)
BrokerAnswers = (
    Welcome
    | Submitted
    | CancelAccepted
    | CancelSettled
    | Snapshot
    | History
    | DownloadOpened
    | DownloadReported
    | Transfers
    | Template
    | TemplateDeleted
    | Templates
    | Overview
    | Refused
)
