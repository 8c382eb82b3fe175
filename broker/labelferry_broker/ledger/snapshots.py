"""What is known of a job now, for who comes late, has missed something, or polls; and its line in the history."""

from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.rows import JobRow
from labelferry_broker.ledger.settings import Asker
from labelferry_protocol import limits
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import Cancelled, Completed, Failed, Snapshot
from labelferry_protocol.requests import JobSummary
from labelferry_protocol.words import Phase, State

SHOWN = 255
"""Characters of a source's location that a history shows: its end."""


def find(book: Book, asker: Asker, job_id: str) -> JobRow:
    """Return a job as it is now; the same `Refusal(NO_SUCH_JOB)` for one that is not there and one that is not the asker's."""
    job = book.live.get(job_id)
    row = job.row if job is not None else book.archive.job(job_id)
    if row is None or not asker.may_see(row.owner):
        raise Refusal(Code.NO_SUCH_JOB, f"there is no job {job_id} of yours: `labelferry history` lists them")
    return row


def snapshot_of(book: Book, row: JobRow) -> Snapshot:
    """Return the snapshot of a job; events with a higher `seq` follow it."""
    job = book.live.get(row.job_id)
    position = book.queue.position(row.owner, row.number, row.job_id) if row.state is State.QUEUED else None
    return Snapshot(
        job_id=row.job_id,
        epoch=book.epoch,
        attempt=row.attempt,
        seq=job.seq if job is not None else row.seq_reserved,
        timestamp=book.now.wall,
        project=row.project,
        owner=row.owner,
        state=row.state,
        created_at=row.created_at,
        position=position,
        started=row.started,
        progress=row.progress,
        terminal=row.terminal,
        cancel_requested_by=row.cancel.who if row.cancel else None,
        cancel_requested_at=row.cancel.at if row.cancel else None,
    )


def summary_of(row: JobRow, downloads: int) -> JobSummary:
    """Return a job's line in the history."""
    place = row.source.location
    return JobSummary(
        job_id=row.job_id,
        project=row.project,
        owner=row.owner,
        state=row.state,
        source=place if len(place) <= SHOWN else "…" + place[1 - SHOWN :],
        created_at=row.created_at,
        finished_at=row.finished_at,
        attempt=row.attempt,
        progress=row.progress.progress if row.progress else 0.0,
        phase=Phase.DOWNLOADING if row.state is State.COMPLETED else Phase.PROCESSING,
        bundle=row.bundle,
        available=row.bundle_attempt is not None,
        counts=row.counts,
        message=_message(row)[: limits.MESSAGE_CHARACTERS],
        downloads=downloads,
    )


def _message(row: JobRow) -> str:
    match row.terminal:
        case Failed(message=message) | Cancelled(message=message):
            return message
        case Completed():
            return ""
    return row.progress.message if row.progress else ""
