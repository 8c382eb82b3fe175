"""Sockets reconnect spread out in time, so that a broker that was restarted meets no herd."""

from collections.abc import Iterator

import pytest
import zmq

from labelferry_transport.sockets import connect, new_context

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
