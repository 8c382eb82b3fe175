"""What the ledger decides, to be done by others: first every `Save` in one transaction, then the rest in the order given.

Nothing here acts. The Dispatcher performs; a test compares.
"""

from dataclasses import dataclass
from typing import ClassVar

from labelferry_broker.ledger.rows import AttemptRow, JobRow, Outcome, TemplateRow, TransferRow
from labelferry_protocol import depot, requests, work
from labelferry_protocol.events import BundleFacts, JobEvent, Snapshot
from labelferry_protocol.tokens import Claims, Purpose
from labelferry_protocol.words import State

Answer = (
    requests.Submitted
    | requests.CancelAccepted
    | requests.CancelSettled
    | Snapshot
    | requests.History
    | requests.DownloadReported
    | requests.Transfers
    | requests.Template
    | requests.TemplateDeleted
    | requests.Templates
    | requests.Overview
    | requests.Refused
)
Word = (
    work.Registered | work.Renewed | work.Lease | work.Acknowledged | work.Fenced | work.CancelOrder | requests.Refused
)


@dataclass(frozen=True, slots=True)
class AddJob:
    """Save: a job that was not there before."""

    row: JobRow


@dataclass(frozen=True, slots=True)
class UpdateJob:
    """Save: a job as it is from now on, if it is in `previous` still; anything else is a bug and must stop the broker."""

    previous: State
    row: JobRow


@dataclass(frozen=True, slots=True)
class AddAttempt:
    """Save: an attempt that was not there before."""

    row: AttemptRow


@dataclass(frozen=True, slots=True)
class EndAttempt:
    """Save: how an attempt ended, if it has not ended before; anything else is a bug and must stop the broker."""

    job_id: str
    attempt: int
    ended_at: float
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SaveTransfer:
    """Save: a download, new or as it is from now on."""

    row: TransferRow


@dataclass(frozen=True, slots=True)
class SaveTemplate:
    """Save: a template, new or in the place of the older one of that name."""

    row: TemplateRow


@dataclass(frozen=True, slots=True)
class DropTemplate:
    """Save: a template is forgotten."""

    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Send on requests: `message` to the connection `peer`, with the correlation id of what it answers."""

    peer: bytes
    ref: str
    message: Answer


@dataclass(frozen=True, slots=True)
class Tell:
    """Send on work: `message` to the connection `peer`; `ref` is empty where nobody asked (a lease)."""

    peer: bytes
    ref: str
    message: Word


@dataclass(frozen=True, slots=True)
class Publish:
    """Send on events: `event` on the topic of its job."""

    event: JobEvent


@dataclass(frozen=True, slots=True)
class Order:
    """Send on control: `message` on the topic of `identity`, a job or a worker."""

    identity: str
    message: work.ControlLane


@dataclass(frozen=True, slots=True)
class TellDepot:
    """Send on the depot's inner lane."""

    message: depot.Keep | depot.Discard


@dataclass(frozen=True, slots=True)
class AdmitUpload:
    """Sign `claims` for `purpose` and send `message(token, place)` to the worker at `peer`, on work: the ledger holds no secret, and knows no disk."""

    peer: bytes
    ref: str
    claims: Claims
    purpose: ClassVar[Purpose] = "upload"

    def message(self, token: bytes, place: str | None) -> work.PublishGranted:
        """Return the answer with its token, and where a worker that can may put the bundle itself."""
        return work.PublishGranted(job_id=self.claims.job_id, attempt=self.claims.attempt, token=token, place=place)


@dataclass(frozen=True, slots=True)
class AdmitDownload:
    """Sign `claims` for `purpose` and send `message(token, place)` to the client at `peer`, on requests."""

    peer: bytes
    ref: str
    transfer_id: str
    bundle: BundleFacts
    claims: Claims
    purpose: ClassVar[Purpose] = "download"

    def message(self, token: bytes, place: str | None) -> requests.DownloadOpened:
        """Return the answer with its token, and where a client that can may read the bundle itself."""
        return requests.DownloadOpened(
            transfer_id=self.transfer_id, job_id=self.claims.job_id, bundle=self.bundle, token=token, place=place
        )


Save = AddJob | UpdateJob | AddAttempt | EndAttempt | SaveTransfer | SaveTemplate | DropTemplate
Sending = Reply | Tell | Publish | Order | TellDepot | AdmitUpload | AdmitDownload
Effect = Save | Sending

SAVES = (AddJob, UpdateJob, AddAttempt, EndAttempt, SaveTransfer, SaveTemplate, DropTemplate)
"""The classes of `Save`, for `isinstance`."""
