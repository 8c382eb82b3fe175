"""Row 43: the broker's machine gets another address, its name stays: workers and clients find it by its name, in network namespaces with a hosts file of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.support.machines import Machine, two_machines
from tests.support.processes import wait_until

pytestmark = pytest.mark.processes
NAME = "broker.labelferry.test"
PORT = 5570


class Estate:
    """A broker on the first machine, which the second one knows by its name alone."""

    def __init__(self, root: Path, first: Machine, second: Machine) -> None:
        self.root = root
        self.first = first
        self.second = second
        self.hosts = root / "hosts"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.name_it(first.address)

    def name_it(self, address: str) -> None:
        """Have the name lead there; the same file, for it is mounted over the system's."""
        self.hosts.write_text(f"127.0.0.1 localhost\n{address} {NAME}\n")

    def command(self, machine: Machine, *arguments: str) -> list[str]:
        """Return the command that runs the command line on a machine, with our hosts file."""
        with_hosts = 'mount --bind "$0" /etc/hosts && exec "$@"'
        program = [sys.executable, "-c", "from labelferry.cli import main; main()", *arguments]
        return [*machine.prefix, "unshare", "--mount", "sh", "-c", with_hosts, str(self.hosts), *program]

    def start(self, name: str, machine: Machine, *arguments: str) -> None:
        with (self.root / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.command(machine, *arguments), stdout=log, stderr=log, env=self.environment
            )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = self.command(self.second, *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LABELFERRY_")}
        return {**clean, "LABELFERRY_STATE": str(self.root / "state")}

    @property
    def user(self) -> tuple[str, ...]:
        return ("--broker", f"tcp://{NAME}:{PORT}", "--key", str(self.root / "alice.key"))

    def move_broker(self) -> None:
        """Kill the broker, give its machine another address, start it again."""
        self.processes["broker"].kill()
        self.processes["broker"].wait()
        device = f"{self.first.name}v"
        there = self.first.address.rpartition(".")[0] + ".77"
        for change in (f"addr del {self.first.address}/24 dev {device}", f"addr add {there}/24 dev {device}"):
            subprocess.run(["ip", "-n", self.first.name, *change.split()], check=True)
        self.name_it(there)
        self.start_broker()

    def start_broker(self) -> None:
        keys, state = str(self.root / "keys"), str(self.root / "broker-state")
        self.start("broker", self.first, "broker", "--listen", f"tcp://*:{PORT}", "--keys", keys, "--state", state)

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes.values()):
            with suppress(subprocess.TimeoutExpired):
                process.wait(40)
            process.kill()


@contextmanager
def running(root: Path, project: Path) -> Iterator[Estate]:
    with two_machines() as (first, second):
        if not first.prefix:
            pytest.skip("needs network namespaces, which this system does not let us make")
        estate = Estate(root, first, second)
        keys = str(root / "keys")
        try:
            assert estate.run("keys", "broker", "--keys", keys).returncode == 0
            for role, name in (("worker", "gpu1"), ("admin", "alice")):
                made = estate.run("keys", role, name, "--keys", keys, "-o", str(root / f"{name}.key"))
                assert made.returncode == 0, made.stderr
            estate.start_broker()
            way = ("--broker", f"tcp://{NAME}:{PORT}", "--key", str(root / "gpu1.key"))
            place = ("--root", str(project), "--staging", str(root / "staging"), "--slots", "1")
            estate.start("worker", second, "worker", *way, *place)
            yield estate
        finally:
            estate.stop()


def workers(estate: Estate) -> int:
    return len(json.loads(estate.run("status", "--json", *estate.user).stdout or "{}").get("workers", []))


def test_row_43_workers_and_clients_find_a_broker_that_has_another_address_by_its_name(
    tmp_path: Path, project: Path
) -> None:
    with running(tmp_path, project) as estate:
        wait_until(lambda: workers(estate) == 1, "the worker", seconds=60)
        watcher = subprocess.Popen(
            estate.command(
                estate.second, "export", str(project), "-o", str(tmp_path / "out.zip"), "--json", *estate.user
            ),
            stdout=subprocess.PIPE,
            text=True,
            env=estate.environment,
        )
        assert watcher.stdout is not None
        first = json.loads(watcher.stdout.readline())
        estate.move_broker()
        moved_at = time.monotonic()
        out, _ = watcher.communicate(timeout=90)
        events = [first, *map(json.loads, out.splitlines())]
        assert watcher.returncode == 0, events[-1]
        assert events[-1]["kind"] == "completed"
        assert (tmp_path / "out.zip").exists()
        assert time.monotonic() - moved_at < 60
        sequence = [event["seq"] for event in events]
        assert sequence == sorted(set(sequence))
        assert workers(estate) == 1
        log = (tmp_path / "worker.log").read_text()
        assert log.count(" connected to the broker") >= 2, "the same worker process, on a new connection"
