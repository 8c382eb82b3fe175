"""What a worker says of an attempt: believed only from the worker that has it, and answered alike when it is said again."""

from msgspec.structs import replace

from labelferry_broker.ledger import progress
from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.cancels import Cancels
from labelferry_broker.ledger.crew import Worker
from labelferry_broker.ledger.effects import AdmitUpload, Publish, Tell, TellDepot, Word
from labelferry_broker.ledger.failures import Failure
from labelferry_broker.ledger.jobs import Job, bundle_name
from labelferry_broker.ledger.leases import Leases
from labelferry_broker.ledger.rows import Outcome
from labelferry_protocol import limits
from labelferry_protocol.depot import Discard
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import (
    BundleFacts,
    Completed,
    PhaseChanged,
    Progress,
    StageProgress,
    Started,
    WarningSummary,
)
from labelferry_protocol.life import Move
from labelferry_protocol.tokens import Claims
from labelferry_protocol.words import Phase, Stage, State
from labelferry_protocol.work import (
    Acknowledged,
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    AttemptStarted,
    CancelSeen,
    Fenced,
    RequestPublish,
)

AboutAttempt = AttemptStarted | CancelSeen | RequestPublish | AttemptFinished | AttemptFailed | AttemptCancelled

LAST_WORDS: dict[type[AboutAttempt], Outcome] = {
    AttemptFinished: Outcome.FINISHED,
    AttemptFailed: Outcome.FAILED,
    AttemptCancelled: Outcome.CANCELLED,
}
"""How an attempt has ended when its worker says this, and is acknowledged."""


class Attempts:
    """Turns workers' words into moves of jobs."""

    def __init__(self, book: Book, cancels: Cancels, leases: Leases) -> None:
        self._book = book
        self._cancels = cancels
        self._leases = leases

    def hear(self, worker: Worker, ref: str, message: AboutAttempt, receipt: Claims | None) -> None:
        """Take a worker's word and answer it."""
        job = self._book.crew.held_job(worker.worker_id, message.job_id, message.attempt)
        if receipt is not None and (receipt.job_id, receipt.attempt) != (message.job_id, message.attempt):
            receipt = None
        if isinstance(message, CancelSeen):
            if job is not None:
                self._cancels.seen(job)
        elif isinstance(message, AttemptCancelled) and self._cancels.cleared(worker, message):
            self._tell(worker, ref, Acknowledged())
        elif job is None:
            self._tell(worker, ref, self._answer_ended(worker, message, receipt))
        elif isinstance(message, RequestPublish):
            self._grant(job, worker, ref, message)
        else:
            self._tell(worker, ref, self._answer(job, worker, message, receipt))

    def _answer(
        self,
        job: Job,
        worker: Worker,
        message: AttemptStarted | AttemptFinished | AttemptFailed | AttemptCancelled,
        receipt: Claims | None,
    ) -> Word:
        match message:
            case AttemptStarted() if job.row.state is State.CANCELLING:
                return self._cancels.order(job)
            case AttemptStarted():
                self._begin(job, worker)
            case AttemptFinished() if job.row.state is State.CANCELLING:
                return self._cancels.order(job)
            case AttemptFinished():
                self._finish(job, worker, message, receipt)
            case AttemptFailed():
                self._fail(job, message)
            case AttemptCancelled():
                self._stop(job, message, receipt)
        return Acknowledged()

    def _answer_ended(self, worker: Worker, message: AboutAttempt, receipt: Claims | None) -> Word:
        """Answer about an attempt that this worker does not have: as before if its own last word ended it, else it is fenced."""
        row = self._book.archive.attempt(message.job_id, message.attempt)
        own = row is not None and row.worker_id == worker.worker_id
        if own and row is not None and row.outcome is LAST_WORDS.get(type(message)):
            return Acknowledged()
        if receipt is not None and own:
            self._discard(message.job_id, message.attempt)
        return Fenced(job_id=message.job_id, attempt=message.attempt)

    def _discard(self, job_id: str, attempt: int) -> None:
        job = self._book.archive.job(job_id)
        if job is not None and job.bundle_attempt != attempt:
            self._book.emit(TellDepot(Discard(job_id=job_id, attempt=attempt)))

    def _begin(self, job: Job, worker: Worker) -> None:
        if job.begun:
            return
        event = self._book.stamp(job, Started, project=job.row.project, worker=worker.host)
        job.begun_at = self._book.now.steady
        further = progress.again(self._book, job)
        self._book.update(job, started=event, progress=further)
        self._book.emit(Publish(event))
        if further is not None:
            self._book.emit(Publish(further))
        progress.begun(self._book, job)

    def _grant(self, job: Job, worker: Worker, ref: str, message: RequestPublish) -> None:
        cancel = job.row.cancel
        if job.row.state is State.CANCELLING and not (message.partial and cancel is not None and cancel.keep_partial):
            self._tell(worker, ref, self._cancels.order(job))
            return
        if job.row.state is State.RUNNING and message.partial:
            raise Refusal(Code.USAGE, "a partial bundle is taken only of a job that is being cancelled")
        job.granted = job.bringing = True
        claims = Claims(
            job_id=message.job_id,
            attempt=message.attempt,
            size=message.size,
            sha256=message.sha256,
            user=worker.user,
            expires_at=self._book.now.wall + self._book.settings.token_seconds,
        )
        self._book.emit(AdmitUpload(worker.peer, ref, claims))

    def _finish(self, job: Job, worker: Worker, message: AttemptFinished, receipt: Claims | None) -> None:
        if receipt is None:
            raise Refusal(
                Code.ACCESS, "that is not the depot's receipt for this attempt: offer the bundle again, then repeat"
            )
        self._begin(job, worker)
        bundle = BundleFacts(size=receipt.size, sha256=receipt.sha256, file_name=bundle_name(job.row.project))
        ready = self._publish_ready(job, receipt.size)
        began = job.row.started.timestamp if job.row.started else job.row.created_at
        completed = self._book.stamp(
            job,
            Completed,
            project=job.row.project,
            bundle=bundle,
            counts=message.counts,
            warnings=tuple(_shorten(warning) for warning in message.warnings),
            duration=self._book.lasted(job.begun_at, began),
        )
        self._book.end_attempt(job, Outcome.FINISHED, keep_bundle=True)
        self._book.end(
            job,
            Move.FINISH,
            completed,
            progress=ready,
            bundle=bundle,
            bundle_attempt=job.row.attempt,
            counts=message.counts,
        )

    def _publish_ready(self, job: Job, size: int) -> Progress:
        """Publish that processing is done (100) and what follows is downloading."""
        ready = self._book.stamp(
            job,
            Progress,
            progress=100.0,
            phase=Phase.PROCESSING,
            stage=Stage.COMPRESSION,
            message="Bundle ready",
            stage_progress=StageProgress(current=size, total=size),
            estimated_time_remaining=0.0,
        )
        changed = self._book.stamp(job, PhaseChanged, previous=Phase.PROCESSING, phase=Phase.DOWNLOADING)
        self._book.emit(Publish(ready))
        self._book.emit(Publish(changed))
        return ready

    def _fail(self, job: Job, message: AttemptFailed) -> None:
        worker = self._book.crew.workers.get(message.worker_id)
        if message.kept and worker is not None:
            worker.keeping.add(message.job_id)
        if message.begun and worker is not None and job.row.state is State.RUNNING:
            self._begin(job, worker)
        self._book.end_attempt(job, Outcome.FAILED, message.message)
        # A process that was lost is replaced at once, the first time; what fails by itself, or again, waits before it is tried again.
        wait = message.code is not Code.WORKER_LOST or job.row.attempt > 1
        failure = Failure(message.code, message.message, message.stage, message.item, wait=wait)
        if job.row.state is State.CANCELLING:
            # What is kept is removed when the order arrives, which has crossed this word: not yet.
            clean = message.cleanup_completed and not message.kept
            self._cancels.confirm(job, Move.CONFIRM, cleanup_completed=clean, message=message.message)
        elif message.retryable:
            self._leases.try_again(job, failure)
        else:
            self._leases.fail(job, failure)

    def _stop(self, job: Job, message: AttemptCancelled, receipt: Claims | None) -> None:
        if job.row.state is not State.CANCELLING:
            reason = message.message or "the worker stopped it without being told to"
            self._book.end_attempt(job, Outcome.CANCELLED, reason)
            self._leases.try_again(job, Failure(Code.WORKER_LOST, reason, wait=True))
            return
        keep = receipt is not None and job.row.cancel is not None and job.row.cancel.keep_partial
        self._book.end_attempt(job, Outcome.CANCELLED, message.message, keep_bundle=keep)
        bundle = None
        if receipt is not None and keep:
            name = bundle_name(f"{job.row.project}_partial" if message.partial else job.row.project)
            bundle = BundleFacts(size=receipt.size, sha256=receipt.sha256, partial=message.partial, file_name=name)
        self._cancels.confirm(
            job,
            Move.CONFIRM,
            cleanup_completed=message.cleanup_completed,
            message=message.message,
            bundle=bundle,
            counts=message.counts,
        )

    def _tell(self, worker: Worker, ref: str, word: Word) -> None:
        self._book.emit(Tell(worker.peer, ref, word))


def _shorten(warning: WarningSummary) -> WarningSummary:
    return replace(warning, example=warning.example[: limits.MESSAGE_CHARACTERS])
