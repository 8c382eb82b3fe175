"""Doors are shut for newcomers and for nobody inside; the porter shuts them while descriptors are short."""

import os
import socket
from pathlib import Path

import pytest
import zmq
from tests.support.processes import wait_until

from labelferry_broker.porter import Porter
from labelferry_transport.descriptors import descriptor_limit, open_descriptors
from labelferry_transport.doors import SHUT, Door
from labelferry_transport.sockets import bind, connect

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture(params=["ipc", "tcp"])
def place(request: pytest.FixtureRequest, short_dir: Path) -> str:
    return f"ipc://{short_dir / 'lane'}" if request.param == "ipc" else "tcp://127.0.0.1:*"


@pytest.fixture
def door(context: Context, place: str) -> tuple["zmq.Socket[bytes]", Door]:
    doors: list[Door] = []
    socket = bind(context, zmq.ROUTER, place, doors=doors)
    return socket, doors[0]


def knock(context: Context, bound: "zmq.Socket[bytes]") -> "zmq.Socket[bytes]":
    """Connect, and say something as soon as that can be."""
    place = bound.getsockopt_string(zmq.LAST_ENDPOINT)
    # What is said before there is a connection waits for it.
    peer = connect(
        context, zmq.DEALER, place, reconnect_ms=20, prepare=lambda socket: socket.setsockopt(zmq.IMMEDIATE, 0)
    )
    peer.send(b"hello")
    return peer


def test_a_shut_door_keeps_newcomers_out_and_everybody_else_in(
    context: Context, door: tuple["zmq.Socket[bytes]", Door]
) -> None:
    bound, the_door = door
    inside = knock(context, bound)
    assert bound.poll(5000)
    bound.recv_multipart()
    the_door.shut()
    knock(context, bound)
    assert not bound.poll(300)
    inside.send(b"still here")
    assert bound.poll(5000)
    assert bound.recv_multipart()[1] == b"still here"
    the_door.open()
    assert bound.poll(5000)
    assert bound.recv_multipart()[1] == b"hello"
    the_door.close()


def test_who_waits_at_a_door_that_is_shut_is_turned_away(short_dir: Path) -> None:
    path = short_dir / "lane"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(8)
        door = Door(os.dup(listening.fileno()), path)
        strangers = [socket.socket(socket.AF_UNIX) for _ in range(5)]
        for each in strangers:
            each.connect(str(path))
        door.shut()
        door.turn_away()
        assert [each.recv(1) for each in strangers] == [b""] * 5
        door.open()
        with socket.socket(socket.AF_UNIX) as later:
            later.connect(str(path))
            listening.accept()[0].close()
        for each in strangers:
            each.close()
        door.close()


def test_the_doors_are_shut_while_too_few_descriptors_are_left(
    context: Context, door: tuple["zmq.Socket[bytes]", Door]
) -> None:
    bound, the_door = door
    counts = {"open": 10}
    porter = Porter([the_door], 100, lambda: counts["open"])
    porter.start()
    knock(context, bound)
    assert bound.poll(5000)
    bound.recv_multipart()
    assert not porter.shut
    counts["open"] = 80
    knock(context, bound)
    wait_until(lambda: porter.shut, "the shut doors")
    while bound.poll(200):
        bound.recv_multipart()
    knock(context, bound)
    assert not bound.poll(300)
    counts["open"] = 20
    wait_until(lambda: not porter.shut, "the open doors")
    assert bound.poll(5000)
    assert porter.times == 1
    porter.stop()


def test_a_porter_that_stops_leaves_no_door_shut_and_no_file_behind(context: Context, short_dir: Path) -> None:
    doors: list[Door] = []
    bound = bind(context, zmq.ROUTER, f"ipc://{short_dir / 'lane'}", doors=doors)
    porter = Porter(doors, 100, lambda: 99)
    porter.start()
    knock(context, bound)
    wait_until(lambda: porter.shut, "the shut doors")
    assert (short_dir / f"lane{SHUT}").exists()
    porter.stop()
    assert [path.name for path in short_dir.iterdir()] == ["lane"]


def test_descriptors_are_counted() -> None:
    before = open_descriptors()
    assert before < descriptor_limit()
    more = [os.dup(0) for _ in range(20)]
    assert open_descriptors() >= before + 20
    for each in more:
        os.close(each)
    assert open_descriptors() < before + 20
