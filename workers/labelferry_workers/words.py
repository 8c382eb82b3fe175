"""The sentences a worker says about an attempt to the broker, made from what is known of it. Pure."""

import msgspec

from labelferry_protocol import limits
from labelferry_protocol.errors import Code
from labelferry_protocol.events import ExportCounts, StageProgress
from labelferry_protocol.words import Stage
from labelferry_protocol.work import (
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    Holding,
    ProgressFrame,
    RequestPublish,
)
from labelferry_workers.attempt import Attempt, LastWord
from labelferry_workers.reports import Broke, Moved, Packed

_MEGABYTE = 1_000_000


def finished(worker_id: str, packed: Packed, receipt: bytes) -> AttemptFinished:
    """Return the word that the depot has the bundle."""
    return AttemptFinished(
        worker_id=worker_id,
        job_id=packed.key.job_id,
        attempt=packed.key.attempt,
        receipt=receipt,
        counts=packed.counts,
        warnings=packed.warnings,
    )


def broken(worker_id: str, broke: Broke) -> AttemptFailed:
    """Return the word that the export could not go on."""
    return AttemptFailed(
        worker_id=worker_id,
        job_id=broke.key.job_id,
        attempt=broke.key.attempt,
        code=broke.code,
        message=broke.message,
        stage=broke.stage,
        item=broke.item,
        retryable=broke.retryable,
    )


def failed(worker_id: str, key: Holding, code: Code, message: str, *, retryable: bool) -> AttemptFailed:
    """Return the word that the attempt failed for a reason outside the export."""
    return AttemptFailed(
        worker_id=worker_id,
        job_id=key.job_id,
        attempt=key.attempt,
        code=code,
        message=message[:1024],
        retryable=retryable,
    )


def cancelled(worker_id: str, key: Holding, message: str = "") -> AttemptCancelled:
    """Return the word that the attempt has stopped; what else is known of it is filled in when it is cleared."""
    return AttemptCancelled(
        worker_id=worker_id, job_id=key.job_id, attempt=key.attempt, cleanup_completed=True, message=message
    )


def last_word(worker_id: str, attempt: Attempt, *, clean: bool, kept: bool = False) -> LastWord:
    """Return what is said of an attempt that has ended: under a cancel always that it stopped, however it came to it."""
    word = attempt.word
    if attempt.order is None and word is not None:
        if isinstance(word, AttemptFinished):
            return word
        if isinstance(word, AttemptFailed):
            return msgspec.structs.replace(word, cleanup_completed=clean, kept=kept, begun=attempt.begun_at is not None)
        return msgspec.structs.replace(word, cleanup_completed=clean)
    kept = isinstance(word, AttemptFinished) and attempt.order is not None and attempt.order.keep_partial
    return AttemptCancelled(
        worker_id=worker_id,
        job_id=attempt.key.job_id,
        attempt=attempt.key.attempt,
        cleanup_completed=clean,
        forced=attempt.forced,
        receipt=word.receipt if kept and isinstance(word, AttemptFinished) else None,
        counts=word.counts if kept and isinstance(word, AttemptFinished) else ExportCounts(),
        message=word.message if isinstance(word, AttemptFailed | AttemptCancelled) else "",
        partial=attempt.packed is None or attempt.packed.partial,
    )


def publish_request(worker_id: str, packed: Packed, *, partial: bool) -> RequestPublish:
    """Return the question whether the bundle may be brought."""
    return RequestPublish(
        worker_id=worker_id,
        job_id=packed.key.job_id,
        attempt=packed.key.attempt,
        size=packed.size,
        sha256=packed.sha256,
        partial=partial,
    )


def frame_of(worker_id: str, moved: Moved) -> ProgressFrame:
    """Return the progress frame of what a child said."""
    return ProgressFrame(
        worker_id=worker_id,
        job_id=moved.key.job_id,
        attempt=moved.key.attempt,
        progress=min(moved.progress, limits.WORKER_SHARE),
        stage=moved.stage,
        message=moved.message,
        stage_progress=moved.stage_progress,
        estimated_time_remaining=moved.estimated_time_remaining,
    )


def bringing_frame(
    worker_id: str, key: Holding, sent: int, size: int, seconds_left: float | None, waiting: str = ""
) -> ProgressFrame:
    """Return the progress frame of a bundle of which `sent` of `size` bytes have left: from 99 to just below 100."""
    share = sent / size if size else 1.0
    return ProgressFrame(
        worker_id=worker_id,
        job_id=key.job_id,
        attempt=key.attempt,
        progress=limits.WORKER_SHARE + (100 - limits.WORKER_SHARE) * 0.99 * share,
        stage=Stage.COMPRESSION,
        message=f"Publishing bundle ({_amounts(sent, size)}){f': {waiting}' if waiting else ''}"[
            : limits.MESSAGE_CHARACTERS
        ],
        stage_progress=StageProgress(current=sent, total=size),
        estimated_time_remaining=seconds_left,
    )


def stalled_frame(worker_id: str, key: Holding, last: Moved | None, seconds: float) -> ProgressFrame:
    """Return the frame that says for how long nothing has moved, and where it was: nowhere yet, if it has never moved."""
    beginning = StageProgress(current=0, total=0)
    moved = last or Moved(
        key=key, progress=0.0, stage=Stage.IMAGES, message="reading the project", stage_progress=beginning
    )
    message = f"No progress for {seconds:.0f} s: {moved.message}"[: limits.MESSAGE_CHARACTERS]
    return ProgressFrame(
        worker_id=worker_id,
        job_id=moved.key.job_id,
        attempt=moved.key.attempt,
        progress=min(moved.progress, limits.WORKER_SHARE),
        stage=moved.stage,
        message=message,
        stage_progress=moved.stage_progress,
        stalled=True,
    )


def _amounts(sent: int, size: int) -> str:
    digits = 0 if size >= 10 * _MEGABYTE else 1
    return f"{sent / _MEGABYTE:.{digits}f} of {size / _MEGABYTE:.{digits}f} MB"
