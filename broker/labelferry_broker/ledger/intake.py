"""Submits: how a request becomes a job, once for ever."""

from labelferry_broker.ledger import templates
from labelferry_broker.ledger.alarms import Purpose
from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.effects import Reply
from labelferry_broker.ledger.jobs import Job, project_name
from labelferry_broker.ledger.rows import JobRow
from labelferry_broker.ledger.settings import Asker
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.requests import Submit, Submitted


def submit(book: Book, peer: bytes, ref: str, asker: Asker, message: Submit) -> None:
    """Make a job, or find the one that this key has made before."""
    row = book.archive.job_of_key(asker.user, message.idempotency_key)
    created = row is None
    if row is None:
        row = _make(book, asker, message)
    answer = Submitted(job_id=row.job_id, state=row.state, project=row.project, created=created)
    book.emit(Reply(peer, ref, answer))


def set_timeout(book: Book, job: Job) -> None:
    """Set the alarm of a job's own `timeout`, counted from its submit; a wall clock that jumped cannot lengthen it."""
    timeout = job.row.options.timeout
    if timeout is not None:
        left = min(max(job.row.created_at + timeout - book.now.wall, 0.0), timeout)
        book.alarms.set(book.now.steady + left, Purpose.TIMEOUT, job.row.job_id)


def _make(book: Book, asker: Asker, message: Submit) -> JobRow:
    location = message.source.location
    if not location.startswith("/") and "://" not in location:
        raise Refusal(Code.USAGE, f"where a project is must be said as an absolute path, not {location!r}")
    templates.check_options(book, message.source, message.options)
    limit = book.settings.queued_per_user
    if book.queued_of.get(asker.user, 0) >= limit:
        raise Refusal(
            Code.QUOTA,
            f"{limit} of your jobs wait already, which is all a user may have: submit more when some have run",
            retry_after=book.settings.quota_retry_seconds,
        )
    if book.queued_in_all >= book.settings.queued_in_all:
        raise Refusal(
            Code.BUSY,
            f"{book.queued_in_all} jobs wait already, which is all this broker takes: try again when some have run",
            retry_after=book.settings.quota_retry_seconds,
        )
    book.last_job_number += 1
    row = JobRow(
        job_id=book.new_id(),
        number=book.last_job_number,
        owner=asker.user,
        idempotency_key=message.idempotency_key,
        project=project_name(message),
        source=message.source,
        options=message.options,
        created_at=book.now.wall,
    )
    job = book.add(row)
    job.submitted_at = book.now.steady
    book.queue.add(row.owner, row.number, row.job_id)
    set_timeout(book, job)
    return row
