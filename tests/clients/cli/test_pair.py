"""`labelferry up` with real processes: however it ends, nothing of it stays; and it says which of the two ended, and how."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.process_tree import descendants_of, lives
from tests.support.processes import wait_until

pytestmark = pytest.mark.processes


class Pair:
    """One `labelferry up`, with one worker's slot, on a socket directory of its own."""

    def __init__(self, root: Path) -> None:
        self.sockets = Path(tempfile.mkdtemp(prefix="lf-", dir="/tmp"))
        self._log = root / "up.log"
        state, cache = str(root / "state"), str(root / "cache")
        command = [sys.executable, "-c", "from labelferry.cli import main; main()", "up", "--workers", "1"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--listen", f"ipc://{self.sockets}", "--state", state],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "LABELFERRY_STATE": state, "XDG_CACHE_HOME": cache},
            )
        wait_until(lambda: "welcomed" in self.said, "the worker's welcome")
        self.everybody = descendants_of(self.process.pid)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def pid_of(self, module: str) -> int:
        """Return the pid of the process that runs this module."""
        words = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in self.everybody}
        (pid,) = (pid for pid, line in words.items() if line[1:4] == [b"-P", b"-m", module.encode()])
        return pid

    def end(self) -> int:
        """Wait for the end of all; return the exit code."""
        code = self.process.wait(timeout=30)
        wait_until(lambda: not any(map(lives, self.everybody)), "the end of all that it has started")
        return code

    def clear(self) -> None:
        """End what a test has left."""
        self.process.kill()
        self.process.wait()
        for pid in self.everybody:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.sockets, ignore_errors=True)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    try:
        yield made
    finally:
        made.clear()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_or_its_terminal_closed_it_stops_both_in_order(pair: Pair, number: signal.Signals) -> None:
    pair.process.send_signal(number)
    assert pair.end() == 0
    assert "told to go: taking no more" in pair.said
    assert "broker ends" in pair.said


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGKILL])
def test_killed_it_takes_everything_with_it(pair: Pair, number: signal.Signals) -> None:
    pair.process.send_signal(number)
    assert pair.end() == -number


def test_a_worker_that_hangs_is_killed_and_the_broker_is_told_to_stop_all_the_same(pair: Pair) -> None:
    os.kill(pair.pid_of("labelferry_workers"), signal.SIGSTOP)
    pair.process.terminate()
    wait_until(lambda: "Stopping" in pair.said, "the word that it stops")
    pair.process.terminate()
    assert pair.end() == 1
    assert "Error: the worker did not end when it was told to, and was killed" in pair.said
    assert "broker ends" in pair.said
    assert "unforeseen" not in pair.said


@pytest.mark.parametrize("name", ["broker", "worker"])
def test_it_fails_with_a_sentence_when_one_of_the_two_is_killed(pair: Pair, name: str) -> None:
    os.kill(pair.pid_of({"broker": "labelferry_broker", "worker": "labelferry_workers"}[name]), signal.SIGKILL)
    assert pair.end() == 1
    assert f"Error: the {name} was killed by signal 9" in pair.said


def test_told_to_stop_it_does_not_wait_for_whoever_should_read_what_it_says(tmp_path: Path) -> None:
    sockets = Path(tempfile.mkdtemp(prefix="lf-", dir="/tmp"))
    reads, writes = os.pipe()
    command = [sys.executable, "-c", "from labelferry.cli import main; main()", "up", "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--listen", f"ipc://{sockets}", "--state", str(tmp_path / "state")],
        stdin=subprocess.DEVNULL,
        stderr=writes,
        env={**os.environ, "LABELFERRY_STATE": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    try:
        said = b""
        while b"welcomed" not in said:
            said += os.read(reads, 4096)
        os.set_blocking(writes, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writes, b"x")
        os.set_blocking(writes, True)
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reads)
        os.close(writes)
        shutil.rmtree(sockets, ignore_errors=True)
