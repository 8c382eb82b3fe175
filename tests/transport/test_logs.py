"""The log keeps one event on one line, whatever a peer says."""

import os
import re
import select
import subprocess
import sys

import pytest

from labelferry_transport.logs import Log, start_logging

pytestmark = pytest.mark.usefixtures("logging_put_back")


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


def test_a_log_that_nobody_reads_holds_nobody_up_and_tells_later_what_was_left_out() -> None:
    """Whoever started the service has stopped reading: a pager, a terminal that holds, a `tee` that is stopped."""
    program = """
import sys
from labelferry_transport.logs import Log, start_logging
start_logging("info")
log = Log("dispatcher")
for number in range(5_000):
    log.info("lease given", number=number)
try:
    raise KeyError("y" * 10_000)
except KeyError:
    log.fault("turn failed")
print("done", flush=True)
sys.stdin.readline()
log.info("the last")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    log = process.stderr
    assert log is not None
    try:
        assert select.select([process.stdout], [], [], 30)[0], "the log holds its service up"
        os.set_blocking(log.fileno(), False)
        told = b"".join(iter(lambda: log.read(65_536) or b"", b"")).decode().splitlines()
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.wait(timeout=30) == 0
        last = log.read().decode().splitlines()
    finally:
        process.kill()
        process.communicate()
    numbers = [int(line.rpartition("number=")[2]) for line in told]
    assert numbers == list(range(len(told)))
    assert 0 < len(told) < 5_000
    assert [re.sub(r"^\S+ ", "", line) for line in last] == [
        f"warning log lines were not taken and left out count={5_001 - len(told)}",
        "info dispatcher the last",
    ]
