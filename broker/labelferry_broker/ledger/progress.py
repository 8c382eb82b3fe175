"""Progress frames: who may send them, which are stale, and what subscribers are told."""

from math import isfinite

from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.effects import Publish
from labelferry_broker.ledger.jobs import Job
from labelferry_protocol import limits
from labelferry_protocol.events import Progress, StageProgress
from labelferry_protocol.words import Phase, State
from labelferry_protocol.work import ProgressFrame

MOST_EARLY = 16
"""Frames that wait for the word that their attempt has begun."""
BELOW_DONE = 99.99
"""The most that a worker may say: 100 is said when the bundle is published."""


def take(book: Book, user: str, frame: ProgressFrame) -> None:
    """Publish a frame that comes from the holder of an attempt and is not behind the one before; drop any other.

    What an attempt says before it is known to have begun (it came on another lane) waits for that; of very many such frames
    the first ones and the latest do. What it says while it is behind the attempts before it is told with the progress that they had reached.
    """
    job = book.crew.held_job(frame.worker_id, frame.job_id, frame.attempt)
    if job is None or job.row.worker_user != user or job.row.state is not State.RUNNING:
        return
    if job.begun:
        _tell(book, job, frame)
    else:
        del job.early[MOST_EARLY - 1 :]
        job.early.append(frame)


def begun(book: Book, job: Job) -> None:
    """Publish what a job's attempt said before it was known to have begun."""
    frames, job.early = job.early, []
    for frame in frames:
        _tell(book, job, frame)


def again(book: Book, job: Job) -> Progress | None:
    """Return what is told of progress when an attempt begins after others: how far they were; None where they were nowhere."""
    last = job.row.progress
    if last is None:
        return None
    return book.stamp(
        job,
        Progress,
        progress=last.progress,
        phase=Phase.PROCESSING,
        stage=last.stage,
        message=f"Running again: attempt {job.row.attempt}",
        stage_progress=last.stage_progress,
        estimated_time_remaining=None,
    )


def _tell(book: Book, job: Job, frame: ProgressFrame) -> None:
    done = min(frame.progress, BELOW_DONE)
    done = max(done, job.floor)
    if not done >= _before(job):  # which a NaN is not either
        return
    left = frame.estimated_time_remaining
    message, stage_progress = frame.message[: limits.MESSAGE_CHARACTERS], _shorten(frame.stage_progress)
    if _is_told(job, frame, done, message, stage_progress):
        return
    progress = book.stamp(
        job,
        Progress,
        progress=done,
        phase=Phase.PROCESSING,
        stage=frame.stage,
        message=message,
        stage_progress=stage_progress,
        estimated_time_remaining=left if left is not None and isfinite(left) else None,
        stalled=frame.stalled,
    )
    book.note_progress(job, progress)
    book.tally.frames += 1
    book.emit(Publish(progress))


def _is_told(job: Job, frame: ProgressFrame, done: float, message: str, stage_progress: StageProgress) -> bool:
    """Whether this is what was told last: workers say how far they are again, for what they say may be lost."""
    last = job.row.progress
    if last is None or last.attempt != job.row.attempt:
        return False
    told = (last.progress, last.stage, last.message, last.stage_progress, last.stalled)
    return told == (done, frame.stage, message, stage_progress, frame.stalled)


def _before(job: Job) -> float:
    return 0.0 if job.row.progress is None else job.row.progress.progress


def _shorten(stage: StageProgress) -> StageProgress:
    if stage.current_item is None or len(stage.current_item) <= limits.ITEM_CHARACTERS:
        return stage
    item = stage.current_item[: limits.ITEM_CHARACTERS - 1] + "…"
    return StageProgress(current=stage.current, total=stage.total, current_item=item)
