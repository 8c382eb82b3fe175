"""Sockets reconnect spread out in time, so that a broker that was restarted meets no herd."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from labelferry_broker.lanes import bind_lanes
from labelferry_protocol import limits
from labelferry_protocol.endpoints import parse_endpoint
from labelferry_transport.sockets import ClientKeys, connect, new_context

NOBODY = "tcp://127.0.0.1:9"


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made = new_context()
    yield made
    made.destroy(linger=0)


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 50), (0.5, 100), (1.0, 150)])
def test_the_first_pause_is_half_to_one_and_a_half_of_what_was_asked_for(
    context: zmq.Context[zmq.Socket[bytes]], jitter: float, pause: int
) -> None:
    with connect(context, zmq.DEALER, NOBODY, reconnect_ms=100, jitter=lambda: jitter) as socket:
        assert socket.getsockopt(zmq.RECONNECT_IVL) == pause
        assert socket.getsockopt(zmq.RECONNECT_IVL_MAX) == 2000


def test_a_crowd_has_many_different_pauses(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    crowd = [connect(context, zmq.SUB, NOBODY) for _ in range(300)]
    pauses = [int(socket.getsockopt(zmq.RECONNECT_IVL)) for socket in crowd]
    # No fifth of the crowd within a twentieth of the span: doubled as often as it may be, it stays so.
    assert all(sum(1 for each in pauses if since <= each < since + 5) < 60 for since in range(50, 151))
    for socket in crowd:
        socket.close()


def test_a_try_to_connect_ends_so_that_the_name_is_looked_up_again(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with connect(context, zmq.DEALER, NOBODY) as socket:
        assert 0 < int(socket.getsockopt(zmq.CONNECT_TIMEOUT)) <= 5000


def test_a_worker_that_is_cut_off_ends_what_it_holds_before_its_connection_is_taken_for_dropped(
    context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path
) -> None:
    lanes = bind_lanes(context, parse_endpoint(f"ipc://{tmp_path}"), None)
    assert int(lanes.work.getsockopt(zmq.TCP_MAXRT)) > 1000 * limits.LEASE_SECONDS
    assert int(lanes.events.getsockopt(zmq.TCP_MAXRT)) < 1000 * limits.LEASE_SECONDS
    lanes.close()


def test_a_socket_whose_keys_are_refused_is_closed_so_that_its_context_can_end() -> None:
    made = new_context()
    with pytest.raises(zmq.ZMQError):
        connect(made, zmq.DEALER, NOBODY, ClientKeys(b"short", b"short", b"short"))
    ending = threading.Thread(target=made.term)
    ending.start()
    ending.join(10)
    ended = not ending.is_alive()
    made.destroy(linger=0)
    assert ended
