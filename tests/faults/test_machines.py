"""Several machines over tcp with CURVE: the same export, and nothing for whoever has no key or another's job."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.machines import Machine, two_machines
from tests.support.ports import reserved_base_port
from tests.support.processes import wait_until

pytestmark = pytest.mark.processes


@dataclass
class Estate:
    """A broker on the first machine, a worker on the second, and keys for two users."""

    first: Machine
    second: Machine
    keys: Path
    endpoint: str

    def labelferry(self, *arguments: str, machine: Machine | None = None) -> "subprocess.CompletedProcess[str]":
        """Run the command line on a machine, to its end."""
        return subprocess.run(
            command((machine or self.first).prefix, arguments),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=environment(self.keys),
        )

    def as_user(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the command line against the broker with a user's key."""
        return self.labelferry(*arguments, "--broker", self.endpoint, "--key", str(self.keys.parent / f"{name}.key"))


def command(prefix: tuple[str, ...], arguments: tuple[str, ...]) -> list[str]:
    return [*prefix, sys.executable, "-c", "from labelferry.cli import main; main()", *arguments]


def environment(keys: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LABELFERRY_")}
    return {**clean, "LABELFERRY_STATE": str(keys.parent / "state")}


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Estate]:
    root = tmp_path_factory.mktemp("estate")
    keys = root / "keys"
    with two_machines() as (first, second), reserved_base_port() as port:
        made = Estate(first, second, keys, f"tcp://{first.address}:{port}")
        assert made.labelferry("keys", "broker", "--keys", str(keys)).returncode == 0
        for role, name in (("worker", "gpu1"), ("user", "alice"), ("user", "bob"), ("admin", "root")):
            assert (
                made.labelferry("keys", role, name, "--keys", str(keys), "-o", str(root / f"{name}.key")).returncode
                == 0
            )
        services = [
            ("broker", "--listen", made.endpoint, "--keys", str(keys), "--state", str(root / "broker-state")),
            (
                "worker",
                "--broker",
                made.endpoint,
                "--key",
                str(root / "gpu1.key"),
                "--root",
                str(project),
                "--staging",
                str(root / "staging"),
                "--slots",
                "1",
            ),
        ]
        running = []
        for machine, arguments in zip((first, second), services, strict=True):
            with (root / f"{arguments[0]}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(command(machine.prefix, arguments), stdout=log, stderr=log, env=environment(keys))
                )
        try:
            wait_until(
                lambda: json.loads(made.as_user("root", "status", "--json").stdout or "{}").get("workers"),
                "the worker",
                seconds=60,
            )
            yield made
        finally:
            for process in reversed(running):
                process.send_signal(signal.SIGTERM)
            for process in reversed(running):
                process.wait(40)


@pytest.fixture(scope="module")
def exported(estate: Estate, project: Path) -> tuple[str, Path]:
    """A job of alice's, completed and downloaded: its id and its bundle."""
    target = estate.keys.parent / "alice.zip"
    result = estate.as_user("alice", "export", str(project), "-o", str(target), "--json")
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert {event["phase"] for event in events if event["kind"] == "progress"} == {"processing", "downloading"}
    assert events[-1]["kind"] == "completed"
    return events[-1]["job_id"], target


def test_the_export_over_the_wire_is_whole(exported: tuple[str, Path]) -> None:
    with zipfile.ZipFile(exported[1]) as archive:
        assert archive.testzip() is None
        assert sum(name.startswith("images/") for name in archive.namelist()) == 60


@pytest.mark.parametrize(
    "what", [("watch",), ("cancel",), ("status",), ("download", "-o", "stolen.zip"), ("history", "--downloads")]
)
def test_another_user_gets_nothing_of_the_job(
    estate: Estate, exported: tuple[str, Path], what: tuple[str, ...]
) -> None:
    verb, *options = what
    arguments = [verb, *options, exported[0]] if verb == "history" else [verb, exported[0], *options]
    result = estate.as_user("bob", *arguments)
    assert result.returncode in (1, 4), result
    assert result.stdout == ""
    assert "no job" in result.stderr.lower() or "no-such-job" in result.stderr, result.stderr
    assert not Path("stolen.zip").exists()


def test_an_admin_sees_it_and_its_owner_sees_it(estate: Estate, exported: tuple[str, Path]) -> None:
    for name in ("alice", "root"):
        assert json.loads(estate.as_user(name, "status", exported[0], "--json").stdout)["state"] == "completed"
    assert json.loads(estate.as_user("bob", "history", "--json").stdout)["jobs"] == []


def test_an_unknown_key_gets_no_connection(estate: Estate, exported: tuple[str, Path], tmp_path: Path) -> None:
    estate.labelferry("keys", "broker", "--keys", str(tmp_path / "other"))
    estate.labelferry("keys", "user", "mallory", "--keys", str(tmp_path / "other"), "-o", str(tmp_path / "mallory.key"))
    stolen = json.loads((tmp_path / "mallory.key").read_text())
    stolen["broker_public"] = json.loads((estate.keys.parent / "bob.key").read_text())["broker_public"]
    (tmp_path / "mallory.key").write_text(json.dumps(stolen))
    result = estate.labelferry(
        "status", exported[0], "--broker", estate.endpoint, "--key", str(tmp_path / "mallory.key")
    )
    assert (result.returncode, result.stdout) == (5, "")
    assert "key" in result.stderr


def test_without_a_key_there_is_no_connection(estate: Estate, exported: tuple[str, Path]) -> None:
    result = estate.labelferry("status", exported[0], "--broker", estate.endpoint)
    assert result.returncode in (2, 4, 5)
    assert "key" in result.stderr
    assert result.stdout == ""


def test_a_worker_key_cannot_submit_and_a_user_key_cannot_work(
    estate: Estate, exported: tuple[str, Path], project: Path
) -> None:
    refused = estate.as_user("gpu1", "submit", str(project))
    assert refused.returncode in (4, 5)
    worker = subprocess.Popen(
        command(
            estate.second.prefix,
            (
                "worker",
                "--broker",
                estate.endpoint,
                "--key",
                str(estate.keys.parent / "bob.key"),
                "--root",
                str(project),
            ),
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(estate.keys),
    )
    try:
        assert len(json.loads(estate.as_user("root", "status", "--json").stdout)["workers"]) == 1
    finally:
        worker.terminate()
        worker.communicate(timeout=40)


def test_a_project_outside_the_workers_roots_is_not_read(estate: Estate, exported: tuple[str, Path]) -> None:
    result = estate.as_user("alice", "export", "/etc", "-o", str(estate.keys.parent / "etc.zip"))
    assert result.returncode in (1, 4)
    assert "root" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (estate.keys.parent / "etc.zip").exists()
