"""Retention: bundles go by age and by the size of all of them, oldest first. A job's row stays; its bundle is not available any more."""

from itertools import islice

from msgspec.structs import replace

from labelferry_broker.ledger.alarms import Purpose
from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.effects import TellDepot, UpdateJob
from labelferry_protocol.depot import Discard
from labelferry_protocol.errors import Refusal

AT_ONCE = 64
"""Bundles taken in one turn, so that a large sweep holds nobody up."""
SOON_SECONDS = 0.1
"""Until the next turn of a large sweep."""


def sweep(book: Book) -> None:
    """Let go of what is due, and come back."""
    due = list(islice(book.shelf.due(book.now.steady, book.settings), AT_ONCE))
    wait = SOON_SECONDS if len(due) == AT_ONCE else book.settings.sweep_seconds
    book.alarms.set(book.now.steady + wait, Purpose.RETENTION)
    try:
        for job_id in due:
            _evict(book, job_id)
    except Refusal:
        # The store cannot be read now: what is left of it is due still when the alarm rings again.
        return


def _evict(book: Book, job_id: str) -> None:
    row = book.archive.job(job_id)
    book.shelf.remove(job_id)
    if row is not None and row.bundle_attempt is not None:
        book.save(UpdateJob(row.state, replace(row, bundle_attempt=None)))
        # Should this be lost: a depot that starts, and each at times, asks what of its store is wanted.
        book.emit(TellDepot(Discard(job_id=job_id, attempt=row.bundle_attempt)))
