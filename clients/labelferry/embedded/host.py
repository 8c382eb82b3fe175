"""The host process: starts broker and worker side by side, says where they are, and stops both when nobody uses them.

What has not ended by then is cancelled before: nobody waits for it. What a host left that was itself killed, the next one cancels.
It holds their standard inputs; they end when those close, so nothing outlives the host, whatever kills it.
"""

import contextlib
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from labelferry.embedded.place import Place, ServiceFacts
from labelferry_protocol.errors import LabelferryError

if TYPE_CHECKING:
    from labelferry.embedded.leftovers import Leftovers

LOOK_SECONDS = 0.1
END_SECONDS = 2.0
READY_SECONDS = 25.0
MAX_WORKER_STARTS = 4


class ServiceDied(Exception):
    """The service cannot go on; the text says why."""


class Host:
    """One embedded service: its private socket directory, its two processes, and the loop that watches them."""

    def __init__(self, place: Place, workers: int, sockets: Path) -> None:
        self._place = place
        self._workers = workers
        self._endpoint = f"ipc://{sockets}"
        self._worker_starts = 0
        self._broker: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._leftovers: Leftovers | None = None

    def run(self) -> None:
        """Start both, say so, and stay until nobody holds the service; raise `ServiceDied` when it cannot go on."""
        self._broker = _start(
            ["labelferry_broker", "--listen", self._endpoint, "--state", str(self._place.state), "--until-eof"]
        )
        if self._workers:
            self._start_worker()
        _await_ready(self._broker, "broker")
        # Of what ran then the worker is gone, so that it ends with its lease: it takes no slot until then, and nobody waits for it here.
        self._cancel_leftovers(confirmed=False)
        if self._worker is not None:
            _await_ready(self._worker, "worker")
            self._place.unended_file.touch()
        self._place.say_ready(ServiceFacts(self._endpoint, self._broker.pid, self._workers))
        self._read_client()
        holders = self._place.lock("holders")
        while not holders.try_take():
            self._look_after()
            time.sleep(LOOK_SECONDS)
        self._cancel_leftovers(confirmed=True)

    def stop(self) -> None:
        """End both and wait for their end."""
        self._place.facts_file.unlink(missing_ok=True)
        for process in (self._worker, self._broker):
            if process is not None:
                _stop(process)

    def _look_after(self) -> None:
        if self._broker is None or self._broker.poll() is not None:
            raise ServiceDied(f"the embedded broker {ending(self._broker)}; your job did not end, run the export again")
        if self._worker is not None and self._worker.poll() is not None:
            if self._worker_starts >= MAX_WORKER_STARTS:
                raise ServiceDied(f"the embedded worker {ending(self._worker)} again and again")
            self._start_worker()

    def _cancel_leftovers(self, *, confirmed: bool) -> None:
        leftovers = self._read_client()
        if leftovers is None:
            return
        try:
            if leftovers.cancel(confirmed=confirmed):
                self._place.unended_file.unlink(missing_ok=True)
        except LabelferryError as error:
            raise ServiceDied(f"the embedded broker did not cancel what nobody waits for: {error}") from None

    def _read_client(self) -> "Leftovers | None":
        """Have the client library ready where there may be something to cancel: a twentieth of a second, which whoever asks for the history need not wait."""
        if self._leftovers is None and self._place.unended_file.exists():
            from labelferry.embedded.leftovers import Leftovers

            self._leftovers = Leftovers(self._endpoint)
        return self._leftovers

    def _start_worker(self) -> None:
        self._worker_starts += 1
        command = [
            "labelferry_workers",
            "--broker",
            self._endpoint,
            "--slots",
            str(self._workers),
            "--staging",
            str(self._place.staging),
            "--until-eof",
        ]
        self._worker = _start(command)


def main(arguments: list[str]) -> int:
    """Run a host for the state directory and number of workers given; return the exit code."""
    place = Place(Path(arguments[0]))
    lock = place.lock("host")
    if not lock.try_take():
        return 1
    sockets = Path(tempfile.mkdtemp(prefix="labelferry-"))
    host = Host(place, int(arguments[1]), sockets)
    try:
        host.run()
    except ServiceDied as error:
        place.failed_file.write_text(str(error) + "\n", encoding="utf-8")
        return 1
    finally:
        host.stop()
        shutil.rmtree(sockets, ignore_errors=True)
    return 0


def _start(module_and_options: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", *module_and_options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _await_ready(process: subprocess.Popen[bytes], name: str) -> None:
    assert process.stdout is not None  # noqa: S101 - it was opened with a pipe
    readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    line = process.stdout.readline() if readable else b""
    if not line.startswith(b"ready"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        raise ServiceDied(f"the embedded {name} did not start ({ending(process)})")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def ending(process: subprocess.Popen[bytes] | None) -> str:
    """Say how a process ended, or that it should have shown itself."""
    code = None if process is None else process.poll()
    if code is None:
        return "gives no sign of life"
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
