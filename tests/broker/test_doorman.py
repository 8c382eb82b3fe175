"""The doorman lets in who has a key and business on the lane, and nobody else, over real sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from labelferry_broker.doorman import DOORS, Doorman, domain_of
from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import Refusal
from labelferry_protocol.words import Role
from labelferry_transport.keys import load_key, make_peer_key
from labelferry_transport.sockets import ClientKeys, ServerKeys, bind, connect

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]

DECIDED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


@pytest.fixture
def doorman(context: Context, keys: Path) -> Iterator[Doorman]:
    made = Doorman(context, keys, reread_seconds=0.0)
    made.start()
    yield made
    made.stop()


def open_lane(context: Context, keys: Path, lane: Lane, domain: str | None = None) -> tuple[Socket, str]:
    server = load_key(keys / "broker.key").as_server(domain or domain_of(lane))
    socket = bind(context, zmq.ROUTER, "tcp://127.0.0.1:*", server)
    return socket, socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")


def knock(context: Context, endpoint: str, keys: ClientKeys | None) -> tuple[Socket, bool]:
    """Return the socket and whether its handshake succeeded."""
    monitors: list[Socket] = []
    socket = connect(
        context, zmq.DEALER, endpoint, keys, prepare=lambda it: monitors.append(it.get_monitor_socket(DECIDED))
    )
    assert monitors[0].poll(5000), "no decision at the door"
    event = recv_monitor_message(monitors[0])["event"]
    socket.disable_monitor()
    monitors[0].close(linger=0)
    return socket, event == zmq.EVENT_HANDSHAKE_SUCCEEDED


def client(keys: Path, name: str) -> ClientKeys:
    return load_key(keys.parent / f"{name}.key").as_client()


def stranger(keys: Path) -> ClientKeys:
    public, secret = zmq.curve_keypair()
    return ClientKeys(public, secret, load_key(keys / "broker.key").public.encode())


@pytest.mark.usefixtures("doorman")
def test_a_known_key_enters_under_its_name_and_role(context: Context, keys: Path) -> None:
    lane, endpoint = open_lane(context, keys, Lane.REQUESTS)
    socket, entered = knock(context, endpoint, client(keys, "alice"))
    assert entered
    socket.send(b"hello")
    frames = lane.recv_multipart(copy=False)
    assert frames[-1].get("User-Id") == "user:alice"


def test_an_unknown_key_is_turned_away(context: Context, keys: Path, doorman: Doorman) -> None:
    _, endpoint = open_lane(context, keys, Lane.REQUESTS)
    strange = stranger(keys)
    _, entered = knock(context, endpoint, strange)
    assert not entered
    assert doorman.turned_away(strange.public)
    assert not doorman.turned_away(client(keys, "alice").public)


@pytest.mark.usefixtures("doorman")
def test_a_connection_without_a_key_does_not_enter(context: Context, keys: Path) -> None:
    _, endpoint = open_lane(context, keys, Lane.REQUESTS)
    _, entered = knock(context, endpoint, None)
    assert not entered


@pytest.mark.usefixtures("doorman")
@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize(("name", "role"), [("alice", Role.USER), ("w1", Role.WORKER), ("root", Role.ADMIN)])
def test_a_role_enters_just_the_lanes_of_its_row(
    context: Context, keys: Path, lane: Lane, name: str, role: Role
) -> None:
    _, endpoint = open_lane(context, keys, lane)
    _, entered = knock(context, endpoint, client(keys, name))
    assert entered == (role in DOORS[lane])


@pytest.mark.usefixtures("doorman")
def test_nobody_enters_by_a_domain_that_is_no_lane(context: Context, keys: Path) -> None:
    _, endpoint = open_lane(context, keys, Lane.REQUESTS, domain="global")
    _, entered = knock(context, endpoint, client(keys, "root"))
    assert not entered


@pytest.mark.usefixtures("doorman")
def test_a_key_counts_from_the_moment_its_file_is_there_until_it_is_removed(context: Context, keys: Path) -> None:
    _, endpoint = open_lane(context, keys, Lane.REQUESTS)
    make_peer_key(keys, Role.USER, "carol", keys.parent / "carol.key")
    _, entered = knock(context, endpoint, client(keys, "carol"))
    assert entered
    (keys / "authorized" / "user-carol.pub").unlink()
    _, entered = knock(context, endpoint, client(keys, "carol"))
    assert not entered


def test_a_key_that_is_taken_back_is_told_to_the_owner_once(context: Context, keys: Path, doorman: Doorman) -> None:
    _, endpoint = open_lane(context, keys, Lane.REQUESTS)
    assert knock(context, endpoint, client(keys, "alice"))[1]
    (keys / "authorized" / "user-alice.pub").unlink()
    assert not knock(context, endpoint, client(keys, "alice"))[1]
    assert doorman.revoked() == {"user:alice"}
    assert doorman.revoked() == frozenset()
    assert doorman.turned_away(client(keys, "alice").public)


@pytest.mark.usefixtures("doorman")
def test_a_keys_directory_that_is_gone_lets_nobody_in(context: Context, keys: Path) -> None:
    _, endpoint = open_lane(context, keys, Lane.REQUESTS)
    (keys / "authorized").rename(keys / "elsewhere")
    _, entered = knock(context, endpoint, client(keys, "alice"))
    assert not entered


def test_nobody_enters_when_the_doorman_has_gone(context: Context, keys: Path, doorman: Doorman) -> None:
    _, endpoint = open_lane(context, keys, Lane.REQUESTS)
    doorman.stop()
    assert not doorman.alive
    _, entered = knock(context, endpoint, client(keys, "alice"))
    assert not entered


def test_one_context_has_one_doorman(context: Context, keys: Path, doorman: Doorman) -> None:
    assert doorman.alive
    with pytest.raises(Refusal, match="another doorman"):
        Doorman(context, keys)


def test_a_doorman_that_never_started_can_be_stopped(context: Context, keys: Path) -> None:
    made = Doorman(context, keys)
    made.stop()
    made.stop()
    assert not made.alive


def test_a_question_that_is_not_zap_kills_nobody(context: Context, keys: Path, doorman: Doorman) -> None:
    for garbage in ([b""], [b"x"] * 3, [b"", b"2.0", b"1", b"d", b"a", b"i", b"CURVE", b"short"], [b"\xff"] * 50):
        asker = context.socket(zmq.DEALER)
        asker.connect("inproc://zeromq.zap.01")
        asker.send_multipart(garbage)
        asker.close(linger=0)
    _, endpoint = open_lane(context, keys, Lane.REQUESTS)
    assert knock(context, endpoint, client(keys, "alice"))[1]
    assert doorman.alive


def test_server_keys_name_the_domain_of_their_lane(keys: Path) -> None:
    server = load_key(keys / "broker.key").as_server(domain_of(Lane.WORK))
    assert isinstance(server, ServerKeys)
    assert server.domain == "labelferry.work"
