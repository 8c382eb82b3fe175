"""Rows 2 and 25: whatever an export has started goes with it: sessions of their own, daemons, lanes; when it is cancelled, when it breaks, and when its worker is killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.processes import Service, children_of, descendants_of, job_children, lives, wait_until
from tests.support.promises import await_attempt, await_fault, check_promises

from labelferry import Cancelled, Client, Completed, ExportOptions

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
Build = Callable[..., Service]


def breed(service: Service, client: Client, project: Path, fault: str) -> tuple[str, list[int]]:
    """Have a job whose child has started processes; return its id and their pids."""
    assert service.world is not None
    service.world.tell("child", fault)
    job = client.submit(project, OPTIONS).job_id
    await_fault(service)
    wait_until(lambda: service.world is not None and service.world.told("bred"), "the grandchildren")
    bred = [int(pid) for pid in (service.world.told("bred") or "").split()]
    assert len(bred) == 3
    assert all(map(lives, bred))
    return job, bred


def test_row_25_a_child_that_ignores_the_cancel_is_killed_with_all_its_grandchildren(build: Build, small: Path) -> None:
    service = build("worker")
    with Client(service.endpoint) as client:
        job, bred = breed(service, client, small, "breed-and-ignore")
        outcome = client.cancel(job)
        assert not any(map(lives, bred)), "a confirmed cancel means that none is left"
        assert isinstance(outcome, Cancelled)
        assert outcome.cleanup_completed
        check_promises(service, job, outcome)


def test_row_25_a_child_that_stops_when_told_is_confirmed_only_when_its_grandchildren_are_gone(
    build: Build, small: Path
) -> None:
    service = build("worker")
    with Client(service.endpoint) as client:
        job, bred = breed(service, client, small, "breed-and-linger")
        outcome = client.cancel(job)
        assert not any(map(lives, bred))
        assert isinstance(outcome, Cancelled)
        check_promises(service, job, outcome)


def test_row_25_what_a_finished_export_left_running_is_gone_before_its_bundle_is_published(
    build: Build, small: Path
) -> None:
    service = build("worker")
    with Client(service.endpoint) as client:
        job, bred = breed(service, client, small, "breed-and-linger")
        assert service.world is not None
        service.world.tell("go")
        *_, last = client.events(job)
        assert isinstance(last, Completed)
        assert not any(map(lives, bred))
        check_promises(service, job, last)


@pytest.mark.parametrize("victim", ["child", "keeper"])
def test_row_25_when_the_child_or_its_keeper_is_killed_the_grandchildren_go_before_the_job_runs_again(
    build: Build, small: Path, victim: str
) -> None:
    service = build("worker")
    with Client(service.endpoint) as client:
        job, bred = breed(service, client, small, "breed-and-linger")
        worker = service.processes["worker"].pid
        for pid in job_children(worker) if victim == "child" else children_of(worker):
            os.kill(pid, signal.SIGKILL)
        await_attempt(service, job, 2)
        assert not any(map(lives, bred))
        assert service.world is not None
        service.world.tell("go")
        *_, last = client.events(job)
        assert isinstance(last, Completed)
        check_promises(service, job, last)


def test_row_02_when_the_supervisor_is_killed_everything_below_it_goes_within_a_second(
    build: Build, small: Path
) -> None:
    service = build("worker")
    with Client(service.endpoint) as client:
        job, bred = breed(service, client, small, "breed-and-linger")
        below = descendants_of(service.processes["worker"].pid)
        assert set(bred) <= set(below)
        service.kill("worker")
        wait_until(lambda: not any(map(lives, below)), f"the end of all of {below}", seconds=2)
        assert service.world is not None
        service.world.tell("go")
        service.start("worker")
        *_, last = client.events(job)
        assert isinstance(last, Completed)
        check_promises(service, job, last)


@pytest.mark.parametrize("how", ["cancelled", "worker killed"])
def test_row_25_the_lanes_of_an_export_go_with_it(build: Build, small: Path, how: str) -> None:
    service = build("worker", always_lanes=True, misbehaves_at=20)
    assert service.world is not None
    service.world.tell("child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        await_fault(service)
        worker = service.processes["worker"].pid
        below = descendants_of(worker)
        lanes = [lane for child in job_children(worker) for lane in children_of(child)]
        assert len(lanes) == 2
        if how == "cancelled":
            outcome = client.cancel(job)
            assert isinstance(outcome, Cancelled), outcome
            assert not any(map(lives, lanes))
            check_promises(service, job, outcome)
        else:
            service.kill("worker")
            wait_until(lambda: not any(map(lives, below)), f"the end of all of {below}", seconds=2)
