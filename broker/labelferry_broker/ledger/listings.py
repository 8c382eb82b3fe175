"""What a person asks to see of many jobs: the history, and how the whole service is."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from labelferry_broker.ledger.alarms import Purpose
from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.effects import Reply
from labelferry_broker.ledger.figures import Figures
from labelferry_broker.ledger.rows import JobRow
from labelferry_broker.ledger.settings import Asker
from labelferry_broker.ledger.snapshots import find, summary_of
from labelferry_protocol import limits
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.message import Part
from labelferry_protocol.requests import GetHistory, History, Overview, WorkerSummary

P = TypeVar("P", bound=Part)

ROOM = limits.MAX_BODY_BYTES - 4096
"""Bytes that the lines of one answer may take."""


def tell_history(book: Book, peer: bytes, ref: str, asker: Asker, message: GetHistory) -> None:
    """Tell the newest jobs of an asker, or of everybody to an admin; fewer than asked for when they are long."""
    if message.everybody and not asker.admin:
        raise Refusal(Code.ACCESS, "only an admin may list everybody's jobs")
    owner = None if message.everybody else asker.user
    before = find(book, asker, message.before).number if message.before is not None else None
    rows = [_newest(book, row) for row in book.archive.history(owner, before, message.limit + 1)]
    downloads = book.archive.count_downloads(row.job_id for row in rows)
    lines = _fitting(summary_of(row, downloads.get(row.job_id, 0)) for row in rows[: message.limit])
    book.emit(Reply(peer, ref, History(jobs=lines, more=len(rows) > len(lines))))


def tell_overview(book: Book, peer: bytes, ref: str, asker: Asker, began: float) -> None:
    """Tell how the service is; `began` is the steady time of its start."""
    counts = book.archive.count_by_state(None if asker.admin else asker.user)
    workers = (
        WorkerSummary(
            worker_id=worker.worker_id,
            host=worker.host,
            user=worker.user,
            slots=worker.slots,
            busy=book.crew.busy(worker),
            seen=max(0.0, book.now.steady - worker.seen),
            draining=worker.draining,
            paused=worker.paused,
            software=worker.software,
        )
        for worker in book.crew.workers.values()
    )
    overview = Overview(
        software=book.settings.software,
        epoch=book.epoch,
        uptime=max(0.0, book.now.steady - began),
        jobs=dict(counts),
        workers=_fitting(workers),
        depot_ready=book.depot_ready,
        full=book.full,
        bundles=len(book.shelf),
        bundle_bytes=book.shelf.size,
        timestamp=book.now.wall,
        stalled=sum(job.stalled for job in book.crew.all_held() if asker.admin or job.row.owner == asker.user),
    )
    book.emit(Reply(peer, ref, overview))


def figures_of(book: Book) -> Figures:
    """Return the ledger in numbers."""
    oldest = book.live.get(book.queue.oldest() or "")
    ends = [book.alarms.at(Purpose.LEASE, job.row.job_id) for job in book.crew.all_held()]
    soonest = min((end for end in ends if end is not None), default=None)
    workers = list(book.crew.workers.values())
    reading = book.tally
    return Figures(
        states=dict(reading.states),
        queue_age=book.lasted(oldest.submitted_at, oldest.row.created_at) if oldest is not None else 0.0,
        lease_age=max(0.0, book.settings.lease_seconds - (soonest - book.now.steady)) if soonest is not None else 0.0,
        workers=len(workers),
        slots=sum(worker.slots for worker in workers),
        busy=sum(book.crew.busy(worker) for worker in workers),
        frames=reading.frames,
        cancels=reading.cancels.read(),
        bundles=len(book.shelf),
        bundle_bytes=book.shelf.size,
        depot_ready=book.depot_ready,
        stalled=sum(job.stalled for job in book.crew.all_held()),
    )


def _newest(book: Book, row: JobRow) -> JobRow:
    """Return a row with the progress that is not saved yet."""
    job = book.live.get(row.job_id)
    return job.row if job is not None else row


def _fitting(lines: Iterable[P]) -> tuple[P, ...]:
    taken, room = [], ROOM
    for line in lines:
        room -= len(msgspec.msgpack.encode(line))
        if room < 0:
            break
        taken.append(line)
    return tuple(taken)
