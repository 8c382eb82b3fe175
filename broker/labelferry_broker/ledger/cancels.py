"""Cancels: the durable mark, the order that is repeated until it is seen, the confirmation that everybody who asked waits for."""

from msgspec.structs import replace

from labelferry_broker.ledger.alarms import Purpose
from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.crew import Worker
from labelferry_broker.ledger.effects import Order, Reply, Tell
from labelferry_broker.ledger.jobs import HELD, Job
from labelferry_broker.ledger.rows import CancelMark, JobRow
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import BundleFacts, Cancelled, ExportCounts
from labelferry_protocol.life import Move, after
from labelferry_protocol.requests import Cancel, CancelAccepted, CancelSettled
from labelferry_protocol.words import CancelledBy, Phase, State
from labelferry_protocol.work import AttemptCancelled, CancelOrder

FIRST_REPEAT = 0.1
"""Share of the full interval after which an order is repeated first: a worker that has only just subscribed may have missed it."""
STILL_KEPT = "another worker keeps what was finished before, and removes it as soon as it can"
LEFT = "what a worker that was lost had of it on {} is removed when one starts there again"


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
        self._book.emit(Reply(peer, ref, CancelAccepted(job_id=row.job_id, state=self._next_state(job))))
        if job.row.cancel is None:
            keep = row.options.keep_partial if message.keep_partial is None else message.keep_partial
            self._mark(job, CancelledBy.USER, user, keep_partial=keep, reason=message.reason or "")
        elif message.keep_partial is not None and job.held:
            self._change_wish(job, keep_partial=message.keep_partial)

    def time_out(self, job: Job) -> None:
        """Cancel a job whose own `timeout` is over; one that is being cancelled already goes on as it is."""
        if job.row.cancel is None:
            reason = f"it took longer than its timeout of {job.row.options.timeout:g} s"
            keep = job.row.options.keep_partial
            self._mark(job, CancelledBy.TIMEOUT, "timeout", keep_partial=keep, reason=reason)

    def take_up(self, job: Job) -> None:
        """Go on with a cancel that a broker before this one has marked."""
        job.order_gap = self._book.settings.order_repeat_seconds * FIRST_REPEAT
        self._book.alarms.set(self._book.now.steady, Purpose.ORDER, job.row.job_id)

    def clear_again(self, job: Job) -> None:
        """Go on with the cancel of a waiting job that a broker before this one has marked: its last worker may come back."""
        job.clearing = {job.row.worker_id} if job.row.worker_id else set()
        self._book.aside[job.row.job_id] = job
        self._wait_for_keepers(job)

    def ask_keeper(self, worker: Worker) -> list[CancelOrder]:
        """Return the orders about cancelled jobs that this worker does not have, but of which it keeps something, or may."""
        live, held = self._book.live, self._book.crew.held_by(worker.worker_id)
        kept = [job for job_id in worker.keeping if (job := live.get(job_id)) is not None and job not in held]
        for job in kept:
            if job.row.cancel is not None:
                job.clearing.add(worker.worker_id)
        waited_for = {id(job): job for job in (*self._book.aside.values(), *kept) if worker.worker_id in job.clearing}
        return [self.order(job) for job in waited_for.values()]

    def cleared(self, worker: Worker, message: AttemptCancelled) -> bool:
        """Take a worker's word that it keeps nothing of a cancelled job that it does not have; return whether it was waited for."""
        job = self._book.live.get(message.job_id)
        if job is None or message.attempt != job.row.attempt or worker.worker_id not in job.clearing:
            return False
        worker.keeping.discard(message.job_id)
        job.clearing.discard(worker.worker_id)
        job.cleared = job.cleared and message.cleanup_completed
        if not job.clearing and not job.held:
            self.confirm_waiting(job)
        return True

    def confirm_waiting(self, job: Job) -> None:
        """Confirm the cancel of a job that no worker has, though perhaps not everybody has said that nothing of it is kept."""
        self.confirm(job, Move.CANCEL, cleanup_completed=True)

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
        kept = bool(job.clearing or job.left_at) or not job.cleared
        message = "; ".join(filter(None, (row.cancel.reason, message, _still_kept(job) if kept else "")))
        event = self._book.stamp(
            job,
            Cancelled,
            project=row.project,
            cancelled_by=row.cancel.by,
            who=row.cancel.who,
            progress=row.progress.progress if row.progress else 0.0,
            phase=Phase.PROCESSING,
            cleanup_completed=cleanup_completed and not kept and job.doubted_until <= self._book.now.steady,
            partial=bundle is not None and bundle.partial,
            message=message[:1024],
            requested_at=row.cancel.at,
            bundle=bundle,
            counts=counts if bundle else None,
        )
        self._book.tally.cancels.add(self._book.lasted(job.cancelled_at, row.cancel.at))
        part = {"bundle": bundle, "bundle_attempt": row.attempt, "counts": counts} if bundle else {}
        self._book.end(job, move, event, **part)

    def _mark(self, job: Job, by: CancelledBy, who: str, *, keep_partial: bool, reason: str) -> None:
        mark = CancelMark(by=by, who=who, at=self._book.now.wall, keep_partial=keep_partial, reason=reason)
        job.cancelled_at = self._book.now.steady
        if job.row.state is State.QUEUED:
            self._book.put_aside(job, mark)
            self._tell_keepers(job)
            if job.clearing:
                self._wait_for_keepers(job)
            else:
                self.confirm_waiting(job)
            return
        self._book.move(job, Move.CANCEL, cancel=mark)
        self._give_order(job)
        self._tell_keepers(job)

    def _next_state(self, job: Job) -> State:
        """Return what a job is right after a cancel."""
        if job.row.state is State.CANCELLING:
            return State.CANCELLING
        kept = job.clearing or self._book.crew.keepers(job.row.job_id)
        return State.QUEUED if job.row.state is State.QUEUED and kept else after(job.row.state, Move.CANCEL)

    def _tell_keepers(self, job: Job) -> None:
        """Have what workers keep of a job that they do not have removed."""
        keepers = [
            each
            for each in self._book.crew.keepers(job.row.job_id)
            if not job.held or each.worker_id != job.row.worker_id
        ]
        job.clearing = {worker.worker_id for worker in keepers}
        for worker in keepers:
            self._book.emit(Tell(worker.peer, "", self.order(job)))

    def _wait_for_keepers(self, job: Job) -> None:
        at = self._book.now.steady + self._book.settings.clearing_seconds
        self._book.alarms.set(at, Purpose.CLEARING, job.row.job_id)

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


def _still_kept(job: Job) -> str:
    return STILL_KEPT if not job.left_at else LEFT.format(", ".join(sorted(job.left_at)))


def _check_attempt(row: JobRow, attempt: int | None) -> None:
    if attempt is None or (attempt == row.attempt and row.state is not State.QUEUED):
        return
    now_is = f"attempt {row.attempt} runs" if row.state in HELD else f"the job is {row.state}"
    raise Refusal(
        Code.FENCED, f"attempt {attempt} of this job is not the current one ({now_is}): nothing was cancelled"
    )
