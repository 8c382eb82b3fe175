"""`labelferry export` on projects that mean harm: one sentence and the right exit code, or a bundle; no traceback, no hang, nothing beside its place.

The command line and a service of real processes; what comes of the very first process of all is `test_processes.py`'s.
"""

import re
import signal
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.hostile import documents, names, pictures, zips
from tests.hostile.case import DONE, Case
from tests.support.processes import Service, job_children, running_service

from labelferry.cli.commands import labelferry
from labelferry.cli.guard import guarded
from labelferry.cli.signals import NUMBERS

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

CASES = {**pictures.CASES, **names.CASES, **documents.CASES, **zips.CASES}
MOST_MEGABYTES = 900
"""What the process of a job may take, whatever it is given: the snapshot, one file of 256 MB, and the libraries."""


class Memory:
    """Watches the processes of a worker's jobs while a command runs; `most` is the greatest resident size seen, in bytes."""

    def __init__(self, worker: int) -> None:
        self.most = 0
        self._worker = worker
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            for pid in job_children(self._worker):
                with suppress(OSError, IndexError, ValueError):
                    status = Path(f"/proc/{pid}/status").read_text()
                    self.most = max(self.most, int(status.partition("VmHWM:")[2].split()[0]) << 10)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("service"), "one") as made:
        yield made


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(service: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process against the service: the job itself is done by a process of the worker's."""
    monkeypatch.setenv("LABELFERRY_STATE", str(service.root / "own"))
    monkeypatch.setenv("LABELFERRY_BROKER", service.endpoint)

    def export(source: Path, target: Path, *arguments: str) -> Said:
        words = ["labelferry", "export", str(source), "-o", str(target), "--metrics", "csv", "--force", *arguments]
        monkeypatch.setattr(sys, "argv", words)
        before = {number: signal.getsignal(number) for number in NUMBERS}
        code = guarded(labelferry)
        for number, handler in before.items():  # as it ends, a command ignores them
            signal.signal(number, handler)
        return Said(code, *capfd.readouterr())

    return export


def judge(case: Case, said: Said, target: Path, expected: int) -> None:
    assert said.code == expected, said.err[-2000:]
    assert "Traceback" not in said.out + said.err
    assert "unforeseen" not in said.err
    assert re.search(case.says, said.err), said.err[-2000:]
    if expected != DONE:
        assert not target.exists()
        last = said.err.strip().splitlines()[-1]
        assert len(last) < 1500, "one sentence"
        return
    with zipfile.ZipFile(target) as bundle:
        assert bundle.testzip() is None
        assert not [name for name in bundle.namelist() if name.startswith("/") or ".." in name.split("/")]


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_project_is_one_sentence_or_a_bundle(service: Service, run: Run, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    root = tmp_path / "project"
    root.mkdir()
    case.make(root)
    before = everything_below(tmp_path)
    with Memory(service.processes["one"].pid) as memory:
        judge(case, run(root / case.source, tmp_path / "out.zip", *case.arguments), tmp_path / "out.zip", case.ends)
        if case.skips:
            skipping = run(root / case.source, tmp_path / "out.zip", "--on-error", "skip", *case.arguments)
            judge(case, skipping, tmp_path / "out.zip", DONE)
    assert everything_below(tmp_path) - {"out.zip"} == before
    assert service.leftovers() == []
    assert memory.most < MOST_MEGABYTES << 20
    assert all(process.poll() is None for process in service.processes.values())
