"""kill -9 of every process in the middle of an export: the export still ends right, once, and nothing stays behind."""

import hashlib
import os
import signal
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.support.process_tree import children_of, descendants_of, lives
from tests.support.processes import Service, job_children, wait_until
from tests.support.promises import attempts_of, check_order, check_promises

from labelferry import Client, Completed, ExportOptions, JobEvent, Progress, Started

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco", "json"), metrics=("csv",))


def follow_to(events: Iterable[JobEvent], percent: float) -> list[JobEvent]:
    """Take events until the job has come this far."""
    taken: list[JobEvent] = []
    for event in events:
        taken.append(event)
        if isinstance(event, Progress) and event.progress >= percent:
            return taken
    raise AssertionError(f"the job ended before {percent} %: {taken[-1:]}")


def check_the_one_bundle(service: Service, client: Client, completed: Completed, target: Path) -> None:
    """Download the bundle, check it against what was said of it, and see that there is no other."""
    *_, last = client.download(completed.job_id, target)
    assert isinstance(last, Completed)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == completed.bundle.sha256
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert sum(name.startswith("images/") for name in archive.namelist()) == 60
    wait_until(lambda: len(service.bundles()) == 1, "one bundle and no other")
    wait_until(lambda: service.leftovers() == [], f"the end of all files of the job {service.leftovers()}")


def strike(service: Service, victim: str) -> list[int]:
    """Kill one process of the service and start it again where nobody else does; return pids that must be gone soon."""
    if victim in ("broker", "worker"):
        below = descendants_of(service.processes[victim].pid)
        service.kill(victim)
        service.start(victim, wait=False)
        return below
    below = {
        "child": lambda: job_children(service.processes["worker"].pid),
        "keeper": lambda: children_of(service.processes["worker"].pid),
        "depot": lambda: children_of(service.processes["broker"].pid),
    }[victim]()
    for pid in below:
        os.kill(pid, signal.SIGKILL)
    return below


@pytest.mark.parametrize("percent", [5, 60])
@pytest.mark.parametrize("victim", ["child", "keeper", "worker", "broker", "depot"])
def test_a_killed_process_costs_an_attempt_at_most(
    service: Service, client: Client, project: Path, tmp_path: Path, victim: str, percent: float
) -> None:
    job = client.submit(project, OPTIONS).job_id
    events = client.events(job)
    before = follow_to(events, percent)
    orphans = strike(service, victim)
    after = list(events)
    wait_until(lambda: not any(lives(pid) for pid in orphans), "the end of the killed process's children", seconds=2)
    last = after[-1]
    assert isinstance(last, Completed), last
    sequence = [event.seq for event in before + after]
    assert sequence == sorted(set(sequence)), "events are ordered and none comes twice"
    attempts = [event.attempt for event in before + after if isinstance(event, Started)]
    assert attempts in ([1], [1, 2]), attempts
    check_the_one_bundle(service, client, last, tmp_path / "out.zip")


@pytest.mark.parametrize("first", ["broker", "child"])
def test_a_child_and_the_broker_killed_at_the_same_time_cost_an_attempt_at_most(
    service: Service, client: Client, project: Path, tmp_path: Path, first: str
) -> None:
    job = client.submit(project, OPTIONS).job_id
    events = client.events(job)
    before = follow_to(events, 30)
    children = job_children(service.processes["worker"].pid)
    if first == "broker":
        service.kill("broker")
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    if first == "child":
        service.kill("broker")
    service.start("broker", wait=False)
    after = list(events)
    last = after[-1]
    assert isinstance(last, Completed), last
    check_order(before + after)
    assert [number for number, _ in attempts_of(service, job)] == [1, 2]
    check_promises(service, job, last)
    check_the_one_bundle(service, client, last, tmp_path / "out.zip")


def test_a_job_that_kills_its_process_each_time_fails_in_the_end_with_the_reason(
    service: Service, client: Client, project: Path
) -> None:
    from labelferry import Failed

    job = client.submit(project, OPTIONS).job_id
    seen: list[int] = []
    last: JobEvent | None = None
    for event in client.events(job):
        last = event
        if isinstance(event, Progress) and event.progress >= 3 and event.attempt not in seen:
            seen.append(event.attempt)
            strike(service, "child")
    assert isinstance(last, Failed), last
    assert seen == [1, 2, 3]
    assert "signal 9" in last.message
    wait_until(lambda: service.leftovers() == [], "the end of all files of the job")
    assert service.bundles() == []
