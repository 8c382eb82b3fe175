"""An export as one flow: submit, watch, download; one stream of events, and a cancel that works in each of the three."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labelferry.conversation import Question
from labelferry.errors import Interrupted
from labelferry.flow import WAIT, Flow, Intent, answer, connect
from labelferry.part_file import check_target
from labelferry.session import Session
from labelferry.stream import EventStream
from labelferry.transfer import Sayer, bring_completed
from labelferry_protocol.events import TERMINAL_EVENTS, Completed, PhaseChanged
from labelferry_protocol.requests import Cancel, CancelSettled, Submit, Submitted
from labelferry_protocol.words import Phase

FOREVER = float("inf")


@dataclass
class Order:
    """What to export and where to; `job_id` is there once the broker has taken it."""

    submit: Submit
    target: Path
    overwrite: bool
    wall: Callable[[], float]
    job_id: str | None = None


def export(session: Session, intent: Intent, order: Order) -> Flow[None]:
    """Run an order to its end. The target is looked at first: a job is not begun for a place that cannot be written."""
    target = check_target(order.target, overwrite=order.overwrite)
    _stop_if(intent)
    yield from connect(session)
    _stop_if(intent)
    submitted = yield from answer(session, session.ask(order.submit, Submitted))
    order.job_id = submitted.job_id
    completed, phase_said = yield from _process(session, intent, submitted.job_id)
    if completed is None:
        return
    say = Sayer(completed, order.wall)
    if not phase_said:
        yield PhaseChanged(
            job_id=completed.job_id,
            epoch=completed.epoch,
            attempt=completed.attempt,
            seq=completed.seq,
            timestamp=completed.timestamp,
            previous=Phase.PROCESSING,
            phase=Phase.DOWNLOADING,
        )
    if intent.cancelled:
        who = "" if session.welcome is None else session.welcome.user
        yield say.cancelled(who, 0.0, order.wall(), clean=True)
        return
    yield from bring_completed(session, intent, say, target, overwrite=order.overwrite)


def _process(session: Session, intent: Intent, job_id: str) -> Flow[tuple[Completed | None, bool]]:
    """Yield the job's events but for its completion, which is returned, with whether the change of phase was said."""
    stream = session.watch(job_id)
    wish: Question[CancelSettled] | None = None
    phase_said = False
    try:
        while True:
            event = stream.take()
            if isinstance(event, Completed):
                return event, phase_said
            if event is not None:
                phase_said = phase_said or isinstance(event, PhaseChanged)
                yield event
                if isinstance(event, TERMINAL_EVENTS):
                    return None, phase_said
                continue
            if intent.cancelled:
                wish = _pursue(session, stream, wish)
            if not stream.ended:
                session.check(stream)
                yield WAIT
    finally:
        session.unwatch(stream)
        if wish is not None:
            session.forget(wish)


def _pursue(session: Session, stream: EventStream, wish: Question[CancelSettled] | None) -> Question[CancelSettled]:
    """Ask for the cancel, once, and hear its answer; raise when it is refused or nobody takes it on."""
    if wish is None:
        return session.ask(Cancel(job_id=stream.job_id), CancelSettled, FOREVER)
    if wish.error is not None:
        raise wish.error
    if wish.answer is not None:
        stream.settled(wish.answer.outcome)
    elif wish.accepted is None and session.now - wish.asked_at > 2 * session.timeout:
        raise session.unreachable(f", so that the cancel of job {stream.job_id} is not confirmed")
    return wish


def _stop_if(intent: Intent) -> None:
    if intent.cancelled:
        raise Interrupted("the export was cancelled before a job was made of it")
