"""The embedded mode with real processes: it serves, it is shared, it dies with its last user, and it says when it died before."""

import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.files import files_below
from tests.support.process_tree import children_of
from tests.support.processes import wait_until
from tests.support.projects import make_coco_project

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_coco_project(tmp_path_factory.mktemp("project"))


class Desk:
    """A person's place: a state directory, a folder for temporary files of its own, and the command line."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state"
        self.temporary = Path(tempfile.mkdtemp(prefix="lf-", dir="/tmp"))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LABELFERRY_")}
        self.environment = {**clean, "LABELFERRY_STATE": str(self.state), "TMPDIR": str(self.temporary)}

    def set(self, name: str, value: str) -> None:
        """Set an environment variable for what is started from now on."""
        self.environment[name] = value

    def start(
        self, *arguments: str, program: str = "from labelferry.cli import main; main()"
    ) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=90)
        return process.returncode, out, err

    def export(self, project: Path, target: Path) -> "subprocess.Popen[str]":
        return self.start("export", str(project), "-o", str(target), "--format", "coco", "--metrics", "csv", "--json")

    def host(self) -> int:
        """Return the pid of the service's host: the parent of the broker."""
        broker = int(json.loads((self.state / "service.json").read_text())["pid"])
        return int(Path(f"/proc/{broker}/stat").read_text().rpartition(")")[2].split()[1])

    def forget_sockets(self) -> None:
        """Have another folder for temporary files from now on: a host that is killed leaves its socket directory in this one."""
        self.temporary = Path(tempfile.mkdtemp(prefix="lf-", dir="/tmp"))
        self.set("TMPDIR", str(self.temporary))

    def states(self) -> list[str]:
        """Return the states of all jobs as they stand in the ledger, the oldest first; no service is started for it."""
        with closing(sqlite3.connect(self.state / "ledger.sqlite3")) as ledger:
            return [state for (state,) in ledger.execute("select state from jobs order by number")]

    def history(self) -> list[dict[str, Any]]:
        """Return the lines of the history, the newest first."""
        code, out, err = self.run("history", "--json")
        assert code == 0, err
        jobs: list[dict[str, Any]] = json.loads(out)["jobs"]
        return jobs

    def everything_is_gone(self, *, but_kept: bool = False) -> bool:
        """Whether no process of the service, no socket directory and no file of a job is left, `but_kept`: but for its next attempt."""
        running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        staged = [path for path in files_below(self.state / "staging") if path.suffix != ".lock"]
        staged = [path for path in staged if not (but_kept and "checkpoints" in path.parts)]
        incoming = list((self.state / "incoming").glob("*"))
        return (
            str(self.state) not in running
            and not list(self.temporary.glob("labelferry-*"))
            and not staged
            and not incoming
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def read_to(process: "subprocess.Popen[str]", percent: float) -> None:
    """Read events until the processing has come this far."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["kind"] == "progress" and event["progress"] >= percent:
            return
    raise AssertionError(process.communicate()[1])


def test_an_export_leaves_its_bundle_its_history_and_nothing_else(desk: Desk, project: Path, tmp_path: Path) -> None:
    process = desk.export(project, tmp_path / "out.zip")
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    kinds = [json.loads(line)["kind"] for line in out.splitlines()]
    assert [kind for kind in kinds if kind != "progress"] == ["started", "phase-changed", "completed"]
    assert desk.everything_is_gone()
    code, out, _ = desk.run("history", "--json")
    (row,) = json.loads(out)["jobs"]
    assert (code, row["state"], row["available"]) == (0, "completed", True)
    code, _, err = desk.run("download", row["job_id"], "-o", str(tmp_path / "again.zip"))
    assert code == 0, err
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "out.zip").read_bytes()
    assert desk.everything_is_gone()


@pytest.mark.parametrize("name", ["LABELFERRY_KEEP_DAYS", "LABELFERRY_KEEP_BYTES", "LABELFERRY_CACHE_BYTES"])
def test_an_amount_in_the_environment_that_is_none_is_wrong_usage(
    desk: Desk, project: Path, tmp_path: Path, name: str
) -> None:
    desk.set(name, "nan")
    code, out, err = desk.run("export", str(project), "-o", str(tmp_path / "out.zip"))
    assert (code, out) == (2, "")
    assert f"{name}: 'nan' is not a" in err
    assert not (tmp_path / "out.zip").exists()


def test_an_empty_amount_in_the_environment_counts_as_not_set(desk: Desk) -> None:
    for name in ("LABELFERRY_KEEP_DAYS", "LABELFERRY_KEEP_BYTES", "LABELFERRY_CACHE_BYTES"):
        desk.set(name, "")
    assert desk.run("history")[:2] == (0, "No jobs yet.\n")


def test_a_key_for_another_broker_does_not_keep_one_out_of_ones_own(desk: Desk, project: Path, tmp_path: Path) -> None:
    assert desk.run("keys", "broker", "--keys", str(tmp_path / "keys"))[0] == 0
    key = tmp_path / "alice.key"
    assert desk.run("keys", "user", "alice", "--keys", str(tmp_path / "keys"), "-o", str(key))[0] == 0
    desk.set("LABELFERRY_KEY", str(key))
    process = desk.export(project, tmp_path / "out.zip")
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert desk.everything_is_gone()


def test_python_files_in_the_current_directory_are_not_run(desk: Desk, project: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("json", "http", "msgspec", "numpy", "zmq", "platformdirs"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'a').write({name!r})\nraise SystemExit(1)\n")
    code = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "from labelferry.cli import main; main()",
            "export",
            str(project),
            "-o",
            "out.zip",
        ],
        env=desk.environment,
        cwd=here,
        timeout=90,
        check=False,
    ).returncode
    assert not (tmp_path / "run").exists()
    assert code == 0
    assert desk.everything_is_gone()


def test_two_exports_at_once_share_one_service(desk: Desk, project: Path, tmp_path: Path) -> None:
    first, second = (desk.export(project, tmp_path / f"{name}.zip") for name in ("first", "second"))
    for process in (first, second):
        process.communicate(timeout=90)
        assert process.returncode == 0
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    assert len(json.loads(desk.run("history", "--json")[1])["jobs"]) == 2
    assert desk.everything_is_gone()


@pytest.mark.parametrize("percent", [0, 50])
def test_ctrl_c_cancels_and_leaves_nothing(desk: Desk, project: Path, tmp_path: Path, percent: float) -> None:
    process = desk.export(project, tmp_path / "out.zip")
    read_to(process, percent)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    last = json.loads(out.splitlines()[-1])
    assert (process.returncode, last["kind"], last["cleanup_completed"]) == (3, "cancelled", True)
    assert "Cancelling..." in err
    assert desk.everything_is_gone()
    assert not list(tmp_path.glob("*.zip*"))
    (row,) = json.loads(desk.run("history", "--json")[1])["jobs"]
    assert row["state"] == "cancelled"


IMPATIENT = """
import atexit, os, signal, sys
from labelferry.cli import main
from labelferry.cli.show.plain import Plain
from labelferry.client import Client
from labelferry_protocol.events import TERMINAL_EVENTS

first = int(sys.argv.pop(1))
said = 0

def twice():
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)

def event(self, event, shown=Plain.event):
    global said
    shown(self, event)
    said += 1
    if isinstance(event, TERMINAL_EVENTS):
        twice()
    elif said == first:
        os.kill(os.getpid(), signal.SIGINT)

def close(self, closed=Client.close):
    twice()
    closed(self)
    twice()

Plain.event, Client.close = event, close
atexit.register(twice)
main()
"""
"""The command line with somebody who presses Ctrl-C at an event, if told to, and twice at each step after the end."""


@pytest.mark.parametrize(("at", "code", "word"), [(0, 0, "out.zip"), (1, 3, "Cancelled")])
def test_once_the_end_is_told_no_signal_changes_how_the_program_ends(
    desk: Desk, project: Path, tmp_path: Path, at: int, code: int, word: str
) -> None:
    said = ("export", str(project), "-o", str(tmp_path / "out.zip"), "--format", "coco", "--metrics", "csv")
    process = desk.start(str(at), *said, program=IMPATIENT)
    _, err = process.communicate(timeout=90)
    assert (process.returncode, word in err) == (code, True), err
    assert "Traceback" not in err
    assert (tmp_path / "out.zip").exists() == (code == 0)
    if code == 0:
        job = str(only_job_of(desk)["job_id"])
        process = desk.start("0", "download", job, "-o", str(tmp_path / "again.zip"), program=IMPATIENT)
        assert (process.communicate(timeout=90)[1].count("again.zip") > 0, process.returncode) == (True, 0)


def only_job_of(desk: Desk) -> dict[str, object]:
    """Return the one row of the history."""
    (row,) = json.loads(desk.run("history", "--json")[1])["jobs"]
    assert isinstance(row, dict)
    return row


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_that_end_an_export_cancel_it_too(
    desk: Desk, project: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = desk.export(project, tmp_path / "out.zip")
    read_to(process, 0)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert desk.everything_is_gone()
    assert only_job_of(desk)["state"] == "cancelled"


def test_an_export_whose_reader_leaves_is_cancelled(desk: Desk, project: Path, tmp_path: Path) -> None:
    process = desk.export(project, tmp_path / "out.zip")
    assert process.stdout is not None
    assert process.stderr is not None
    assert "started" in process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=30), err) == (1, "")
    assert desk.everything_is_gone()
    assert only_job_of(desk)["state"] == "cancelled"
    assert not list(tmp_path.glob("*.zip*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_export_whose_output_finds_no_room_is_cancelled(desk: Desk, project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from labelferry.cli import main; main()", "export", str(project), "--json"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*command, "-o", str(tmp_path / "out.zip")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=desk.environment,
            timeout=60,
            check=False,
        )
    assert (result.returncode, result.stderr) == (1, "Error: no space is left where the output goes\n")
    assert desk.everything_is_gone()
    assert only_job_of(desk)["state"] == "cancelled"


@pytest.mark.skipif(shutil.which("setsid") is None, reason="nothing here starts a process on a terminal of its own")
def test_a_terminal_that_is_closed_cancels_the_export_in_it(desk: Desk, project: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from labelferry.cli import main; main()", "export", str(project)]
    process = subprocess.Popen(
        ["setsid", "--ctty", *command, "-o", str(tmp_path / "out.zip")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**desk.environment, "TERM": "xterm"},
    )
    os.close(theirs)
    seen = b""
    while b"Exporting" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(timeout=30) == 3
    assert desk.everything_is_gone()
    assert only_job_of(desk)["state"] == "cancelled"


def test_a_client_that_is_killed_takes_the_service_with_it(desk: Desk, project: Path, tmp_path: Path) -> None:
    process = desk.export(project, tmp_path / "out.zip")
    read_to(process, 10)
    process.kill()
    process.communicate()
    wait_until(desk.everything_is_gone, "the end of the service", seconds=10)


def attempts_in(out: str) -> list[int]:
    return [event["attempt"] for event in map(json.loads, out.splitlines()) if event["kind"] == "started"]


def test_what_a_killed_client_had_begun_is_cancelled_and_the_next_export_is_alone(
    desk: Desk, project: Path, tmp_path: Path
) -> None:
    process = desk.export(project, tmp_path / "killed.zip")
    read_to(process, 50)
    process.kill()
    process.communicate()
    wait_until(desk.everything_is_gone, "the end of the service", seconds=10)
    assert desk.states() == ["cancelled"]
    out, err = desk.export(project, tmp_path / "next.zip").communicate(timeout=60)
    assert attempts_in(out) == [1], err
    assert desk.states() == ["cancelled", "completed"]
    said = desk.history()[1]
    assert (said["attempt"], said["message"], said["bundle"]) == (1, "nobody waits for it any more", None)


def test_what_a_killed_host_left_never_takes_the_slot_of_another_export(
    desk: Desk, project: Path, tmp_path: Path
) -> None:
    process = desk.export(project, tmp_path / "left.zip")
    read_to(process, 50)
    os.kill(desk.host(), signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == 1
    desk.forget_sockets()
    wait_until(lambda: desk.everything_is_gone(but_kept=True), "the end of the service", seconds=10)
    assert desk.states() == ["running"]
    out, err = desk.export(project, tmp_path / "next.zip").communicate(timeout=60)
    assert attempts_in(out) == [1], err
    assert desk.everything_is_gone()
    done, left = (row["state"] for row in desk.history())
    assert done == "completed"
    assert left in ("cancelling", "cancelled"), "confirmed when the lease of the worker that was lost is over"


def test_a_broker_that_dies_ends_the_export_with_a_sentence(desk: Desk, project: Path, tmp_path: Path) -> None:
    process = desk.export(project, tmp_path / "out.zip")
    read_to(process, 10)
    os.kill(int(json.loads((desk.state / "service.json").read_text())["pid"]), signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the embedded broker was killed by signal 9" in err
    assert "Traceback" not in err
    wait_until(lambda: desk.everything_is_gone(but_kept=True), "the end of the service", seconds=10)
    assert desk.run("history")[0] == 0


def test_a_worker_that_dies_is_replaced_and_the_export_ends_right(desk: Desk, project: Path, tmp_path: Path) -> None:
    process = desk.export(project, tmp_path / "out.zip")
    read_to(process, 10)
    broker = int(json.loads((desk.state / "service.json").read_text())["pid"])
    (worker,) = set(children_of(desk.host())) - {broker}
    os.kill(worker, signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [event["attempt"] for event in map(json.loads, out.splitlines()) if event["kind"] == "started"] in ([2], [])
    assert desk.everything_is_gone()


def test_a_selection_goes_through_the_service_and_one_that_fits_nothing_is_wrong_usage(
    desk: Desk, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("001.png\n2\n")
    said = ("--images-from", str(tmp_path / "list.txt"), "--map-class", "thing=cell", "--json")
    code, out, err = desk.run("export", str(project), "-o", str(tmp_path / "out.zip"), *said)
    assert code == 0, err
    done = json.loads(out.splitlines()[-1])
    assert (done["counts"]["images"], done["counts"]["objects"]) == (2, 6)
    assert [each["code"] for each in done["warnings"]] == ["class-renamed"]
    (tmp_path / "list.txt").write_text("nobody.png\n")
    code, out, err = desk.run("export", str(project), "-o", str(tmp_path / "none.zip"), *said)
    assert (code, "no image that list.txt lists" in out) == (2, True), err


def test_with_a_cache_the_second_export_of_the_same_project_finds_what_the_first_has_made(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "small").mkdir()
    project = make_coco_project(tmp_path / "small", images_wanted=5, size=(300, 200))
    desk.set("LABELFERRY_CACHE_BYTES", "100MB")
    bundles = []
    for number in range(3):
        if number == 2:
            shutil.rmtree(desk.state / "staging" / "cache")
        out, error = desk.export(project, tmp_path / f"{number}.zip").communicate(timeout=90)
        assert '"completed"' in out, error
        bundles.append((tmp_path / f"{number}.zip").read_bytes())
    assert bundles[0] == bundles[1] == bundles[2]
    found = [int(number) for number in re.findall(r"results_found=(\d+)", (desk.state / "service.log").read_text())]
    assert found[0] == found[2] == 0
    assert found[1] >= 5, "the overlays at least"
    assert "cache of finished work takes" in desk.run("doctor")[1]


def test_an_export_told_to_keeps_its_work_for_the_next_one(desk: Desk, project: Path, tmp_path: Path) -> None:
    said = ["export", str(project), "-o", str(tmp_path / "out.zip"), "--metrics", "csv", "--cache-bytes", "1GB"]
    code, _, err = desk.run(*said)
    assert code == 0, err
    assert any((desk.state / "staging" / "cache").glob("*.volume"))
    code, _, err = desk.run(*said[:-1], "much", "--force")
    assert code == 2
    assert "'much' is not a size" in err
