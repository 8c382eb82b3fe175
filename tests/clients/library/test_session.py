"""What a client does about its lanes as a whole: hello, lanes that fall silent, pauses, versions. Pure: frames in, effects out."""

from itertools import count

import msgpack
import pytest

from labelferry.effects import Effect, Open, Send, Subscribe, Unsubscribe
from labelferry.errors import Unreachable
from labelferry.session import EVENTS, MOST_STEP_SECONDS, REOPEN_SECONDS, REQUESTS, Session
from labelferry.watching import MOST_LEFT
from labelferry_protocol import codec, topics
from labelferry_protocol.endpoints import Lane, parse_endpoint
from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_protocol.events import Beat, BundleFacts, Failed
from labelferry_protocol.message import Message
from labelferry_protocol.requests import (
    ClientSays,
    DownloadOpened,
    GetSnapshot,
    Hello,
    ListTemplates,
    Refused,
    Templates,
    Welcome,
)
from labelferry_protocol.words import Role
from labelferry_transport.descriptors import NO_DESCRIPTOR_SECONDS

JOB = "a" * 32


class Turner:
    """Turns a session by hand: keeps what it sent and opened, and lets time pass."""

    def __init__(self) -> None:
        numbers = count(1)
        self.session = Session(
            parse_endpoint("tcp://broker.example:5570"),
            lambda: f"ref-{next(numbers)}",
            timeout=5.0,
            patience=60.0,
            advice="is it running?",
            software="test",
        )
        self.now = 100.0
        self.sent: list[tuple[str, Message]] = []
        self.opened: list[Open] = []
        self.subscribed: list[bytes] = []
        self.session.step(self.now)

    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.session.step(self.now)
        for effect in self.session.turn():
            self.note(effect)

    def note(self, effect: Effect) -> None:
        if isinstance(effect, Open):
            self.opened.append(effect)
        elif isinstance(effect, Subscribe):
            self.subscribed.append(effect.topic)
        elif isinstance(effect, Send) and effect.name == REQUESTS:
            ref, message = codec.parse([bytes(each) for each in effect.frames], ClientSays)
            self.sent.append((ref, message))

    def answer(self, message: Message, ref: str | None = None) -> None:
        frames = codec.frames(message, self.sent[-1][0] if ref is None else ref)
        self.session.received(REQUESTS, [bytes(each) for each in frames])

    def beat(self, epoch: int = 1) -> None:
        self.session.received(EVENTS, [topics.BEAT, codec.pack(Beat(epoch=epoch, timestamp=0.0))])

    def last(self, kind: type[Message]) -> int:
        return sum(isinstance(message, kind) for _, message in self.sent)


def welcome(epoch: int = 1) -> Welcome:
    lanes = {"requests": "tcp://*:6000", "events": "tcp://*:6001", "depot": "tcp://*:6005"}
    return Welcome(version=1, features=(), epoch=epoch, user="alice", role=Role.USER, endpoints=lanes)


@pytest.fixture
def turner() -> Turner:
    return Turner()


@pytest.fixture
def met(turner: Turner) -> Turner:
    """A session that the broker has welcomed."""
    turner.session.connect()
    turner.turn()
    turner.answer(welcome())
    assert turner.session.connect() is None
    return turner


def test_hello_goes_first_and_everything_else_waits_for_the_welcome(turner: Turner) -> None:
    turner.session.connect()
    question = turner.session.ask(ListTemplates(), Templates)
    turner.turn()
    assert [type(message) for _, message in turner.sent] == [Hello]
    turner.answer(welcome())
    turner.turn()
    assert isinstance(turner.sent[-1][1], ListTemplates)
    turner.answer(Templates(names=()))
    assert question.answer == Templates(names=())


def test_the_other_lanes_are_where_the_welcome_says_at_the_host_that_was_reached(met: Turner) -> None:
    met.session.watch(JOB)
    met.turn()
    assert [each.endpoint for each in met.opened] == ["tcp://broker.example:5570", "tcp://broker.example:6001"]
    assert met.subscribed == [topics.BEAT, topics.topic_of(JOB)]


def test_a_broker_that_speaks_no_version_of_ours_ends_the_hello_with_its_sentence(turner: Turner) -> None:
    question = turner.session.connect()
    turner.turn()
    turner.answer(Refused(code=Code.PROTOCOL, message="too old: update labelferry here"))
    assert question is not None
    assert isinstance(question.error, Refusal)
    assert "too old" in str(question.error)


def test_a_header_of_another_version_ends_whatever_waits(met: Turner) -> None:
    met.session.received(REQUESTS, [msgpack.packb({"version": 9, "ref": "x"}), b"\x80"])
    with pytest.raises(Refusal, match="protocol 9 came") as caught:
        met.session.check()
    assert caught.value.code is Code.PROTOCOL


def test_an_answer_that_cannot_be_read_ends_its_question_and_no_other(met: Turner) -> None:
    bad, good = met.session.ask(ListTemplates(), Templates), met.session.ask(ListTemplates(), Templates)
    met.turn()
    header = bytes(codec.frames(Templates(names=()), bad.ref)[0])
    met.session.received(REQUESTS, [header, msgpack.packb({"kind": "templates", "names": 7})])
    assert isinstance(bad.error, Malformed)
    assert good.open


@pytest.mark.parametrize("frames", [[], [b""], [b"\xc1", b"\xc1"], [b"\x80"] * 3, [b"x"] * 100])
def test_junk_on_any_lane_is_passed_over(met: Turner, frames: list[bytes]) -> None:
    met.session.watch(JOB)
    for name in (REQUESTS, EVENTS, "depot-1", "no such lane"):
        met.session.received(name, frames)
    met.turn()
    met.session.check()


def test_whoever_is_not_known_any_more_says_hello_and_asks_again(met: Turner) -> None:
    question = met.session.ask(ListTemplates(), Templates)
    met.turn()
    met.answer(Refused(code=Code.REGISTER, message="who are you?"), question.ref)
    met.turn(0.1)
    assert {type(message) for _, message in met.sent[-2:]} == {Hello, ListTemplates}


def test_a_new_epoch_is_greeted(met: Turner) -> None:
    met.session.watch(JOB)
    met.turn()
    met.beat(epoch=2)
    met.turn()
    assert met.last(Hello) == 2
    met.answer(welcome(epoch=2), next(ref for ref, message in reversed(met.sent) if isinstance(message, Hello)))
    met.beat(epoch=2)
    met.turn()
    assert met.last(Hello) == 2


def test_an_events_lane_that_falls_silent_is_connected_anew_with_its_subscriptions(met: Turner) -> None:
    met.session.watch(JOB)
    met.turn()
    for _ in range(10):
        met.beat()
        met.turn(0.5)
    events_opened = [EVENTS]
    assert [each.name for each in met.opened if each.name == EVENTS] == events_opened
    while [each.name for each in met.opened if each.name == EVENTS] == events_opened:
        met.turn(0.5)
    assert met.now - 105.0 == pytest.approx(REOPEN_SECONDS, abs=0.6)
    assert met.subscribed[-2:] == [topics.BEAT, topics.topic_of(JOB)]


def test_a_requests_lane_that_answers_nothing_is_connected_anew_and_asked_again(met: Turner) -> None:
    met.session.ask(ListTemplates(), Templates, 60.0)
    for _ in range(8):
        met.turn(0.5)
    assert [each.name for each in met.opened] == [REQUESTS, REQUESTS]
    assert met.last(Hello) == 2


def test_a_requests_lane_on_which_nothing_can_be_sent_is_connected_anew(met: Turner) -> None:
    met.turn(60.0)
    question = met.session.ask(ListTemplates(), Templates)
    opened = len(met.opened)
    since = met.now
    while len(met.opened) == opened and question.open:
        met.now += 0.1
        met.session.step(met.now)
        for effect in met.session.turn():
            met.note(effect)
            if isinstance(effect, Send):
                met.session.not_sent(effect)
    assert met.opened[opened:] == [Open(REQUESTS, Lane.REQUESTS, "tcp://broker.example:5570")]
    assert met.now - since == pytest.approx(REOPEN_SECONDS, abs=0.2)


def test_a_first_connection_over_a_far_way_is_not_given_up_while_it_comes_to_be(turner: Turner) -> None:
    turner.session.connect()
    question = turner.session.ask(ListTemplates(), Templates, 60.0)
    for _ in range(9):
        turner.turn(0.5)
    turner.answer(welcome())
    turner.turn()
    turner.answer(Templates(names=()))
    assert question.answer == Templates(names=())
    assert [each.name for each in turner.opened] == [REQUESTS]
    turner.session.watch(JOB)
    for _ in range(14):
        turner.turn(0.5)
    turner.beat()
    assert [each.name for each in turner.opened].count(EVENTS) == 1


def test_a_first_connection_that_brings_nothing_is_made_anew_in_the_end(turner: Turner) -> None:
    turner.session.connect()
    turner.session.ask(ListTemplates(), Templates, 60.0)
    for _ in range(18):
        turner.turn(0.5)
    assert [each.name for each in turner.opened] == [REQUESTS, REQUESTS]


def test_of_a_download_that_brings_nothing_though_the_broker_answers_it_is_said_what_to_look_at(met: Turner) -> None:
    bundle = BundleFacts(size=1000, sha256="b" * 64, file_name="cells.zip")
    opened = DownloadOpened(transfer_id="c" * 32, job_id=JOB, bundle=bundle, token=b"token")
    fetch = met.session.fetch(opened, 0)
    for _ in range(60):
        met.session.check(fetch)
        met.turn(1.0)
        met.answer(Templates(names=()), "whatever")
    met.turn(1.0)
    with pytest.raises(
        Unreachable, match=r"from tcp://broker\.example:5575 for 61 s, though the broker answers: .*MTU"
    ):
        met.session.check(fetch)


def test_a_requests_lane_nobody_asks_on_is_left_alone(met: Turner) -> None:
    for _ in range(100):
        met.turn(0.5)
    assert len(met.opened) == 1
    assert met.session.idle


def test_time_in_which_nobody_turned_the_session_is_not_counted(met: Turner) -> None:
    question = met.session.ask(ListTemplates(), Templates)
    met.turn()
    met.turn(3600.0)
    assert question.open
    assert met.session.now <= 10 * MOST_STEP_SECONDS


def test_whoever_was_stopped_asks_for_a_snapshot_at_once(met: Turner) -> None:
    met.session.watch(JOB)
    met.turn()
    before = met.last(GetSnapshot)
    met.turn(10.0)
    assert met.last(GetSnapshot) == before + 1


def test_patience_ends_in_a_sentence_that_says_where_and_since_when(met: Turner) -> None:
    stream = met.session.watch(JOB)
    for _ in range(150):
        met.turn(0.5)
    with pytest.raises(Unreachable, match=r"no broker answers at tcp://broker.example:5570 any more \(since 7\d s\)"):
        met.session.check(stream)


def test_a_silence_is_counted_from_the_last_word_while_a_job_is_watched(met: Turner) -> None:
    met.turn(50.0)
    assert met.session.silence == 0.0, "nothing is watched"
    stream = met.session.watch(JOB)
    met.turn()
    assert met.session.silence == 0.0
    for _ in range(7):
        met.turn(1.0)
    assert met.session.silence == pytest.approx(7.0)
    met.beat()
    assert met.session.silence == 0.0
    met.turn(1.0)
    assert met.session.silence == pytest.approx(1.0)
    met.session.unwatch(stream)
    assert met.session.silence == 0.0


def test_a_session_always_has_something_to_wait_for_but_never_spins(met: Turner) -> None:
    met.session.watch(JOB)
    met.session.ask(ListTemplates(), Templates)
    turns = 0
    while met.now < 130.0:
        met.turn(max(met.session.wait(), 1e-4))
        turns += 1
    assert turns < 400


class Watcher(Turner):
    """Notes as well what is unsubscribed from."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[bytes] = []
        self.session.connect()
        self.turn()
        self.answer(welcome())

    def note(self, effect: Effect) -> None:
        super().note(effect)
        if isinstance(effect, Unsubscribe):
            self.left.append(effect.topic)

    def watch(self, job_id: str, *, ended: bool) -> None:
        stream = self.session.watch(job_id)
        if ended:
            stream.settled(failed(job_id))
        self.session.unwatch(stream)
        self.turn()


def failed(job_id: str) -> Failed:
    return Failed(
        job_id=job_id, epoch=1, attempt=1, seq=1, timestamp=0.0, project="p", code=Code.SOURCE, message="no such folder"
    )


def test_topics_of_ended_jobs_are_left_together_and_those_of_others_at_once() -> None:
    client = Watcher()
    jobs = [f"{number:032x}" for number in range(MOST_LEFT)]
    for job_id in jobs[:-1]:
        client.watch(job_id, ended=True)
    assert client.left == []
    client.watch(jobs[-1], ended=True)
    assert client.left == [topics.topic_of(job_id) for job_id in jobs]
    client.watch(JOB, ended=False)
    assert client.left[-1] == topics.topic_of(JOB)


def test_an_ended_job_that_is_watched_again_is_subscribed_to_anew_for_its_snapshot() -> None:
    client = Watcher()
    client.watch(JOB, ended=True)
    client.watch(JOB, ended=True)
    assert client.left == [topics.topic_of(JOB)]
    assert client.subscribed.count(topics.topic_of(JOB)) == 2


def test_each_question_and_stream_that_changed_is_named_once_and_no_other() -> None:
    client = Watcher()
    first, second = client.session.watch(JOB), client.session.watch("b" * 32)
    client.turn()
    client.session.stirred()
    client.session.received(EVENTS, [topics.topic_of(JOB), codec.pack(failed(JOB))])
    assert client.session.stirred() == {first}
    client.beat()
    assert client.session.stirred() == {first, second}
    question = client.session.ask(ListTemplates(), Templates)
    client.turn()
    client.answer(Templates(names=()))
    assert client.session.stirred() == {question}


def test_a_socket_that_could_not_be_opened_is_tried_again_each_second_and_is_why_nobody_answers(turner: Turner) -> None:
    turner.session.connect()
    turner.turn()
    turner.session.not_opened(turner.opened[0], Refusal(Code.INTERNAL, "no more files can be opened"))
    assert "no more files can be opened" in str(turner.session.unreachable())
    turner.turn(NO_DESCRIPTOR_SECONDS / 2)
    assert len(turner.opened) == 1
    turner.turn(NO_DESCRIPTOR_SECONDS / 2)
    assert [each.name for each in turner.opened] == [REQUESTS, REQUESTS]
    assert "is it running?" in str(turner.session.unreachable())
    assert turner.last(Hello) == 2, "what was asked is asked again on the new socket"


def test_a_push_channel_that_could_not_be_opened_is_subscribed_to_when_it_is(met: Turner) -> None:
    met.session.watch(JOB)
    met.turn()
    met.session.not_opened(met.opened[-1], Refusal(Code.INTERNAL, "no more files can be opened"))
    met.subscribed.clear()
    met.turn(NO_DESCRIPTOR_SECONDS)
    assert met.opened[-1].name == EVENTS
    assert set(met.subscribed) == {topics.BEAT, topics.topic_of(JOB)}
