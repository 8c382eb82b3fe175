"""The start-up proof passes for a shut door and for no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from labelferry_broker.doorman import Doorman, domain_of
from labelferry_broker.proof import knocking_place, prove_shut
from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import EXIT_FAILED, Refusal
from labelferry_transport.keys import KeyFile, load_key
from labelferry_transport.sockets import bind

Context = zmq.Context[zmq.Socket[bytes]]

KINDS = {
    Lane.REQUESTS: zmq.ROUTER,
    Lane.EVENTS: zmq.XPUB,
    Lane.WORK: zmq.ROUTER,
    Lane.PROGRESS: zmq.SUB,
    Lane.CONTROL: zmq.XPUB,
    Lane.DEPOT: zmq.ROUTER,
}


@pytest.fixture
def doorman(context: Context, keys: Path) -> Iterator[Doorman]:
    made = Doorman(context, keys)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def key(keys: Path) -> KeyFile:
    return load_key(keys / "broker.key")


def endpoint_of(socket: zmq.Socket[bytes]) -> str:
    return socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")


@pytest.mark.parametrize("lane", list(Lane))
def test_a_guarded_lane_is_proved_shut(context: Context, doorman: Doorman, key: KeyFile, lane: Lane) -> None:
    socket = bind(context, KINDS[lane], "tcp://127.0.0.1:*", key.as_server(domain_of(lane)))
    prove_shut(context, lane, endpoint_of(socket), key.public.encode(), doorman)


def test_a_lane_without_a_domain_is_not_served(context: Context, doorman: Doorman, key: KeyFile) -> None:
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, key.secret.encode())
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    socket.bind("tcp://127.0.0.1:*")
    with pytest.raises(Refusal, match="let an unknown key in") as caught:
        prove_shut(context, Lane.WORK, endpoint_of(socket), key.public.encode(), doorman)
    assert caught.value.exit_code == EXIT_FAILED


def test_a_lane_whose_doorman_has_died_is_not_served(context: Context, doorman: Doorman, key: KeyFile) -> None:
    socket = bind(context, zmq.ROUTER, "tcp://127.0.0.1:*", key.as_server(domain_of(Lane.WORK)))
    doorman.stop()
    with pytest.raises(Refusal, match="could not be shown"):
        prove_shut(context, Lane.WORK, endpoint_of(socket), key.public.encode(), doorman, patience=1.0)


def test_a_lane_that_nobody_listens_on_is_not_served(context: Context, doorman: Doorman, key: KeyFile) -> None:
    with pytest.raises(Refusal, match="could not be shown"):
        prove_shut(context, Lane.WORK, "ipc:///tmp/labelferry-nobody", key.public.encode(), doorman, patience=0.2)


@pytest.mark.parametrize(
    ("listens", "knock"),
    [
        ("tcp://*:5570", "tcp://127.0.0.1:5570"),
        ("tcp://0.0.0.0:5570", "tcp://127.0.0.1:5570"),
        ("tcp://[::]:5570", "tcp://[::1]:5570"),
        ("tcp://10.0.0.1:5570", "tcp://10.0.0.1:5570"),
        ("ipc:///run/x/work", "ipc:///run/x/work"),
    ],
)
def test_a_lane_that_listens_everywhere_is_tried_on_this_machine(listens: str, knock: str) -> None:
    assert knocking_place(listens) == knock
