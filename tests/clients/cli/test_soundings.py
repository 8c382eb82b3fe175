"""The doctor listens to each lane: pretended lanes on unix sockets, one that answers and one where nobody does."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from labelferry.cli import doctor
from labelferry.cli.doctor import Note, Wrong
from labelferry.cli.soundings import heard
from labelferry_protocol import codec
from labelferry_protocol.depot import RequestChunk
from labelferry_protocol.endpoints import Endpoint, Lane
from labelferry_protocol.errors import Code
from labelferry_protocol.events import Beat
from labelferry_protocol.requests import Refused
from labelferry_protocol.topics import BEAT

BOTH = frozenset({Lane.EVENTS, Lane.DEPOT})


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lf-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


class Lanes(threading.Thread):
    """A broker's events and its depot, or one of them, for one doctor: a beat for who subscribes, a refusal for who asks."""

    def __init__(self, places: dict[Lane, str]) -> None:
        super().__init__(daemon=True)
        self._context = zmq.Context()
        self._lanes: dict[zmq.Socket[bytes], Lane] = {}
        for lane, place in places.items():
            socket = self._context.socket(zmq.XPUB if lane is Lane.EVENTS else zmq.ROUTER)
            socket.bind(place)
            self._lanes[socket] = lane

    def run(self) -> None:
        poller = zmq.Poller()
        for socket in self._lanes:
            poller.register(socket, zmq.POLLIN)
        waiting = dict(self._lanes)
        while waiting:
            for socket, _ in poller.poll():
                lane = waiting.pop(socket, None)
                parts = socket.recv_multipart()
                if lane is Lane.EVENTS:
                    socket.send_multipart([BEAT, codec.pack(Beat(epoch=1, timestamp=1.0))])
                elif lane is Lane.DEPOT:
                    codec.parse(parts[1:], RequestChunk)
                    answer = Refused(code=Code.REGISTER, message="open it again")
                    socket.send_multipart([parts[0], *codec.frames(answer)])

    def close(self) -> None:
        """Close the lanes; what they said has been heard by now."""
        self._context.destroy(linger=0)


@contextmanager
def served(folder: Path, *lanes: Lane) -> Iterator[dict[Lane, str]]:
    """Serve these lanes; give where all of them would be."""
    places = {lane: f"ipc://{folder}/{lane}" for lane in sorted(BOTH)}
    broker = Lanes({lane: places[lane] for lane in lanes})
    broker.start()
    yield places
    broker.join(30.0)
    broker.close()


def test_lanes_that_are_served_are_heard(folder: Path) -> None:
    with served(folder, Lane.EVENTS, Lane.DEPOT) as places:
        assert heard(places, None, seconds=30.0) == BOTH


@pytest.mark.parametrize("lane", sorted(BOTH))
def test_a_lane_that_nobody_serves_is_not_heard_while_the_other_is(folder: Path, lane: Lane) -> None:
    with served(folder, lane) as places:
        assert heard(places, None, seconds=1.0) == {lane}


@pytest.mark.parametrize(
    ("there", "depot_ready", "kinds"),
    [
        (BOTH, True, [str]),
        ({Lane.EVENTS}, False, [str]),
        ({Lane.EVENTS}, True, [Wrong]),
        ({Lane.DEPOT}, True, [Note]),
        (set(), True, [Note, Wrong]),
    ],
)
def test_what_is_not_heard_is_told_with_its_place(
    monkeypatch: pytest.MonkeyPatch, there: set[Lane], depot_ready: bool, kinds: list[type]
) -> None:
    monkeypatch.setattr("labelferry.cli.soundings.heard", lambda _places, _keys: there)
    sentences = list(doctor._lanes(Endpoint("tcp", "b", 5570), None, depot_ready=depot_ready))
    assert [type(sentence) for sentence in sentences] == kinds
    places = {Note: "tcp://b:5571", Wrong: "tcp://b:5575", str: ""}
    for sentence in sentences:
        assert places[type(sentence)] in sentence
