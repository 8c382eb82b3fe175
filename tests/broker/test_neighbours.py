"""The end of a worker's process is seen on the same machine, and nothing is said of one that cannot be seen."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from labelferry_broker.neighbours import LOOK_SECONDS, WATCH_SECONDS, Neighbours

SAY = "from labelferry_transport.process_mark import own_mark; print(own_mark(), flush=True); input()"


@pytest.fixture
def other() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", SAY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as made:
        yield made
        made.kill()


def mark_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_end_of_a_process_whose_connection_went_is_told_once(other: "subprocess.Popen[str]") -> None:
    neighbours = Neighbours()
    neighbours.registered(b"peer", mark_of(other))
    assert neighbours.left(b"peer", 0.0)
    assert list(neighbours.ended()) == []
    assert neighbours.next_at(1.0) == 1.0 + LOOK_SECONDS
    assert neighbours.next_at(WATCH_SECONDS + 1.0) is None, (
        "a process that lives on is not looked at for ever so closely"
    )
    other.kill()
    other.wait()
    assert list(neighbours.ended()) == [b"peer"]
    assert list(neighbours.ended()) == []
    assert neighbours.next_at(1.0) is None


def test_one_that_came_back_is_watched_no_more_for_its_old_connection(other: "subprocess.Popen[str]") -> None:
    neighbours = Neighbours()
    mark = mark_of(other)
    neighbours.registered(b"old", mark)
    assert neighbours.left(b"old", 0.0)
    neighbours.registered(b"new", mark)
    other.kill()
    other.wait()
    assert list(neighbours.ended()) == []
    assert neighbours.left(b"new", 1.0)
    assert list(neighbours.ended()) == [b"new"]


def test_nothing_is_said_of_a_process_that_was_never_seen() -> None:
    neighbours = Neighbours()
    neighbours.registered(b"peer", "another-boot:1:2:3")
    assert not neighbours.left(b"peer", 0.0)
    assert not neighbours.left(b"stranger", 0.0)
    assert list(neighbours.ended()) == []
