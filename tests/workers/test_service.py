"""What a worker refuses before it starts, and what it says then: one sentence and an exit code."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labelferry_protocol.errors import Code
from labelferry_protocol.requests import Hello, Refused

pytestmark = pytest.mark.processes


def run(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "labelferry_workers", *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def make_key(place: Path) -> Path:
    from labelferry_protocol.words import Role
    from labelferry_transport.keys import make_broker_key, make_peer_key

    make_broker_key(place / "keys")
    return make_peer_key(place / "keys", Role.WORKER, "w", place / "w.key")


def test_a_broker_elsewhere_without_a_key_is_refused() -> None:
    code, said = run("--broker", "tcp://192.0.2.1:5570", "--root", "/tmp")
    assert (code, said.count("\n")) == (2, 1)
    assert "a key is needed" in said


def test_with_a_key_roots_must_be_named(place: Path) -> None:
    code, said = run("--broker", "tcp://127.0.0.1:5570", "--key", str(make_key(place)))
    assert code == 2
    assert "--root FOLDER" in said


def test_a_root_that_is_not_there_is_refused() -> None:
    code, said = run("--broker", "ipc:///tmp/x", "--root", "/no/such/folder")
    assert code == 2
    assert "there is no such folder" in said


def test_a_staging_place_that_cannot_be_written_is_refused(place: Path) -> None:
    (place / "file").write_text("x")
    code, said = run("--broker", f"ipc://{place}", "--staging", str(place / "file" / "below"))
    assert code == 1
    assert "name another directory with --staging" in said


@pytest.mark.parametrize("option", ["--stall-kill", "--drain-seconds"])
@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "5s"])
def test_what_is_no_number_of_seconds_is_refused(option: str, seconds: str) -> None:
    code, said = run("--broker", "ipc:///tmp/x", f"{option}={seconds}")
    assert code == 2
    assert f"{option}: a number of seconds, 0 or more" in said


def test_a_worker_that_would_kill_whatever_it_begins_is_refused() -> None:
    code, said = run("--broker", "ipc:///tmp/x", "--stall-kill", "0")
    assert code == 2
    assert "a number of seconds above 0; leave it out to kill nothing" in said


@pytest.mark.parametrize("slots", ["0", "-1", "257", "many"])
def test_slots_are_a_number_from_1_to_256(slots: str) -> None:
    code, said = run("--broker", "ipc:///tmp/x", "--slots", slots)
    assert code == 2
    assert "a number from 1 to 256" in said


def test_with_a_connect_timeout_a_broker_that_is_not_there_ends_it_with_5(place: Path) -> None:
    code, said = run(
        "--broker",
        f"ipc://{place}",
        "--connect-timeout",
        "0.2",
        "--staging",
        str(place / "staging"),
        "--log-level",
        "error",
    )
    assert (code, said.count("\n")) == (5, 1)
    assert "no broker answers" in said
    assert list((place / "staging").iterdir()) == []


def test_a_broker_that_speaks_another_protocol_ends_it_with_5(place: Path, broker: Any) -> None:
    broker.answers[Hello] = Refused(code=Code.PROTOCOL, message="too old: update labelferry here")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "labelferry_workers",
            "--broker",
            str(broker.endpoint),
            "--staging",
            str(place / "staging"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    broker.until(lambda: process.poll() is not None)
    _, said = process.communicate()
    assert process.returncode == 5
    assert "labelferry worker: too old: update labelferry here" in said


def test_a_service_manager_is_told_that_the_worker_is_ready_alive_and_stopping(
    place: Path, start: Callable[..., Any]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place / "notify"))
        manager.settimeout(30)
        worker = start(NOTIFY_SOCKET=str(place / "notify"), WATCHDOG_USEC="600000")
        words: list[str] = []
        while words.count("WATCHDOG=1") < 3 or "READY=1" not in words:
            words.append(manager.recv(100).decode())
        worker.process.send_signal(signal.SIGTERM)
        while words[-1] != "STOPPING=1":
            words.append(manager.recv(100).decode())
        assert worker.wait() == 0
