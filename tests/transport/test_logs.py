"""The log keeps one event on one line, whatever a peer says."""

import logging
from collections.abc import Iterator

import pytest

from labelferry_transport.logs import Log, start_logging


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger("labelferry")
    before = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.level, root.propagate = before[0], before[1], before[2]


def test_an_event_is_one_line_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("info")
    Log("dispatcher").info("lease given", job="ab" * 16, attempt=2, worker=None, seconds=0.25)
    line = capsys.readouterr().err
    assert line.endswith(f" info dispatcher lease given job={'ab' * 16} attempt=2 seconds=0.25\n")


def test_what_a_peer_says_cannot_make_a_second_line(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("info")
    Log("dispatcher").warning("message refused", said='x\n2030-01-01 error "evil"' + "y" * 10_000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert len(lines[0]) < 700


def test_a_quiet_level_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("warning")
    Log("depot").info("chunk sent")
    Log("depot").debug("chunk sent")
    assert capsys.readouterr().err == ""


def test_a_fault_carries_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("error")
    try:
        raise KeyError("no")
    except KeyError:
        Log("depot").fault("turn failed", job="ab")
    assert "KeyError" in capsys.readouterr().err
