"""Signals while the command line is still being read."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labelferry.cli import signals
from labelferry_protocol.errors import EXIT_CANCELLED, EXIT_DONE, EXIT_INTERRUPTED

PROGRAM = """
import os, signal, sys

class Losing:
    # What is raised here is printed and lost, as it is in a callback of the garbage collector.
    def __del__(self):
        os.write(1, b"here")
        os.read(0, 1)

class Watched:
    def find_spec(self, name, *_):
        if name == module:
            Losing()

module, ignored = sys.argv.pop(1), sys.argv.pop(1)
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN if number == int(ignored) else signal.SIG_DFL)
sys.meta_path.insert(0, Watched())
from labelferry.cli import main
main()
"""
"""The command line, which says that it is here and waits for a byte when it is to read the module that is named first."""


def interrupted(
    number: signal.Signals, module: str, *arguments: str, folder: Path, ignored: int = 0
) -> tuple[int, str, str]:
    """Send a signal as the module is read; return how the program ends and what it says after it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LABELFERRY_")}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, module, str(ignored), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**clean, "LABELFERRY_STATE": str(folder / "state")},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == "here"
        process.send_signal(number)
        out, err = process.communicate("", timeout=60)
        return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("module", ["click", "labelferry.cli.export", "labelferry_export.check", "labelferry.client"])
def test_a_signal_before_anything_was_begun_ends_the_program_and_is_never_lost(
    tmp_path: Path, module: str, number: signal.Signals
) -> None:
    (tmp_path / "project").mkdir()
    assert interrupted(number, module, "export", "project", folder=tmp_path) == (EXIT_CANCELLED, "", "Cancelled.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


@pytest.mark.parametrize(
    ("arguments", "module", "code", "sentence"),
    [
        (("watch", "a" * 32, "--broker", "tcp://127.0.0.1:9"), "labelferry.client", EXIT_INTERRUPTED, "Interrupted.\n"),
        (("cancel", "a" * 32, "--broker", "tcp://127.0.0.1:9"), "click", EXIT_INTERRUPTED, "Interrupted.\n"),
        (("worker", "--broker", "tcp://127.0.0.1:9", "--key", "none.key"), "click", EXIT_DONE, "Stopped.\n"),
    ],
)
def test_what_an_early_signal_means_is_the_same_as_later(
    tmp_path: Path, arguments: tuple[str, ...], module: str, code: int, sentence: str
) -> None:
    assert interrupted(signal.SIGINT, module, *arguments, folder=tmp_path) == (code, "", sentence)


def test_a_hangup_that_was_ignored_from_the_start_stays_ignored(tmp_path: Path) -> None:
    code, out, err = interrupted(signal.SIGHUP, "click", "--help", folder=tmp_path, ignored=signal.SIGHUP)
    assert (code, err) == (EXIT_DONE, "")
    assert "Commands" in out


def test_the_codes_of_early_signals_are_those_of_the_errors() -> None:
    codes = (signals.CANCELLED[1], signals.INTERRUPTED[1], signals.STOPPED[1])
    assert codes == (EXIT_CANCELLED, EXIT_INTERRUPTED, EXIT_DONE)
