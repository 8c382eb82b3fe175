"""Questions and their answers on the requests lane, pure: correlation ids, repeats, time-outs, answers out of order.

Every request of the protocol may be sent again without harm, so an unanswered question is simply repeated under the same
correlation id until it is answered, refused, or nobody waits any more. Time is given, in seconds of any steady clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from labelferry_protocol.errors import Code, LabelferryError, Refusal
from labelferry_protocol.message import Message
from labelferry_protocol.requests import CancelAccepted, Refused

A = TypeVar("A", bound=Message)

REPEAT_SECONDS = 1.0
"""Between two sendings of an unanswered question."""
REGISTER_SECONDS = 0.02
"""Until a question is repeated that came before the hello it needs."""
FIRST_UNSENT_SECONDS = 0.001
MOST_UNSENT_SECONDS = 0.1
"""Between two tries while there is no connection to send on: from the first, doubling, to the second."""


@dataclass(eq=False)
class Question(Generic[A]):
    """One request and what came of it. `answer` is its final answer, `accepted` the first of the two that a cancel has."""

    ref: str
    message: Message
    expects: type[A]
    asked_at: float
    expires_at: float
    send_at: float
    sent_at: float | None = None
    unsent: int = 0
    answer: A | None = None
    accepted: CancelAccepted | None = None
    error: LabelferryError | None = None
    expired: bool = False

    @property
    def open(self) -> bool:
        """Whether it still waits for its final answer."""
        return self.answer is None and self.error is None and not self.expired


class Conversation:
    """The open questions of one connection."""

    def __init__(self, new_ref: Callable[[], str]) -> None:
        self._new_ref = new_ref
        self._open: dict[str, Question[Any]] = {}

    @property
    def open(self) -> tuple[Question[Any], ...]:
        """The questions that wait for an answer."""
        return tuple(self._open.values())

    def ask(self, message: Message, expects: type[A], now: float, timeout: float) -> Question[A]:
        """Return a new question, due to be sent at once; it expires after `timeout` seconds (may be infinite)."""
        question = Question(self._new_ref(), message, expects, now, now + timeout, now)
        self._open[question.ref] = question
        return question

    def forget(self, question: Question[Any]) -> None:
        """Wait no more for this question."""
        self._open.pop(question.ref, None)

    def answered(self, ref: str, message: Message, now: float) -> Question[Any] | None:
        """Take an answer; return the question it ends, None for any other: a second copy, or an answer nobody waits for."""
        question = self._open.get(ref)
        if question is None:
            return None
        if isinstance(message, Refused):
            if message.code is Code.REGISTER:
                question.send_at = now + REGISTER_SECONDS
                return None
            question.error = Refusal(message.code, message.message, message.retry_after)
        elif isinstance(message, question.expects):
            question.answer = message
        elif isinstance(message, CancelAccepted):
            question.accepted = message
            return None
        else:
            return None
        self.forget(question)
        return question

    def failed(self, ref: str, error: LabelferryError) -> Question[Any] | None:
        """End the question of this correlation id with an error of our own, and return it if it is there."""
        question = self._open.pop(ref, None)
        if question is not None:
            question.error = error
        return question

    def expire(self, now: float) -> list[Question[Any]]:
        """End the questions whose time is over, and return them."""
        expired = [question for question in self._open.values() if now >= question.expires_at]
        for question in expired:
            question.expired = True
            self.forget(question)
        return expired

    def due(self, now: float) -> list[Question[Any]]:
        """Return what must be sent now, after ending the questions whose time is over."""
        self.expire(now)
        return [question for question in self._open.values() if now >= question.send_at]

    def sent(self, question: Question[Any], now: float) -> None:
        """Note that a question went out."""
        question.sent_at = now if question.sent_at is None else question.sent_at
        question.send_at = now + REPEAT_SECONDS

    def not_sent(self, question: Question[Any], now: float) -> None:
        """Note that there was no connection to send a question on."""
        question.send_at = now + unsent_delay(question.unsent)
        question.unsent += 1
        question.sent_at = None

    def reconnected(self, now: float) -> None:
        """Have every open question sent again: the other end of a new connection has heard none of them."""
        for question in self._open.values():
            question.send_at = now
            question.sent_at = None
            question.unsent = 0

    def deadline(self) -> float:
        """Return when `due` has something to do next; infinity when never."""
        return min((min(each.send_at, each.expires_at) for each in self._open.values()), default=float("inf"))


def unsent_delay(tries: int) -> float:
    """Return how long to wait after `tries` + 1 tries to send without a connection (s)."""
    return float(min(MOST_UNSENT_SECONDS, FIRST_UNSENT_SECONDS * 2 ** min(tries, 10)))
