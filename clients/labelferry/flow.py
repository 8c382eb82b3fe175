"""Flows: what a client does, step by step, written once for the blocking and the async shell.

A flow is a generator. It yields an event for the user, `Wait` (turn the session until something has changed), or `Work`
(run this now, where blocking is allowed). It touches no socket; it looks at the session's questions, streams and fetches.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from labelferry.conversation import Question
from labelferry.errors import Unconfirmed
from labelferry.session import Session, Stirred
from labelferry_protocol.errors import Code, LabelferryError, Refusal
from labelferry_protocol.events import JobEvent, Terminal
from labelferry_protocol.life import TERMINAL
from labelferry_protocol.message import Message
from labelferry_protocol.requests import Cancel, CancelAccepted, CancelSettled
from labelferry_protocol.topics import identity_of

T = TypeVar("T")
A = TypeVar("A", bound=Message)


@dataclass(frozen=True)
class Wait:
    """The step of a flow that cannot go on before something has come or time has passed; `on` the thing that it looks at, if it is one."""

    on: Stirred | None = None


WAIT = Wait()


class Work(Generic[T]):
    """Something that may block (a file is read or flushed); its errors come out of `result`, inside the flow."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._value: list[T] = []
        self._error: LabelferryError | OSError | None = None

    def run(self) -> None:
        """Do it, in any thread."""
        try:
            self._value.append(self._function())
        except (LabelferryError, OSError) as error:
            self._error = error

    def result(self) -> T:
        """Return what came of it, or raise it."""
        if self._error is not None:
            raise self._error
        return self._value[0]


R = TypeVar("R")
Flow = Generator[JobEvent | Wait | Work[Any], None, R]


class Intent:
    """Whether a user wants a running export or transfer cancelled. `cancel` may be called in any thread or signal handler."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.cancelled = False
        self._wake = wake

    def cancel(self) -> None:
        """Say so; whoever waits is woken."""
        self.cancelled = True
        self._wake()


def run(function: Callable[[], T]) -> Flow[T]:
    """Run what may block; return its value."""
    work = Work(function)
    yield work
    return work.result()


def connect(session: Session) -> Flow[None]:
    """Have the broker's welcome, or raise what is in the way."""
    question = session.connect()
    if question is not None:
        yield from answer(session, question)


def ask(session: Session, message: Message, expects: type[A]) -> Flow[A]:
    """Ask the broker and return its answer; raise its refusal, or `Unreachable`."""
    yield from connect(session)
    return (yield from answer(session, session.ask(message, expects)))


def answer(session: Session, question: Question[A]) -> Flow[A]:
    """Wait for the final answer to a question."""
    try:
        while question.open:
            session.check()
            yield Wait(question)
    finally:
        session.forget(question)
    if question.error is not None:
        raise question.error
    if question.answer is None:
        raise session.unreachable()
    return question.answer


def watch(session: Session, job_id: str) -> Flow[None]:
    """Yield the events of a job to its end."""
    check_job_id(job_id)
    yield from connect(session)
    stream = session.watch(job_id)
    try:
        while True:
            event = stream.take()
            if event is not None:
                yield event
            elif stream.ended:
                return
            else:
                session.check(stream)
                yield Wait(stream)
    finally:
        session.unwatch(stream)


def cancel(
    session: Session, wish: Cancel, timeout: float, on_accepted: Callable[[CancelAccepted], None] | None
) -> Flow[Terminal]:
    """Cancel a job and return how it ended. `timeout` (s) is for the confirmation."""
    check_job_id(wish.job_id)
    check_seconds("timeout", timeout)
    yield from connect(session)
    began = session.now
    # The time for the confirmation can end the wait only once the wish is known to be taken on: before, there is nothing to confirm.
    question = session.ask(wish, CancelSettled, math.inf)
    give_up_at = began + session.timeout
    told = False
    try:
        while question.open:
            if question.accepted is not None and not told:
                told = True
                # Of a job that has ended the answer is on its way.
                least = session.timeout if question.accepted.state in TERMINAL else 0.0
                question.expires_at = began + max(timeout, least)
                if on_accepted is not None:
                    on_accepted(question.accepted)
            if not told and session.now >= give_up_at:
                raise session.unreachable()
            session.check()
            yield WAIT
    finally:
        session.forget(question)
    if question.error is not None:
        raise question.error
    if question.answer is None:
        raise Unconfirmed(
            f"the cancel of job {wish.job_id} is taken on, but the job had not ended after {timeout:g} s: ask for its status",
            wish.job_id,
        )
    return question.answer.outcome


def check_seconds(name: str, seconds: float) -> None:
    """Raise `Refusal(USAGE)` for what is no time to wait: NaN, or below 0. Infinity is for ever."""
    if not seconds >= 0:
        raise Refusal(Code.USAGE, f"{name} is a number of seconds, 0 or more, not {seconds}")


def check_job_id(job_id: str) -> None:
    """Raise `Refusal(USAGE)` for what cannot be the id of a job."""
    if not job_id.isascii() or identity_of(job_id.encode() + b"/") is None:
        raise Refusal(Code.USAGE, f"{job_id!r} is not a job id: it has 32 characters, 0-9 and a-f")
