"""Rows 28 and 33: workers that the broker cannot tell apart by their id, and one that it has forgotten."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.process_tree import lives
from tests.support.processes import Service, job_children, wait_until
from tests.support.promises import attempts_of, await_attempt, await_fault, check_order, check_promises, follow_to

from labelferry import Client, Completed, ExportOptions

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
Build = Callable[..., Service]


def test_row_28_of_two_processes_with_one_identity_the_earlier_is_fenced_and_one_is_believed(
    build: Build, small: Path
) -> None:
    service = build()
    assert service.world is not None
    service.world.tell("identity", "ab" * 16)
    service.world.tell("child", "linger")
    service.start("earlier")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        before = follow_to(events)
        await_fault(service)
        children = job_children(service.processes["earlier"].pid)
        service.start("later")
        await_attempt(service, job, 2)
        assert service.processes["earlier"].wait(20) == 4
        assert "another process has come with this worker's id" in service.log("earlier")
        assert not any(map(lives, children)), "no child of it is left"
        assert len(client.overview().workers) == 1
        service.world.tell("go")
        after = list(events)
        assert isinstance(after[-1], Completed)
        check_order(before + after)
        check_promises(service, job, after[-1])
        assert attempts_of(service, job) == [(1, "lost"), (2, "finished")]


def test_row_33_a_worker_that_the_broker_has_forgotten_is_asked_to_register_and_its_job_goes_on(
    build: Build, small: Path
) -> None:
    """A ledger that could not be written is made anew while every connection stands: it knows no worker, and each has to say who it is."""
    service = build("worker", lease_seconds=6.0, renew_seconds=0.5)
    assert service.world is not None
    service.world.tell("child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        before = follow_to(events)
        await_fault(service)
        service.world.tell("ledger-full")
        with ThreadPoolExecutor(1) as elsewhere:
            other = elsewhere.submit(submit_elsewhere, service, small)
            wait_until(lambda: "turn not written" in service.log("broker"), "the fault")
            service.world.take_back("ledger-full")
            wait_until(lambda: "the broker refused code=register" in service.log("worker"), "the question who it is")
            service.world.tell("go")
            after = list(events)
            second = other.result(30)
        assert isinstance(after[-1], Completed)
        check_order(before + after)
        *_, last = client.events(second)
        assert isinstance(last, Completed)
        check_promises(service, job, after[-1])
        check_promises(service, second, last)
        assert attempts_of(service, job) == [(1, "finished")]
        assert service.log("worker").count("connected to the broker") == 1, "the connection stood"


def submit_elsewhere(service: Service, project: Path) -> str:
    with Client(service.endpoint) as client:
        return client.submit(project, OPTIONS).job_id
