"""What is said, and what is left, when a process may open no more files."""

import os
from collections.abc import Iterator

import pytest
import zmq
from tests.support.descriptors import few_descriptors

from labelferry_protocol.errors import Refusal
from labelferry_transport.descriptors import NoDescriptor, descriptor_limit, ensure_room, open_descriptors
from labelferry_transport.sockets import bind, connect, new_context

NOBODY = "tcp://127.0.0.1:9"


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made = new_context()
    # Its threads begin with its first socket, which stays: libzmq closes later, and would give a descriptor back in a test's midst.
    with made.socket(zmq.PAIR):
        yield made
    made.destroy(linger=0)


def test_what_a_process_needs_and_cannot_have_is_said_with_what_to_do() -> None:
    ensure_room(16)
    with pytest.raises(Refusal, match=r"needs 9\d* more \(its limit is \d+: raise it with `ulimit -n`"):
        ensure_room(int("9" * len(str(descriptor_limit()))))


@pytest.mark.parametrize("free", range(3))
def test_a_socket_without_a_descriptor_for_it_or_its_monitor_is_a_sentence_and_leaves_nothing(
    context: zmq.Context[zmq.Socket[bytes]], free: int
) -> None:
    before = open_descriptors()
    with few_descriptors(os.getpid(), free), pytest.raises(NoDescriptor, match="no more files can be opened now"):
        connect(
            context, zmq.DEALER, NOBODY, prepare=lambda socket: socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        )
    # What libzmq closes is closed by another thread of its.
    context.destroy(linger=0)
    assert open_descriptors() < before


def test_a_socket_that_cannot_be_made_cannot_be_bound_either(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with few_descriptors(os.getpid(), 0), pytest.raises(NoDescriptor):
        bind(context, zmq.ROUTER, "tcp://127.0.0.1:*")
