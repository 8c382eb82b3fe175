"""All state of the ledger in one place, and the few strokes by which it changes. What strokes to make is decided elsewhere."""

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec.structs import replace

from labelferry_broker.ledger.alarms import Alarms, Purpose
from labelferry_broker.ledger.archive import Archive
from labelferry_broker.ledger.crew import Crew
from labelferry_broker.ledger.effects import (
    AddAttempt,
    AddJob,
    Effect,
    EndAttempt,
    Publish,
    Reply,
    Save,
    TellDepot,
    UpdateJob,
)
from labelferry_broker.ledger.figures import Tally
from labelferry_broker.ledger.jobs import Job
from labelferry_broker.ledger.queue import Queue
from labelferry_broker.ledger.readthrough import ReadThrough
from labelferry_broker.ledger.rows import AttemptRow, CancelMark, JobRow, Loaded, Outcome
from labelferry_broker.ledger.settings import LedgerSettings, Moment
from labelferry_broker.ledger.shelf import Shelf
from labelferry_protocol.depot import Discard
from labelferry_protocol.events import Cancelled, Completed, Event, Failed, Progress
from labelferry_protocol.life import Move, after
from labelferry_protocol.requests import CancelSettled
from labelferry_protocol.words import State

E = TypeVar("E", bound=Event)


class Book:
    """The live jobs, the queue, the crew, the alarms; `now` is the moment of the call that is being answered."""

    def __init__(
        self,
        settings: LedgerSettings,
        epoch: int,
        archive: Archive,
        loaded: Loaded,
        now: Moment,
        new_id: Callable[[], str],
    ) -> None:
        self.settings = settings
        self.epoch = epoch
        self.archive = ReadThrough(archive)
        self.now = now
        self.new_id = new_id
        self.live: dict[str, Job] = {}
        self.left: dict[str, dict[str, float]] = {}
        """By host: live jobs with which a worker was lost there, and when, until one has started there after that."""
        self.aside: dict[str, Job] = {}
        """Cancelled jobs that no worker has, while what is kept of them is removed: queued still, and never leased."""
        self.queue = Queue()
        self.shelf = Shelf()
        self.tally = Tally()
        self.crew = Crew()
        self.alarms = Alarms()
        self.depot_ready = False
        self.full = False
        self.leasing = True
        self.last_job_number = loaded.last_job_number
        self.last_transfer_number = loaded.last_transfer_number
        self.queued_of: dict[str, int] = {}
        self.queued_in_all = 0
        self._unsaved_progress: set[str] = set()
        self._out: list[Effect] = []

    def emit(self, effect: Effect) -> None:
        """Hand an effect out."""
        self._out.append(effect)

    def save(self, save: Save) -> None:
        """Hand out what is to be durable."""
        self.archive.note(save)
        self._out.append(save)

    def take_effects(self) -> list[Effect]:
        """Return what was handed out since the last time."""
        effects, self._out = self._out, []
        return effects

    def enter(self, row: JobRow) -> Job:
        """Take a live job into memory; its events go on above what was reserved before."""
        job = Job(row=row, seq=row.seq_reserved)
        self.live[row.job_id] = job
        self._count(row, +1)
        return job

    def add(self, row: JobRow) -> Job:
        """Add a new job, with the first block of its event numbers."""
        job = self.enter(row)
        job.row = replace(row, seq_reserved=self.settings.seq_block)
        self.save(AddJob(job.row))
        return job

    def stamp(self, job: Job, kind: Callable[..., E], **fields: Any) -> E:
        """Return the next event of a job; its number is reserved durably before it can be told."""
        job.seq += 1
        if job.seq > job.row.seq_reserved:
            self.update(job, seq_reserved=job.seq - 1 + self.settings.seq_block)
        return kind(
            job_id=job.row.job_id,
            epoch=self.epoch,
            attempt=job.row.attempt,
            seq=job.seq,
            timestamp=self.now.wall,
            **fields,
        )

    def lasted(self, steady: float | None, wall: float) -> float:
        """Return how long ago something was (s): by the steady clock, which nobody can turn, where this broker saw it, else by the wall clock."""
        return max(0.0, self.now.wall - wall if steady is None else self.now.steady - steady)

    def update(self, job: Job, **changes: Any) -> None:
        """Change a job without changing its state."""
        job.row = replace(job.row, **changes)
        self._unsaved_progress.discard(job.row.job_id)
        self.save(UpdateJob(job.row.state, job.row))

    def leave_behind(self, job: Job) -> None:
        """Note that the worker of the last attempt was lost, if it was: what it had may lie on its host."""
        row = self.archive.attempt(job.row.job_id, job.row.attempt)
        if row is not None and row.outcome is Outcome.LOST:
            job.left_at.add(row.host)
            self.left.setdefault(row.host, {})[job.row.job_id] = self.now.wall if row.ended_at is None else row.ended_at

    def find_again(self, host: str, since: float | None) -> None:
        """Note that a worker is on a host, just started or there since that time: it has removed what was left there before, or says what it keeps of it."""
        left = self.left.pop(host, {})
        still = {} if since is None else {job_id: lost_at for job_id, lost_at in left.items() if lost_at > since}
        if still:
            self.left[host] = still
        for job_id in left.keys() - still.keys():
            self.live[job_id].left_at.discard(host)

    def put_aside(self, job: Job, mark: CancelMark) -> None:
        """Take a waiting job out of the queue, for it is cancelled."""
        row = job.row
        self.queue.remove(row.owner, row.number, row.job_id)
        self.alarms.drop(Purpose.RETRY, row.job_id)
        self.aside[row.job_id] = job
        self.update(job, cancel=mark)

    def move(self, job: Job, move: Move, **changes: Any) -> None:
        """Move a job along its life: the one place where a state changes. `IllegalMove` where the table has no row."""
        previous = job.row
        state = after(previous.state, move)
        if previous.state is State.QUEUED:
            self.queue.remove(previous.owner, previous.number, previous.job_id)
            self.alarms.drop(Purpose.RETRY, previous.job_id)
        job.row = replace(previous, state=state, **changes)
        self._count(previous, -1)
        self._count(job.row, +1)
        self._unsaved_progress.discard(previous.job_id)
        self.save(UpdateJob(previous.state, job.row))

    def note_progress(self, job: Job, progress: Progress) -> None:
        """Keep a job's newest progress, to be saved with that of the others within a second."""
        job.row = replace(job.row, progress=progress)
        self._unsaved_progress.add(job.row.job_id)
        self.alarms.set_earliest(self.now.steady + self.settings.progress_save_seconds, Purpose.PROGRESS)

    def save_progress(self) -> None:
        """Hand out the newest progress of every job that made some since the last time."""
        for job_id in sorted(self._unsaved_progress):
            self.update(self.live[job_id])

    def begin_attempt(self, job: Job, row: AttemptRow) -> None:
        """Note that a worker has an attempt from now on."""
        self.save(AddAttempt(row))
        self.crew.give(row.worker_id, job)

    def end_attempt(self, job: Job, outcome: Outcome, reason: str = "", *, keep_bundle: bool = False) -> None:
        """Note that the current attempt has ended: its slot is free, what the depot may have of it goes unless it is kept."""
        row = job.row
        assert row.worker_id is not None  # noqa: S101 - a held job has a worker
        self.save(EndAttempt(row.job_id, row.attempt, self.now.wall, outcome, reason))
        self.crew.take_back(row.worker_id, row.job_id)
        self.alarms.drop(Purpose.LEASE, row.job_id)
        self.alarms.drop(Purpose.ORDER, row.job_id)
        if job.granted and not keep_bundle:
            self.emit(TellDepot(Discard(job_id=row.job_id, attempt=row.attempt)))
        job.granted = job.bringing = False

    def end(self, job: Job, move: Move, terminal: Completed | Failed | Cancelled, **changes: Any) -> None:
        """End a job with its last event; everybody who waits for that is answered, and it leaves memory."""
        self.move(job, move, terminal=terminal, seq_reserved=terminal.seq, finished_at=self.now.wall, **changes)
        self.emit(Publish(terminal))
        for peer, ref in job.waiters:
            self.emit(Reply(peer, ref, CancelSettled(job_id=job.row.job_id, outcome=terminal)))
        self.alarms.drop(Purpose.TIMEOUT, job.row.job_id)
        self.alarms.drop(Purpose.CLEARING, job.row.job_id)
        self.aside.pop(job.row.job_id, None)
        for host in job.left_at:
            self.left[host].pop(job.row.job_id, None)
            if not self.left[host]:
                del self.left[host]
        self._shelve(job.row)
        del self.live[job.row.job_id]

    def _shelve(self, row: JobRow) -> None:
        if row.bundle is None or row.bundle_attempt is None:
            return
        self.shelf.add(row.job_id, row.bundle.size, self.now.steady)
        if self.shelf.size > self.settings.keep_bytes:
            self.alarms.set(self.now.steady, Purpose.RETENTION)

    def _count(self, row: JobRow, change: int) -> None:
        self.tally.states[row.state] += change
        if row.state is State.QUEUED:
            self.queued_in_all += change
            count = self.queued_of.get(row.owner, 0) + change
            if count:
                self.queued_of[row.owner] = count
            else:
                del self.queued_of[row.owner]
