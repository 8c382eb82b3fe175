"""The doctor's sentences, from what a broker says of itself."""

import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from labelferry.cli.doctor import Note, Wrong, _clock, _gaps, _key, _reach, _room, _stalled, _versions
from labelferry_protocol.endpoints import Endpoint
from labelferry_protocol.errors import LabelferryError
from labelferry_protocol.requests import Overview, WorkerSummary
from labelferry_protocol.words import Role
from labelferry_transport.keys import make_broker_key, make_peer_key


def overview(software: str = "labelferry 1", *, paused: bool = False, worker: str = "labelferry 1") -> Overview:
    there = WorkerSummary(
        worker_id="1" * 32, host="gpu1", user="crew", slots=1, busy=0, seen=0.0, paused=paused, software=worker
    )
    return Overview(
        software=software, epoch=1, uptime=1.0, jobs={}, workers=(there,), depot_ready=True, timestamp=1000.0
    )


def notes(sentences: Iterable[str]) -> list[str]:
    return [sentence for sentence in sentences if isinstance(sentence, Note)]


def test_versions_that_differ_are_noted_and_those_that_do_not_are_not() -> None:
    assert notes(_versions(overview(), "labelferry 1")) == []
    assert len(notes(_versions(overview(), "labelferry 2"))) == 1
    (sentence,) = notes(_versions(overview(worker="labelferry 0"), "labelferry 1"))
    assert "gpu1 is labelferry 0" in sentence


def test_a_worker_whose_disk_is_full_is_noted() -> None:
    assert notes(_room(overview())) == []
    (sentence,) = notes(_room(overview(paused=True)))
    assert "disk is full" in sentence


def test_clocks_that_are_apart_are_wrong_however_long_the_answer_took() -> None:
    assert list(_clock(overview(), 990.0, 1010.0)) == ["The broker's clock and this one agree"]
    with pytest.raises(LabelferryError, match="100 s apart"):
        list(_clock(overview(), 1100.0, 1101.0))


def test_all_that_a_service_lacks_is_told_at_once() -> None:
    assert list(_gaps(overview(), "tcp://b:1")) == []
    lacking = msgspec.structs.replace(overview(), workers=(), depot_ready=False, full=True)
    sentences = list(_gaps(lacking, "tcp://b:1"))
    assert [type(sentence) for sentence in sentences] == [Wrong] * 3
    for word, sentence in zip(("no worker", "depot", "descriptors"), sentences, strict=True):
        assert word in sentence


def test_a_job_in_which_nothing_moves_is_noted() -> None:
    assert notes(_stalled(overview())) == []
    (sentence,) = notes(_stalled(msgspec.structs.replace(overview(), stalled=1)))
    assert sentence.startswith("In 1 running job nothing has moved")


def test_where_nothing_listens_is_told_from_who_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = Endpoint("tcp", "127.0.0.1", server.getsockname()[1])
        assert [type(sentence) for sentence in _reach(there, None)] == [Note]
        assert [type(sentence) for sentence in _reach(there, "my.key")] == [str]
    for nowhere in (there, Endpoint("ipc", str(tmp_path), 0)):
        with pytest.raises(LabelferryError, match="nothing listens at"):
            list(_reach(nowhere, None))
    with pytest.raises(LabelferryError, match=r"no machine no-such-machine\.invalid"):
        list(_reach(Endpoint("tcp", "no-such-machine.invalid", 5570), None))


def test_whose_key_file_it_is_is_told_and_that_a_workers_is_wrong(tmp_path: Path) -> None:
    make_broker_key(tmp_path)
    for role in Role:
        path = make_peer_key(tmp_path, role, "ann", tmp_path / f"{role}.key")
        if role is Role.WORKER:
            with pytest.raises(LabelferryError, match="is a worker's, which may run jobs and not ask for them"):
                list(_key(str(path)))
        else:
            (sentence,) = _key(str(path))
            assert f"is that of {role} ann" in sentence


def doctor(state: Path, *limit: str) -> subprocess.CompletedProcess[str]:
    program = "from labelferry.cli import main; main()"
    return subprocess.run(
        [*limit, sys.executable, "-c", program, "doctor"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LABELFERRY_STATE": str(state)},
    )


@pytest.mark.processes
def test_a_healthy_machine_is_told_so(tmp_path: Path) -> None:
    result = doctor(tmp_path / "state")
    assert result.returncode == 0, result.stdout
    assert "files open" in result.stdout
    assert "clock" in result.stdout
    assert "WRONG" not in result.stdout


@pytest.mark.processes
def test_a_machine_with_few_files_is_told_what_to_raise(tmp_path: Path) -> None:
    result = doctor(tmp_path / "state", "sh", "-c", 'ulimit -n 500; exec "$@"', "sh")
    assert result.returncode == 1
    assert "WRONG  a process may have only 500 files open" in result.stdout
