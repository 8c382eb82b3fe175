"""A broker and a worker in the foreground: started side by side, stopped together."""

import signal
import subprocess
import sys
import time
from types import FrameType

import click

from labelferry_protocol.errors import EXIT_DONE, EXIT_FAILED

LOOK_SECONDS = 0.1
DRAIN_SECONDS = 35.0
BROKER_SECONDS = 5.0


def run_pair(broker_command: list[str], worker_command: list[str], listen: str) -> int:
    """Run both until a signal comes or one of them ends; return the exit code."""
    stop_asked = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal stop_asked
        stop_asked = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    broker, worker = _start(broker_command), _start(worker_command)
    click.echo(f"Broker and worker are starting; use them with: labelferry export SOURCE --broker {listen}", err=True)
    while not stop_asked and broker.poll() is None and worker.poll() is None:
        time.sleep(LOOK_SECONDS)
    if stop_asked:
        click.echo("Stopping: what runs may finish; again to leave at once.", err=True)
    code = EXIT_DONE if stop_asked else (broker.poll() or worker.poll() or EXIT_FAILED)
    stop_asked = False
    for process, seconds in ((worker, DRAIN_SECONDS), (broker, BROKER_SECONDS)):
        process.terminate()
        until = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < until and not stop_asked:
            time.sleep(LOOK_SECONDS)
        if process.poll() is None:
            process.terminate() if process is worker else process.kill()
            process.wait(BROKER_SECONDS)
    return code


def _start(module_and_options: list[str]) -> subprocess.Popen[bytes]:
    # A group of its own: a terminal's Ctrl-C reaches this process alone, and it stops the two in their order.
    return subprocess.Popen(
        [sys.executable, "-m", *module_and_options], stdin=subprocess.DEVNULL, start_new_session=True
    )
