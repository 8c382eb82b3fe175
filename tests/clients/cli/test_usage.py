"""The command line's edge: wrong usage, missing things, and no traceback ever."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labelferry.cli.stopper import Stopper


def labelferry(*arguments: str, state: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # The program itself: exit codes and the edge are what is tested.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LABELFERRY_")}
    return subprocess.run(
        [sys.executable, "-c", "from labelferry.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**clean, "LABELFERRY_STATE": str(state), **environment},
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("expart",), 2, "No such command"),
        (("export",), 2, "SOURCE"),
        (("export", "x", "--fromat", "coco"), 2, "--fromat"),
        (("export", "nowhere_at_all"), 1, "there is no project at"),
        (("export", "http://x/y"), 2, "a folder or a file"),
        (("export", ".", "--format", "cocoa"), 2, "cocoa"),
        (("export", ".", "--scale", "-1"), 2, "scale"),
        (("submit", "."), 2, "needs a broker"),
        (("export", ".", "--broker", "nonsense"), 2, "not an endpoint"),
        (("status", "--broker", "tcp://127.0.0.1:9"), 5, "tcp://127.0.0.1:9"),
        (("keys", "user", "alice", "--keys", "no_such_dir"), 2, "no key file"),
        (("watch", "xyz", "--broker", "tcp://127.0.0.1:9"), 2, "not a job id"),
        (("template", "save", "", "--broker", "tcp://127.0.0.1:9"), 2, "1 to 64 characters"),
        (("template", "save", "x" * 70, "--broker", "tcp://127.0.0.1:9"), 2, "1 to 64 characters"),
        (("template", "delete", "x" * 70, "--broker", "tcp://127.0.0.1:9"), 2, "1 to 64 characters"),
        (("submit", ".", "--template", "x" * 70, "--broker", "tcp://127.0.0.1:9"), 2, "1 to 64 characters"),
        (("submit", "/" + "x" * 5000, "--broker", "tcp://127.0.0.1:9"), 2, "more than 4,096 characters"),
        *(
            ((*words, seconds, "--broker", "tcp://127.0.0.1:9"), 2, f"{seconds} is not a number of seconds")
            for words in (("cancel", "0" * 32, "--wait"), ("submit", ".", "--timeout"))
            for seconds in ("nan", "inf", "1e999")
        ),
        (("export", ".", "--cache-bytes", "9" * 400), 2, "is not a size"),
        (("export", "x" * 300), 1, "there is no project at"),
        (("export", "~no such person/x"), 1, "there is no project at"),
        (("export", ".", "-o", "x" * 300, "--broker", "tcp://127.0.0.1:9"), 1, "is too long for a file"),
        (("export", ".", "-o", "/dev/null", "--force", "--broker", "tcp://127.0.0.1:9"), 2, "is no file but a device"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else None,
)
def test_wrong_usage_gets_one_sentence_and_its_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = labelferry(*arguments, state=tmp_path / "state")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert result.returncode == code


def test_a_closed_stream_is_the_null_device_and_no_socket_takes_its_number() -> None:
    program = "import os, sys; from labelferry.cli.guard import *; fill_missing_streams(); print(sys.stderr.fileno(), sys.stderr.isatty())"
    closed = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program]
    assert subprocess.run(closed, capture_output=True, text=True, timeout=60, check=True).stdout == "2 False\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_finds_no_space_gets_a_sentence(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from labelferry.cli import main; main()", "formats"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            program,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "LABELFERRY_STATE": str(tmp_path)},
        )
    assert (result.returncode, result.stderr) == (1, "Error: no space is left where the output goes\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "relative"),
        ("export", sys.prefix),
        ("keys", "broker"),
        ("download", "a" * 32, "-o", "relative.zip"),
        ("worker", "--staging", "relative", "--broker", "tcp://127.0.0.1:9"),
    ],
    ids=" ".join,
)
def test_a_current_directory_that_is_gone_gets_a_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    here = tmp_path / "here"
    here.mkdir()
    program = [sys.executable, "-c", "from labelferry.cli import main; main()", *arguments]
    result = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=here,
        env={**os.environ, "LABELFERRY_STATE": str(tmp_path / "state")},
    )
    sentence = "Error: the current directory does not exist any more: go to another\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", sentence)


@pytest.mark.parametrize(
    ("name", "arguments"), [("b\udcff", ()), ("b", ("--template", "\udcfe"))], ids=["the path", "an option"]
)
def test_what_is_not_utf8_gets_a_sentence(tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    (tmp_path / name).mkdir()
    said = ("export", str(tmp_path / name), "-o", str(tmp_path / "out.zip"), *arguments)
    result = labelferry(*said, state=tmp_path / "state")
    assert "is not UTF-8" in result.stderr
    assert "unforeseen" not in result.stderr
    assert (result.returncode, result.stdout) == (2, "")
    assert not (tmp_path / "out.zip").exists()


def test_a_worker_says_which_of_its_roots_is_not_there(tmp_path: Path) -> None:
    # Its key file is missing too, so that it ends by itself.
    arguments = ("--root", str(tmp_path / "gone"), "--root", str(tmp_path), "--key", str(tmp_path / "no.key"))
    result = labelferry("worker", "--broker", "tcp://127.0.0.1:9", *arguments, state=tmp_path / "state")
    assert f"There is no folder {tmp_path / 'gone'}" in result.stderr
    assert f"There is no folder {tmp_path}:" not in result.stderr
    assert "no key file" in result.stderr


def test_help_and_version_need_no_service(tmp_path: Path) -> None:
    result = labelferry("--help", state=tmp_path / "state")
    assert result.returncode == 0
    assert "export" in result.stdout
    assert labelferry("--version", state=tmp_path / "state").stdout.startswith("labelferry ")
    assert not (tmp_path / "state").exists()


def test_a_state_directory_that_cannot_be_made_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = labelferry("history", state=tmp_path / "file" / "state")
    assert result.returncode == 1
    assert "LABELFERRY_STATE" in result.stderr
    assert "Traceback" not in result.stderr


def test_keys_are_made_listed_and_never_replaced(tmp_path: Path) -> None:
    keys = str(tmp_path / "keys")
    for arguments in (
        ("broker",),
        ("user", "alice", "-o", str(tmp_path / "alice.key")),
        ("worker", "gpu1", "-o", str(tmp_path / "gpu1.key")),
    ):
        assert labelferry("keys", *arguments, "--keys", keys, state=tmp_path).returncode == 0
    listed = labelferry("keys", "list", "--keys", keys, state=tmp_path)
    assert listed.stdout.split() == ["user", "alice", "worker", "gpu1"]
    again = labelferry("keys", "broker", "--keys", keys, state=tmp_path)
    assert (again.returncode, "exists already" in again.stderr) == (2, True)


def test_a_stopper_leaves_a_hangup_that_is_passed_over_as_it_is() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopper(hangup=True):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with Stopper(hangup=True):
            assert callable(signal.getsignal(signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
