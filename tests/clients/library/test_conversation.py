"""Questions and answers on a lane that loses, doubles and turns them around. Pure: time is a number."""

from itertools import count

import pytest

from labelferry.conversation import MOST_UNSENT_SECONDS, REPEAT_SECONDS, Conversation, unsent_delay
from labelferry_protocol.errors import Code, LabelferryError, Refusal
from labelferry_protocol.events import Cancelled
from labelferry_protocol.requests import (
    Cancel,
    CancelAccepted,
    CancelSettled,
    GetOverview,
    ListTemplates,
    Refused,
    TemplateDeleted,
    Templates,
)
from labelferry_protocol.words import CancelledBy, Phase, State

JOB = "a" * 32
FOREVER = float("inf")


@pytest.fixture
def conversation() -> Conversation:
    numbers = count(1)
    return Conversation(lambda: f"ref-{next(numbers)}")


def cancelled() -> Cancelled:
    return Cancelled(
        job_id=JOB,
        epoch=1,
        attempt=1,
        seq=3,
        timestamp=0.0,
        project="p",
        cancelled_by=CancelledBy.USER,
        who="local",
        progress=10,
        phase=Phase.PROCESSING,
        cleanup_completed=True,
    )


def test_a_question_is_sent_at_once_and_again_until_it_is_answered(conversation: Conversation) -> None:
    question = conversation.ask(ListTemplates(), Templates, 0.0, 10.0)
    assert conversation.due(0.0) == [question]
    conversation.sent(question, 0.0)
    assert conversation.due(REPEAT_SECONDS - 0.01) == []
    assert conversation.due(REPEAT_SECONDS) == [question]
    conversation.answered(question.ref, Templates(names=("a",)), 1.1)
    assert question.answer == Templates(names=("a",))
    assert conversation.due(9.0) == []


def test_answers_may_come_out_of_order(conversation: Conversation) -> None:
    first = conversation.ask(ListTemplates(), Templates, 0.0, 10.0)
    second = conversation.ask(ListTemplates(), Templates, 0.0, 10.0)
    conversation.answered(second.ref, Templates(names=("second",)), 0.1)
    conversation.answered(first.ref, Templates(names=("first",)), 0.2)
    assert first.answer == Templates(names=("first",))
    assert second.answer == Templates(names=("second",))


def test_a_second_answer_and_one_to_nobody_are_passed_over(conversation: Conversation) -> None:
    question = conversation.ask(ListTemplates(), Templates, 0.0, 10.0)
    conversation.answered(question.ref, Templates(names=("a",)), 0.1)
    assert conversation.answered(question.ref, Templates(names=("b",)), 0.2) is None
    assert conversation.answered("nobody", Templates(names=("b",)), 0.2) is None
    assert question.answer == Templates(names=("a",))


def test_an_answer_of_another_kind_is_no_answer(conversation: Conversation) -> None:
    question = conversation.ask(ListTemplates(), Templates, 0.0, 10.0)
    conversation.answered(question.ref, TemplateDeleted(name="a"), 0.1)
    assert question.open


def test_a_question_expires_and_is_sent_no_more(conversation: Conversation) -> None:
    question = conversation.ask(GetOverview(), Templates, 0.0, 5.0)
    assert conversation.deadline() == 0.0
    conversation.sent(question, 0.0)
    assert conversation.due(5.0) == []
    assert question.expired
    assert not question.open
    assert conversation.deadline() == FOREVER


def test_a_refusal_ends_a_question_with_its_code_sentence_and_time(conversation: Conversation) -> None:
    question = conversation.ask(ListTemplates(), Templates, 0.0, 10.0)
    conversation.answered(question.ref, Refused(code=Code.QUOTA, message="too many", retry_after=3.0), 0.1)
    assert isinstance(question.error, Refusal)
    assert (question.error.code, str(question.error), question.error.retry_after) == (Code.QUOTA, "too many", 3.0)


def test_whoever_must_say_hello_again_has_the_question_repeated_and_not_ended(conversation: Conversation) -> None:
    question = conversation.ask(ListTemplates(), Templates, 0.0, 10.0)
    conversation.sent(question, 0.0)
    conversation.answered(question.ref, Refused(code=Code.REGISTER, message="who are you?"), 0.1)
    assert question.open
    assert conversation.due(0.2) == [question]


def test_a_cancel_has_two_answers_and_the_second_ends_it(conversation: Conversation) -> None:
    question = conversation.ask(Cancel(job_id=JOB), CancelSettled, 0.0, 30.0)
    conversation.answered(question.ref, CancelAccepted(job_id=JOB, state=State.CANCELLING), 0.1)
    assert question.open
    assert question.accepted is not None
    conversation.answered(question.ref, CancelSettled(job_id=JOB, outcome=cancelled()), 0.2)
    assert question.answer is not None
    assert question.answer.outcome == cancelled()


def test_a_cancel_is_repeated_after_it_was_accepted_for_a_restarted_broker_owes_the_second_answer_to_nobody(
    conversation: Conversation,
) -> None:
    question = conversation.ask(Cancel(job_id=JOB), CancelSettled, 0.0, 30.0)
    conversation.sent(question, 0.0)
    conversation.answered(question.ref, CancelAccepted(job_id=JOB, state=State.CANCELLING), 0.1)
    assert conversation.due(REPEAT_SECONDS) == [question]


def test_without_a_connection_the_tries_come_soon_and_then_more_rarely(conversation: Conversation) -> None:
    question = conversation.ask(ListTemplates(), Templates, 0.0, 10.0)
    now, tries = 0.0, 0
    while now < 1.0:
        assert conversation.due(now) == [question]
        conversation.sent(question, now)
        conversation.not_sent(question, now)
        now, tries = conversation.deadline(), tries + 1
    assert 10 <= tries <= 30
    assert unsent_delay(10**6) == MOST_UNSENT_SECONDS


def test_a_new_connection_has_every_open_question_sent_again(conversation: Conversation) -> None:
    questions = [conversation.ask(ListTemplates(), Templates, 0.0, 10.0) for _ in range(3)]
    for question in questions:
        conversation.sent(question, 0.0)
    conversation.reconnected(0.5)
    assert conversation.due(0.5) == questions


def test_an_answer_that_cannot_be_read_ends_its_question(conversation: Conversation) -> None:
    question = conversation.ask(ListTemplates(), Templates, 0.0, 10.0)
    conversation.failed(question.ref, LabelferryError("not understood"))
    conversation.failed("nobody", LabelferryError("not understood"))
    assert str(question.error) == "not understood"
