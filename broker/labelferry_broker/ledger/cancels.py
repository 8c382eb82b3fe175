"""Cancels: the durable mark, the order that is repeated until it is seen, the confirmation that everybody who asked waits for."""

from msgspec.structs import replace

from labelferry_broker.ledger.alarms import Purpose
from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.effects import Order, Reply, Tell
from labelferry_broker.ledger.jobs import HELD, Job
from labelferry_broker.ledger.rows import CancelMark, JobRow
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import BundleFacts, Cancelled, ExportCounts
from labelferry_protocol.life import Move, after
from labelferry_protocol.requests import Cancel, CancelAccepted, CancelSettled
from labelferry_protocol.words import CancelledBy, Phase, State
from labelferry_protocol.work import CancelOrder

FIRST_REPEAT = 0.1
"""Share of the full interval after which an order is repeated first: a worker that has only just subscribed may have missed it."""


class Cancels:
    """Ends jobs on somebody's wish."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def ask(self, peer: bytes, ref: str, user: str, row: JobRow, message: Cancel) -> None:
        """Take a client's wish: say that it is durable, and how the job ended as soon as it has."""
        _check_attempt(row, message.attempt)
        job = self._book.live.get(row.job_id)
        if job is None:
            self._settle(peer, ref, row)
            return
        if len(job.waiters) >= self._book.settings.waiters_per_job and (peer, ref) not in job.waiters:
            raise Refusal(Code.BUSY, "too many wait for the end of this job already: watch its events", retry_after=1.0)
        job.waiters[peer, ref] = None
        state = row.state if row.state is State.CANCELLING else after(row.state, Move.CANCEL)
        self._book.emit(Reply(peer, ref, CancelAccepted(job_id=row.job_id, state=state)))
        if row.state is not State.CANCELLING:
            keep = row.options.keep_partial if message.keep_partial is None else message.keep_partial
            self._mark(job, CancelledBy.USER, user, keep_partial=keep, reason=message.reason)
        elif message.keep_partial is not None:
            self._change_wish(job, keep_partial=message.keep_partial)

    def time_out(self, job: Job) -> None:
        """Cancel a job whose own `timeout` is over; one that is being cancelled already goes on as it is."""
        if job.row.state is not State.CANCELLING:
            reason = f"it took longer than its timeout of {job.row.options.timeout:g} s"
            keep = job.row.options.keep_partial
            self._mark(job, CancelledBy.TIMEOUT, "timeout", keep_partial=keep, reason=reason)

    def take_up(self, job: Job) -> None:
        """Go on with a cancel that a broker before this one has marked."""
        job.order_gap = self._book.settings.order_repeat_seconds * FIRST_REPEAT
        self._book.alarms.set(self._book.now.steady, Purpose.ORDER, job.row.job_id)

    def order(self, job: Job) -> CancelOrder:
        """Return the order for whoever has the job."""
        row = job.row
        assert row.cancel is not None  # noqa: S101 - a cancelling job carries the mark
        grace = self._book.settings.cancel_grace_seconds
        return CancelOrder(job_id=row.job_id, attempt=row.attempt, keep_partial=row.cancel.keep_partial, grace=grace)

    def repeat(self, job: Job) -> None:
        """Send the order, and again later until it is seen."""
        if job.order_gap:
            self._book.emit(Order(job.row.job_id, self.order(job)))
            self._book.alarms.set(self._book.now.steady + job.order_gap, Purpose.ORDER, job.row.job_id)
            job.order_gap = min(2 * job.order_gap, self._book.settings.order_repeat_seconds)

    def seen(self, job: Job) -> None:
        """Take note that the order has arrived."""
        job.order_gap = 0.0
        self._book.alarms.drop(Purpose.ORDER, job.row.job_id)

    def confirm(
        self,
        job: Job,
        move: Move,
        *,
        cleanup_completed: bool,
        message: str = "",
        bundle: BundleFacts | None = None,
        counts: ExportCounts | None = None,
    ) -> None:
        """End a job as cancelled; `bundle` is what was kept of it."""
        row = job.row
        assert row.cancel is not None  # noqa: S101 - a job that ends so carries the mark
        event = self._book.stamp(
            job,
            Cancelled,
            project=row.project,
            cancelled_by=row.cancel.by,
            who=row.cancel.who,
            progress=row.progress.progress if row.progress else 0.0,
            phase=Phase.PROCESSING,
            cleanup_completed=cleanup_completed and job.doubted_until <= self._book.now.steady,
            partial=bundle is not None,
            message="; ".join(filter(None, (row.cancel.reason, message)))[:1024],
            requested_at=row.cancel.at,
            bundle=bundle,
        )
        self._book.tally.cancels.add(max(0.0, self._book.now.wall - row.cancel.at))
        kept = {"bundle": bundle, "bundle_attempt": row.attempt, "counts": counts} if bundle else {}
        self._book.end(job, move, event, **kept)

    def _mark(self, job: Job, by: CancelledBy, who: str, *, keep_partial: bool, reason: str) -> None:
        mark = CancelMark(by=by, who=who, at=self._book.now.wall, keep_partial=keep_partial, reason=reason)
        if job.row.state is State.QUEUED:
            self._book.update(job, cancel=mark)
            keepers = self._book.crew.keepers(job.row.job_id)
            for worker in keepers:
                self._book.emit(Tell(worker.peer, "", self.order(job)))
            hosts = ", ".join(sorted({worker.host for worker in keepers}))
            message = f"what was finished before, and kept on {hosts}, is being removed" if keepers else ""
            self.confirm(job, Move.CANCEL, cleanup_completed=not keepers, message=message)
            return
        self._book.move(job, Move.CANCEL, cancel=mark)
        self._give_order(job)

    def _change_wish(self, job: Job, *, keep_partial: bool) -> None:
        """Let the last wish win while its worker has not ended: who cancelled, and when, stays as it was first."""
        mark = job.row.cancel
        if mark is not None and mark.keep_partial is not keep_partial:
            self._book.update(job, cancel=replace(mark, keep_partial=keep_partial))
            self._give_order(job)

    def _give_order(self, job: Job) -> None:
        """Tell the order on work, behind the lease it is about, and on control until it is seen."""
        worker = self._book.crew.workers.get(job.row.worker_id or "")
        if worker is not None and worker.connected:
            self._book.emit(Tell(worker.peer, "", self.order(job)))
        job.order_gap = self._book.settings.order_repeat_seconds * FIRST_REPEAT
        self.repeat(job)

    def _settle(self, peer: bytes, ref: str, row: JobRow) -> None:
        assert row.terminal is not None  # noqa: S101 - a job that is not live has ended
        self._book.emit(Reply(peer, ref, CancelAccepted(job_id=row.job_id, state=row.state)))
        self._book.emit(Reply(peer, ref, CancelSettled(job_id=row.job_id, outcome=row.terminal)))


def _check_attempt(row: JobRow, attempt: int | None) -> None:
    if attempt is None or (attempt == row.attempt and row.state is not State.QUEUED):
        return
    now_is = f"attempt {row.attempt} runs" if row.state in HELD else f"the job is {row.state}"
    raise Refusal(
        Code.FENCED, f"attempt {attempt} of this job is not the current one ({now_is}): nothing was cancelled"
    )
