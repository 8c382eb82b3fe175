"""Real processes to break and to measure: a broker and workers on a private socket directory, and what they leave behind."""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.files import files_below
from tests.support.process_tree import children_of, descendants_of
from tests.support.world import ERA, World

SECONDS = 30.0


def wait_until(done: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Wait for something that must come; the bound is for a hang, never for being right."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"{what} did not come within {seconds} s"
        time.sleep(0.005)


def job_children(pid: int) -> list[int]:
    """Return the pids of the processes that a worker does its jobs in: below their keepers."""
    return [child for keeper in children_of(pid) for child in children_of(keeper)]


@dataclass
class Service:
    """A broker and workers; each can be killed, stopped and started again."""

    root: Path
    sockets: Path
    slots: int = 1
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    world: World | None = None
    """Faults that the processes are started with."""
    listen: str = ""
    """Where the broker listens, if not on unix sockets."""
    ways: dict[str, str] = field(default_factory=dict)
    """Endpoints at which single workers reach the broker, where it is not the broker's own: a proxy's."""
    options: tuple[str, ...] = ()
    """More options of the workers."""
    broker_options: tuple[str, ...] = ()
    """More options of the broker."""
    eras: dict[str, str] = field(default_factory=dict)
    """Which time single processes are of, where it is not now (`World.live_in`)."""

    @property
    def endpoint(self) -> str:
        return self.listen or f"ipc://{self.sockets}"

    @property
    def staging(self) -> Path:
        return self.root / "staging"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def start(self, name: str, *, wait: bool = True) -> int:
        """Start `broker` or a worker by name; return its pid."""
        log = (self.root / f"{name}.log").open("ab")
        environment = None if self.world is None else {**self.world.environment, ERA: self.eras.get(name, "")}
        process = subprocess.Popen(
            self._command(name), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment
        )
        log.close()
        before = self.processes.get(name)
        if before is not None and before.stdout is not None:
            before.stdout.close()
        self.processes[name] = process
        if wait:
            self.await_ready(name)
        return process.pid

    def await_ready(self, name: str) -> None:
        """Wait for the line that says a process is ready."""
        out = self.processes[name].stdout
        assert out is not None
        look = select.poll()  # unlike `select`, for descriptors of any number
        look.register(out, select.POLLIN)
        assert look.poll(1000 * SECONDS), f"{name} did not become ready: {self.log(name)}"
        assert out.readline().startswith(b"ready"), self.log(name)

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a process by name; after SIGKILL wait for its end. Return its pid."""
        process = self.processes[name]
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        return process.pid

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return (self.root / f"{name}.log").read_text()

    def leftovers(self) -> list[str]:
        """Return the files of jobs that lie anywhere but in the depot's store of bundles."""
        found = files_below(self.staging, self.state / "incoming")
        return [str(path) for path in found if path.suffix != ".lock"]

    def bundles(self) -> list[Path]:
        """Return the published files."""
        return sorted((self.state / "bundles").glob("*.zip"))

    def revive(self) -> None:
        """Start again whatever has ended."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name, wait=False)

    def _command(self, name: str) -> list[str]:
        role = "broker" if name == "broker" else "worker"
        plain = [sys.executable, "-m", "labelferry_broker" if role == "broker" else "labelferry_workers"]
        command = plain if self.world is None else self.world.command(role)
        if role == "broker":
            return [*command, "--listen", self.endpoint, "--state", str(self.state), *self.broker_options]
        way = self.ways.get(name, self.endpoint)
        own = ["--slots", str(self.slots), "--staging", str(self.staging / name)]
        return [*command, "--broker", way, *own, *self.options]

    def stop(self) -> None:
        """End everything that still lives."""
        for process in reversed(self.processes.values()):
            # A child that a test stopped before it could bind itself to its parent would outlive it.
            below = descendants_of(process.pid)
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            for pid in below:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if process.stdout is not None:
                process.stdout.close()


@contextmanager
def running_service(
    root: Path, *workers: str, slots: int = 1, prepare: Callable[[Service], object] | None = None
) -> Iterator[Service]:
    """A broker and the named workers, ready; all ended at the end. `prepare` sees the service before anything is started."""
    made = Service(root, Path(tempfile.mkdtemp(prefix="lf-", dir="/tmp")), slots)
    try:
        if prepare is not None:
            prepare(made)
        made.start("broker")
        for name in workers:
            made.start(name)
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.sockets, ignore_errors=True)
