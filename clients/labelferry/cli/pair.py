"""A broker and a worker in the foreground: started side by side, stopped together.

Both end when their standard input closes, so neither outlives this process, whatever ends it.
"""

import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import click

from labelferry.cli.signals import stops
from labelferry.embedded.host import ending
from labelferry_protocol.errors import EXIT_DONE, EXIT_FAILED

LOOK_SECONDS = 0.1
DRAIN_SECONDS = 35.0
END_SECONDS = 5.0


class _Asked:
    """Hears the signals that mean stop; a SIGHUP that is passed over (nohup) stays so."""

    def __init__(self) -> None:
        self.times = 0
        for number in stops(hangup=True):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.times += 1


def run_pair(broker_command: list[str], worker_command: list[str], listen: str) -> int:
    """Run both until a signal comes or one of them ends; return the exit code."""
    asked = _Asked()
    broker, worker = _start(broker_command), _start(worker_command)
    _say(f"Broker and worker are starting; use them with: labelferry export SOURCE --broker {listen}")
    while not asked.times and broker.poll() is None and worker.poll() is None:
        time.sleep(LOOK_SECONDS)
    if asked.times:
        _say("Stopping: what runs may finish; again to leave at once.")
        code = EXIT_DONE
    else:
        name, ended = ("worker", worker) if broker.poll() is None else ("broker", broker)
        _say(f"Error: the {name} {ending(ended)}")
        code = max(ended.returncode, 0) or EXIT_FAILED
    before = asked.times
    worker.terminate()
    if not _ends(worker, DRAIN_SECONDS, lambda: asked.times > before):
        # Told twice, a worker leaves at once.
        worker.terminate()
    in_order = _ended_in_order("worker", worker)
    broker.terminate()
    in_order = _ended_in_order("broker", broker) and in_order
    return code or (EXIT_DONE if in_order else EXIT_FAILED)


def _ended_in_order(name: str, process: subprocess.Popen[bytes]) -> bool:
    """Give a process that was told to end the time for it, and kill what hangs."""
    if _ends(process, END_SECONDS):
        return True
    process.kill()
    process.wait()
    _say(f"Error: the {name} did not end when it was told to, and was killed")
    return False


def _ends(process: subprocess.Popen[bytes], seconds: float, enough: Callable[[], bool] = lambda: False) -> bool:
    """Wait until the process has ended; return False after so many seconds, or when it is enough."""
    until = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() >= until or enough():
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _say(sentence: str) -> None:
    # A terminal that was closed hears nothing more, and one that takes nothing is not waited for; what is to be done is done all the same.
    with suppress(OSError, TypeError, ValueError):
        if select.select([], [sys.stderr], [], 0)[1]:
            click.echo(sentence, err=True)


def _start(module_and_options: list[str]) -> subprocess.Popen[bytes]:
    # A group of its own: a terminal's Ctrl-C reaches this process alone, and it stops the two in their order.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", *module_and_options, "--until-eof"], stdin=subprocess.PIPE, start_new_session=True
    )
