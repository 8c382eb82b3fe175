"""A fan-out lane gives each subscriber what it may have, its first message before all others, and nothing to anybody else."""

from dataclasses import dataclass

import pytest
import zmq

from labelferry_broker import fanout
from labelferry_broker.connections import Connections
from labelferry_broker.fanout import Fanout
from labelferry_protocol import limits
from labelferry_transport.sockets import bind, connect

Context = zmq.Context[zmq.Socket[bytes]]

PATIENCE_MS = 5000
TOPIC = b"a" * 32 + b"/"
OTHER = b"b" * 32 + b"/"
DENIED = b"d" * 32 + b"/"


@dataclass
class Lane:
    """An XPUB lane that grants all but `DENIED`, and what it takes to drive it by hand."""

    context: Context
    socket: zmq.Socket[bytes]
    endpoint: str
    fanout: Fanout

    def join(self, *topics: bytes) -> zmq.Socket[bytes]:
        subscriber = connect(self.context, zmq.SUB, self.endpoint)
        for topic in topics:
            subscriber.setsockopt(zmq.SUBSCRIBE, topic)
            self.admit()
        return subscriber

    def admit(self) -> None:
        assert self.socket.poll(PATIENCE_MS), "no subscription came"
        for wish in self.fanout.wishes(100):
            if wish.topic != DENIED:
                self.fanout.grant(wish.topic, b"first")


@pytest.fixture
def lane(context: Context) -> Lane:
    socket = bind(context, zmq.XPUB, "tcp://127.0.0.1:*", max_bytes=limits.MAX_SUBSCRIPTION_BYTES)
    endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
    return Lane(context, socket, endpoint, Fanout(socket, Connections(socket), open_door=True))


def hear(socket: zmq.Socket[bytes]) -> bytes:
    assert socket.poll(PATIENCE_MS), "nothing heard"
    return socket.recv_multipart()[1]


def test_the_first_message_goes_to_the_new_subscriber_alone(lane: Lane) -> None:
    early = lane.join(TOPIC)
    assert hear(early) == b"first"
    late = lane.join(TOPIC)
    lane.fanout.publish(TOPIC, b"second")
    assert hear(late) == b"first"
    assert hear(late) == b"second"
    assert hear(early) == b"second"


def test_a_denied_subscriber_hears_nothing_and_takes_no_message_from_others(lane: Lane) -> None:
    allowed = lane.join(TOPIC)
    denied = lane.join(DENIED)
    lane.fanout.publish(TOPIC, b"one")
    lane.fanout.publish(DENIED, b"secret")
    assert [hear(allowed), hear(allowed)] == [b"first", b"one"]
    assert not denied.poll(100)


@pytest.mark.parametrize("topic", [b"", b"a", b"a" * 32, TOPIC + b"x"])
def test_a_topic_of_another_length_is_not_even_a_wish(lane: Lane, topic: bytes) -> None:
    subscriber = lane.join(topic)
    lane.fanout.publish(TOPIC, b"secret")
    assert not subscriber.poll(100)


def test_unsubscribing_takes_no_message_from_others(lane: Lane) -> None:
    staying, leaving = lane.join(TOPIC), lane.join(TOPIC)
    assert hear(leaving) == b"first"
    leaving.setsockopt(zmq.UNSUBSCRIBE, TOPIC)
    lane.admit()
    lane.fanout.publish(TOPIC, b"one")
    assert [hear(staying), hear(staying)] == [b"first", b"one"]
    assert not leaving.poll(100)


def test_a_subscriber_that_goes_takes_no_message_from_others(lane: Lane) -> None:
    staying, leaving = lane.join(TOPIC), lane.join(TOPIC)
    leaving.close(linger=0)
    lane.admit()
    lane.fanout.publish(TOPIC, b"one")
    assert [hear(staying), hear(staying)] == [b"first", b"one"]


def test_subscribing_again_brings_the_first_message_again(lane: Lane) -> None:
    subscriber = lane.join(TOPIC)
    assert hear(subscriber) == b"first"
    subscriber.setsockopt(zmq.UNSUBSCRIBE, TOPIC)
    lane.admit()
    subscriber.setsockopt(zmq.SUBSCRIBE, TOPIC)
    lane.admit()
    assert hear(subscriber) == b"first"


def test_a_message_to_nobody_blocks_nobody(lane: Lane) -> None:
    for _ in range(5000):
        lane.fanout.publish(OTHER, b"x" * 100)


def test_words_that_are_no_subscription_are_thrown_away(lane: Lane, context: Context) -> None:
    subscriber = lane.join(TOPIC)
    talker = connect(context, zmq.XSUB, lane.endpoint)
    for parts in ([b""], [b"hello"], [b"\x01"], [b"\x01" + DENIED, b"more"], [b"\xff" * 60]):
        talker.send_multipart(parts)
        lane.admit()
    lane.fanout.publish(TOPIC, b"one")
    assert [hear(subscriber), hear(subscriber)] == [b"first", b"one"]


def test_a_connection_with_too_many_subscriptions_is_cut(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "MAX_SUBSCRIPTIONS", 10)
    staying = lane.join(TOPIC)
    greedy = connect(lane.context, zmq.SUB, lane.endpoint, reconnect_ms=60_000)
    monitor = greedy.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    for number in range(11):
        greedy.setsockopt(zmq.SUBSCRIBE, b"%032x/" % number)
    while not monitor.poll(0):
        lane.admit()
    lane.fanout.publish(TOPIC, b"one")
    assert [hear(staying), hear(staying)] == [b"first", b"one"]
