"""What a service tells systemd: ready, stopping, and that its loop turns."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelferry_transport.notice import Notice


class Manager:
    """A pretended service manager's socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        words = []
        while True:
            try:
                words.append(self._socket.recv(100).decode())
            except BlockingIOError:
                return words

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "n")


@pytest.fixture
def manager(place: str) -> Iterator[Manager]:
    made = Manager(place)
    yield made
    made.close()


def test_a_service_says_ready_and_stopping(manager: Manager, place: str) -> None:
    notice = Notice.take({"NOTIFY_SOCKET": place})
    notice.ready()
    notice.alive(0.0)
    notice.stopping()
    assert manager.heard() == ["READY=1", "STOPPING=1"]


def test_a_loop_says_three_times_in_the_watchdogs_time_that_it_turns(manager: Manager, place: str) -> None:
    notice = Notice.take({"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())})
    for tenth in range(30):
        notice.alive(tenth / 10)
    assert manager.heard() == ["WATCHDOG=1"] * 3


def test_a_watchdog_of_another_process_is_left_alone(manager: Manager, place: str) -> None:
    Notice.take({"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}).alive(0.0)
    assert manager.heard() == []


def test_children_do_not_inherit_the_line() -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Notice.take(environment)
    assert environment == {"HOME": "/"}


def test_an_abstract_address_is_reached() -> None:
    manager = Manager("\0labelferry-notice-test")
    Notice("@labelferry-notice-test").ready()
    assert manager.heard() == ["READY=1"]
    manager.close()


@pytest.mark.parametrize("address", [None, "", "/nowhere/at/all"])
def test_nobody_to_tell_is_no_fault(address: str | None) -> None:
    Notice(address, 1.0).ready()
    Notice(address, 1.0).alive(0.0)
