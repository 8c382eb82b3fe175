"""The endpoint of the numbers and its readers: whole, slow, and gone."""

import logging
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from labelferry_broker.metrics import READER_SECONDS, Metrics

ASK = b"GET /metrics HTTP/1.0\r\n\r\n"


@contextmanager
def serving(clock: Callable[[], float] | None = None) -> Iterator[Metrics]:
    """An endpoint with one page, by the true clock or another."""
    metrics = Metrics(0) if clock is None else Metrics(0, clock=clock)
    metrics.show("labelferry_epoch 7\n")
    metrics.start()
    yield metrics
    metrics.stop()


def read(metrics: Metrics, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    """Ask as a reader does."""
    connection = HTTPConnection("127.0.0.1", metrics.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


class Clock:
    """A clock that goes by `step` (s) with each look at it; `at_look` is what a reader does at that moment."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.now = 0.0
        self.looks = 0
        self.at_look: Callable[[], object] = lambda: None

    def __call__(self) -> float:
        self.looks += 1
        self.at_look()
        self.now += self.step
        return self.now


def was_cut(reader: socket.socket) -> bool:
    """Whether nothing came before the end of a connection."""
    try:
        return reader.recv(1) == b""
    except ConnectionResetError:
        return True


def test_the_newest_page_is_served_and_nothing_else() -> None:
    with serving() as metrics:
        assert read(metrics) == (200, "labelferry_epoch 7\n")
        metrics.show("labelferry_epoch 8\n")
        assert read(metrics) == (200, "labelferry_epoch 8\n")
        assert read(metrics, "/")[0] == 404


def test_a_reader_that_says_a_byte_now_and_then_is_cut_like_one_that_says_nothing() -> None:
    clock = Clock(step=READER_SECONDS / 4)
    with serving(clock) as metrics, socket.create_connection(("127.0.0.1", metrics.port), timeout=10) as reader:
        clock.at_look = lambda: reader.sendall(b"x")
        reader.sendall(b"GET /metrics HTTP/1.0\r\nslow: ")
        assert was_cut(reader)
        assert clock.looks == 5


def test_a_reader_that_does_not_take_its_page_is_cut_too() -> None:
    clock = Clock(step=READER_SECONDS * 0.45)
    with serving(clock) as metrics, socket.create_connection(("127.0.0.1", metrics.port)) as reader:
        metrics.show("x" * 50_000_000)
        reader.sendall(ASK)
        reader.recv(1)
        clock.step = 0.0
        metrics.show("labelferry_epoch 9\n")
        assert read(metrics) == (200, "labelferry_epoch 9\n")


def test_a_reader_that_hangs_up_is_one_line_for_who_looks_for_a_fault(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "labelferry.metrics")
    with serving() as metrics:
        metrics.show("x" * 50_000_000)
        with socket.create_connection(("127.0.0.1", metrics.port)) as reader:
            reader.sendall(ASK)
            reader.recv(1)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        metrics.show("labelferry_epoch 9\n")
        read(metrics)
    (record,) = [record for record in caplog.records if record.getMessage() == "a reader went"]
    assert record.levelno == logging.DEBUG
    assert capsys.readouterr().err == ""


def test_whoever_asks_for_the_head_is_told_the_same_without_the_page() -> None:
    with serving() as metrics:
        assert read(metrics, method="HEAD") == (200, "")
        assert read(metrics, "/", method="HEAD") == (404, "")


def test_before_the_first_page_there_is_none_rather_than_an_empty_one() -> None:
    with serving() as metrics:
        metrics.show("")
        status, said = read(metrics)
        assert (status, said) == (503, "the broker has not counted anything yet: ask again\n")
