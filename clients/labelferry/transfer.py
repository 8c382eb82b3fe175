"""Downloads as flows: open the transfer at the broker, bring the bundle from the depot, check it, put it in its place, report.

What happens to the part file in each case is said in `part_file.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from labelferry.conversation import Question
from labelferry.errors import Unreachable
from labelferry.fetch import Pace, words_of
from labelferry.flow import WAIT, Flow, Intent, answer, ask, check_job_id, run
from labelferry.nearby import nearby
from labelferry.part_file import Note, PartFile, check_target
from labelferry.session import Session
from labelferry_protocol.errors import Code, LabelferryError, Refusal
from labelferry_protocol.events import Cancelled, Completed, ExportCounts, Progress, Snapshot, StageProgress
from labelferry_protocol.requests import (
    DownloadOpened,
    DownloadReported,
    GetSnapshot,
    OpenDownload,
    ReportDownload,
)
from labelferry_protocol.words import CancelledBy, Phase, TransferState

REPORT_SECONDS = 5.0
"""Between two reports of how far a download is."""
LAST_REPORT_SECONDS = 2.0
"""How long the last report may take; the bundle is here, or removed, without it."""


@dataclass
class Sayer:
    """Says what happens on this side of the wire as events that go on where the broker's ended: their `seq` goes on counting."""

    completed: Completed
    wall: Callable[[], float]
    seq: int = 0
    _percent: float = 0.0

    def __post_init__(self) -> None:
        self.seq = max(self.seq, self.completed.seq)

    def progress(self, pace: Pace, received: int, *, done: bool = False) -> Progress:
        """Return how far the download is; 100 only when it is done."""
        percent = 100.0 if done else min(pace.percent(received), 99.9)
        self._percent = max(self._percent, percent)
        return Progress(
            job_id=self.completed.job_id,
            epoch=self.completed.epoch,
            attempt=self.completed.attempt,
            seq=self._next(),
            timestamp=self.wall(),
            progress=round(self._percent, 2),
            phase=Phase.DOWNLOADING,
            stage=None,
            message=words_of(received, pace.size),
            stage_progress=StageProgress(
                current=received, total=pace.size, current_item=self.completed.bundle.file_name
            ),
            estimated_time_remaining=0.0 if done else pace.seconds_left(received),
        )

    def arrived(self, path: Path) -> Completed:
        """Return the end: the bundle is at `path`."""
        return msgspec.structs.replace(self.completed, seq=self._next(), timestamp=self.wall(), path=str(path))

    def cancelled(self, who: str, percent: float, requested_at: float, *, clean: bool) -> Cancelled:
        """Return the other end: the download was stopped; the job and its bundle stay."""
        return Cancelled(
            job_id=self.completed.job_id,
            epoch=self.completed.epoch,
            attempt=self.completed.attempt,
            seq=self._next(),
            timestamp=self.wall(),
            project=self.completed.project,
            cancelled_by=CancelledBy.USER,
            who=who,
            progress=round(percent, 2),
            phase=Phase.DOWNLOADING,
            cleanup_completed=clean,
            message="The download was cancelled; the bundle can still be downloaded from the history",
            requested_at=requested_at,
        )

    def _next(self) -> int:
        self.seq += 1
        return self.seq


def download(
    session: Session, intent: Intent, job_id: str, target: Path, *, overwrite: bool, wall: Callable[[], float]
) -> Flow[None]:
    """Bring a finished job's bundle to `target`."""
    check_job_id(job_id)
    check_target(target, overwrite=overwrite)
    snapshot = yield from ask(session, GetSnapshot(job_id=job_id), Snapshot)
    part = yield from run(lambda: PartFile(target, overwrite=overwrite))
    try:
        try:
            opened = yield from _open(session, job_id, part)
        except Refusal as refusal:
            if refusal.code is Code.GONE:
                part.discard()
            raise
        yield from bring(session, intent, opened, part, Sayer(_completed(snapshot, opened), wall, snapshot.seq))
    finally:
        part.close()


def bring_completed(session: Session, intent: Intent, say: Sayer, target: Path, *, overwrite: bool) -> Flow[None]:
    """Bring the bundle of a job that has just been completed."""
    part = yield from run(lambda: PartFile(target, overwrite=overwrite))
    try:
        opened = yield from _open(session, say.completed.job_id, part)
        yield from bring(session, intent, opened, part, say)
    finally:
        part.close()


def bring(session: Session, intent: Intent, opened: DownloadOpened, part: PartFile, say: Sayer) -> Flow[None]:
    """Bring the bundle that is `opened`, and end with `Completed` or `Cancelled`; what fails here removes the part file, what is cut keeps it."""
    note = Note(
        job_id=opened.job_id, transfer_id=opened.transfer_id, sha256=opened.bundle.sha256, size=opened.bundle.size
    )
    try:
        yield from run(lambda: part.prepare(note))
        yield from _read_nearby(intent, opened, part, say)
        arrived = yield from _receive(session, intent, opened, part, say)
        if arrived and not part.is_right(opened.bundle):
            part.restart()
            arrived = yield from _receive(session, intent, opened, part, say)
            if arrived and not part.is_right(opened.bundle):
                raise Refusal(
                    Code.GONE,
                    "what the depot sends is not the bundle that was published (its sha256 differs): export it again",
                )
        if arrived:
            path = yield from run(part.put_in_place)
    except Refusal:
        part.discard()
        yield from _report(session, opened, part.received, TransferState.FAILED)
        raise
    if not arrived:
        requested_at = say.wall()
        percent = Pace(opened.bundle.size).percent(part.received)
        clean = part.discard()
        yield from _report(session, opened, part.received, TransferState.CANCELLED)
        who = "" if session.welcome is None else session.welcome.user
        yield say.cancelled(who, percent, requested_at, clean=clean)
        return
    yield from _report(session, opened, opened.bundle.size, TransferState.COMPLETED)
    yield say.progress(Pace(opened.bundle.size), opened.bundle.size, done=True)
    yield say.arrived(path)


def _read_nearby(intent: Intent, opened: DownloadOpened, part: PartFile, say: Sayer) -> Flow[None]:
    """Write what can be read of the bundle in the depot's own folder, telling how far it is; whatever is missing then is asked for."""
    pace = Pace(opened.bundle.size)
    with nearby(opened.place, opened.bundle.size, part.received) as pieces:
        for piece in pieces:
            yield from run(partial(part.write, piece))
            if pace.worth_telling(part.received, say.wall()):
                yield say.progress(pace, part.received)
            if intent.cancelled:
                return


def _receive(session: Session, intent: Intent, opened: DownloadOpened, part: PartFile, say: Sayer) -> Flow[bool]:
    """Write all of the bundle, telling how far it is; return whether it came to its end, False when it was cancelled."""
    if part.received == opened.bundle.size:
        return not intent.cancelled
    fetch = session.fetch(opened, part.received)
    pace = Pace(opened.bundle.size)
    report_at = session.now + REPORT_SECONDS
    renewed = False
    try:
        while not intent.cancelled:
            piece = fetch.take()
            if piece is not None:
                part.write(piece)
                renewed = False
                if pace.worth_telling(part.received, session.now):
                    yield say.progress(pace, part.received)
            elif fetch.done:
                return True
            elif fetch.error is not None:
                if renewed or fetch.error.code is not Code.ACCESS:
                    raise fetch.error
                renewed = True  # a token has its time; the transfer goes on with a new one
                fetch.renewed((yield from _open(session, opened.job_id, part)), session.now)
            else:
                if session.now >= report_at:
                    report_at = session.now + REPORT_SECONDS
                    _ask_report(session, opened, part.received, TransferState.RUNNING)
                session.check(fetch)
                yield WAIT
        return False
    finally:
        session.drop(fetch)


def _open(session: Session, job_id: str, part: PartFile) -> Flow[DownloadOpened]:
    """Open the transfer that the part file belongs to, or a new one where the broker knows it no more."""
    note = part.note
    if note is not None and note.job_id == job_id:
        try:
            return (yield from ask(session, OpenDownload(job_id=job_id, transfer_id=note.transfer_id), DownloadOpened))
        except Refusal as refusal:
            if refusal.code in (Code.ACCESS, Code.NOT_COMPLETED):
                raise
    return (yield from ask(session, OpenDownload(job_id=job_id), DownloadOpened))


def _ask_report(
    session: Session, opened: DownloadOpened, received: int, state: TransferState
) -> Question[DownloadReported]:
    report = ReportDownload(transfer_id=opened.transfer_id, received=received, state=state)
    return session.ask(report, DownloadReported, LAST_REPORT_SECONDS)


def _report(session: Session, opened: DownloadOpened, received: int, state: TransferState) -> Flow[None]:
    """Say how a transfer ended; the history is the poorer without it, the user is not."""
    try:
        yield from answer(session, _ask_report(session, opened, received, state))
    except (Unreachable, LabelferryError):
        return


def _completed(snapshot: Snapshot, opened: DownloadOpened) -> Completed:
    """Return the job's completion, made up from what is known when a cancel kept a part of it."""
    if isinstance(snapshot.terminal, Completed):
        return snapshot.terminal
    kept = snapshot.terminal.counts if isinstance(snapshot.terminal, Cancelled) else None
    return Completed(
        job_id=snapshot.job_id,
        epoch=snapshot.epoch,
        attempt=snapshot.attempt,
        seq=snapshot.seq,
        timestamp=snapshot.timestamp,
        project=snapshot.project,
        bundle=opened.bundle,
        counts=kept or ExportCounts(),
    )
