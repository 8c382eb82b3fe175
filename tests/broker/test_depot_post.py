"""The broker's side of the depot: what it does about a process that ends, or cannot be started."""

import errno
import subprocess
import sys
from collections.abc import Iterator

import pytest
import zmq

from labelferry_broker.depot_post import LONGEST_PAUSE_SECONDS, DepotPost
from labelferry_protocol import codec
from labelferry_protocol.depot import DepotReady
from labelferry_protocol.errors import Refusal

INNER = "inproc://inner"


class Clock:
    """A clock that stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def post(context: zmq.Context[zmq.Socket[bytes]], clock: Clock) -> Iterator[DepotPost]:
    socket = context.socket(zmq.ROUTER)
    socket.bind(INNER)
    made = DepotPost(socket, [sys.executable, "-c", ""], clock)
    yield made
    made.stop()


def no_descriptors(*_args: object, **_options: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


def let_die(post: DepotPost) -> None:
    """Start a depot, which ends at once, and notice that."""
    post.watch()
    assert post._process is not None
    post._process.wait(10)
    assert post.watch()


def test_a_depot_that_cannot_be_started_again_is_tried_again_ever_later(
    context: zmq.Context[zmq.Socket[bytes]], post: DepotPost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot = context.socket(zmq.DEALER)
    depot.connect(INNER)
    depot.send_multipart(codec.frames(DepotReady(endpoint="ipc:///depot")))
    assert post.socket.poll(5000)
    post.heard()
    let_die(post)
    with monkeypatch.context() as broken:
        broken.setattr(subprocess, "Popen", no_descriptors)
        pauses = []
        for _ in range(9):
            assert post.due is not None
            clock.now = post.due
            assert not post.watch()
            pauses.append(round(post.due - clock.now, 3))
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    clock.now = post.due or 0.0
    let_die(post)
    depot.close(linger=0)


def test_one_that_never_came_up_ends_the_broker(post: DepotPost, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(subprocess, "Popen", no_descriptors)
        with pytest.raises(OSError, match="Too many"):
            post.watch()
    post.watch()
    assert post._process is not None
    post._process.wait(10)
    with pytest.raises(Refusal, match="the depot did not come up"):
        post.watch()
