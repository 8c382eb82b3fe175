"""Leases: who is given which attempt, how a lease is renewed, and what becomes of a job whose lease ends without an answer."""

from hashlib import blake2b

from labelferry_broker.ledger.alarms import Purpose
from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.cancels import Cancels
from labelferry_broker.ledger.crew import Worker
from labelferry_broker.ledger.effects import Tell
from labelferry_broker.ledger.failures import Failure, last_words
from labelferry_broker.ledger.jobs import Job
from labelferry_broker.ledger.rows import AttemptRow, Outcome
from labelferry_protocol.errors import Code
from labelferry_protocol.events import Failed
from labelferry_protocol.life import Move
from labelferry_protocol.words import State
from labelferry_protocol.work import Holding, Holdings, Lease

OWN_WORD = (Outcome.FINISHED, Outcome.FAILED, Outcome.CANCELLED)


class Leases:
    """Gives jobs to workers and takes them back."""

    def __init__(self, book: Book, cancels: Cancels) -> None:
        self._book = book
        self._cancels = cancels

    def adopt(self, job: Job) -> None:
        """Take up a job that was held when the broker went: its worker has a lease's time to come back."""
        row = job.row
        assert row.worker_id is not None  # noqa: S101 - a held job has a worker
        job.granted = job.adopted = True
        self._book.crew.give(row.worker_id, job)
        self._extend(job)

    def assign(self) -> None:
        """Lease waiting jobs to free slots, as long as there are both."""
        book = self._book
        while book.leasing and (job_id := book.queue.next()) is not None:
            job = book.live[job_id]
            worker = book.crew.pick(job)
            if worker is None:
                return
            book.queue.take()
            self._lease(job, worker)

    def renew(self, worker: Worker, holding: Holdings) -> Holdings:
        """Let the leases of what a worker holds run on; return what of it is not its own."""
        abandon = []
        for held in holding:
            job = self._book.crew.held_job(worker.worker_id, held.job_id, held.attempt)
            if job is not None:
                self._extend(job)
            elif not self._ended_by(worker, held):
                abandon.append(held)
        worker.foreign = len(abandon)
        return tuple(abandon)

    def remind(self, worker: Worker, holding: Holdings) -> None:
        """Tell again the leases that a worker does not list: they did not arrive, it seems.

        One that has begun is not told again: its last word is on the way, or the lease runs out. But what began with an earlier
        broker was held before this one could be spoken to, so it is not there any more: it ended when it could not be renewed.
        """
        listed = {held.job_id for held in holding}
        for job in self._book.crew.held_by(worker.worker_id):
            waited = self._book.now.steady - job.told_at
            if job.row.job_id in listed or job.row.state is not State.RUNNING:
                continue
            if job.begun:
                if job.adopted:
                    self.lapse(job, "the worker had to end it while the broker was away")
                continue
            settings = self._book.settings
            if waited > settings.lease_repeat_seconds and job.tellings < settings.lease_tellings:
                self._extend(job)  # for the worker counts from its last renewal, which is newer than the first telling
                self._tell(job, worker)

    def lapse(self, job: Job, reason: str) -> None:
        """End the lease of a job whose worker gave no answer; it stops by itself when the lease would have run out, at the latest."""
        job.doubted_until = self._book.alarms.at(Purpose.LEASE, job.row.job_id) or job.doubted_until
        self._book.end_attempt(job, Outcome.LOST, reason)
        self._book.leave_behind(job)
        if job.row.state is State.CANCELLING:
            self._cancels.confirm(job, Move.LOSE, cleanup_completed=False, message=reason)
        else:
            self.try_again(job, Failure(Code.WORKER_LOST, reason))

    def lapse_all(self, worker_id: str, reason: str) -> None:
        """End the leases of a worker that has gone, and forget it."""
        self._book.crew.leave(worker_id)
        self._book.alarms.drop(Purpose.SILENCE, worker_id)
        self._book.alarms.drop(Purpose.RETURN, worker_id)
        for job in self._book.crew.held_by(worker_id):
            self.lapse(job, reason)

    def try_again(self, job: Job, failure: Failure) -> None:
        """Queue a job whose attempt ended badly again, at its old place; fail it when no attempt is left."""
        row = job.row
        reasons = (*row.reasons, f"attempt {row.attempt}: {failure.message}"[:300])
        if row.attempt >= self._book.settings.max_attempts:
            self.fail(job, last_words(failure, reasons))
            return
        if row.worker_id is not None:
            job.tried.add(row.worker_id)
        wait = self._wait(job) if failure.wait else 0.0
        retry_at = self._book.now.wall + wait if wait else None
        self._book.move(job, Move.REQUEUE, reasons=reasons, retry_at=retry_at)
        self._queue_in(job, wait)

    def take_up(self, job: Job) -> None:
        """Queue a job that waited when the broker went, after what is left of its pause; a clock that jumped cannot lengthen it."""
        left = 0.0 if job.row.retry_at is None else job.row.retry_at - self._book.now.wall
        self._queue_in(job, min(left, self._book.settings.retry_ceiling_seconds))

    def fail(self, job: Job, failure: Failure) -> None:
        """End a job without a bundle."""
        event = self._book.stamp(
            job,
            Failed,
            project=job.row.project,
            code=failure.code,
            message=failure.message,
            stage=failure.stage,
            item=failure.item,
            retryable=failure.retryable,
        )
        self._book.end(job, Move.FAIL, event)

    def queue(self, job: Job) -> None:
        """Let a queued job wait for a slot."""
        self._book.queue.add(job.row.owner, job.row.number, job.row.job_id)

    def _queue_in(self, job: Job, seconds: float) -> None:
        if seconds > 0:
            self._book.alarms.set(self._book.now.steady + seconds, Purpose.RETRY, job.row.job_id)
        else:
            self.queue(job)

    def _lease(self, job: Job, worker: Worker) -> None:
        book = self._book
        attempt = job.row.attempt + 1
        book.move(job, Move.LEASE, attempt=attempt, retry_at=None, worker_id=worker.worker_id, worker_user=worker.user)
        book.begin_attempt(
            job,
            AttemptRow(
                job_id=job.row.job_id,
                attempt=attempt,
                worker_id=worker.worker_id,
                worker_user=worker.user,
                host=worker.host,
                leased_at=book.now.wall,
            ),
        )
        job.tellings = 0
        job.adopted = False
        job.early.clear()
        job.floor = 0.0 if job.row.progress is None else job.row.progress.progress
        self._extend(job)
        self._tell(job, worker)

    def _extend(self, job: Job) -> None:
        at = self._book.now.steady + self._book.settings.lease_seconds
        self._book.alarms.set(at, Purpose.LEASE, job.row.job_id)

    def _tell(self, job: Job, worker: Worker) -> None:
        row = job.row
        job.told_at = self._book.now.steady
        job.tellings += 1
        lease = Lease(
            job_id=row.job_id,
            attempt=row.attempt,
            owner=row.owner,
            project=row.project,
            source=row.source,
            options=row.options,
            reached=0.0 if row.progress is None else row.progress.progress,
        )
        self._book.emit(Tell(worker.peer, "", lease))

    def _ended_by(self, worker: Worker, held: Holding) -> bool:
        """Whether an attempt ended by this worker's own word, so that there is nothing to abandon: its answer is on the way."""
        row = self._book.archive.attempt(held.job_id, held.attempt)
        return row is not None and row.worker_id == worker.worker_id and row.outcome in OWN_WORD

    def _wait(self, job: Job) -> float:
        """Return the seconds until the next attempt: doubling, and spread by a hash of the job so that a crowd does not come back at once."""
        settings = self._book.settings
        longest = min(settings.retry_seconds * 2.0 ** (job.row.attempt - 1), settings.retry_ceiling_seconds)
        spread = blake2b(f"{job.row.job_id}.{job.row.attempt}".encode(), digest_size=2).digest()
        return longest * (0.5 + int.from_bytes(spread) / 0x1FFFE)
