"""Row 38: broker and workers of one time beside those of another, in both orders; nothing is lost on the way, and who cannot be understood is told."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.processes import Service, wait_until
from tests.support.promises import attempts_of, await_fault, check_order, check_promises, follow_to

from labelferry import Client, Completed, ExportOptions, JobEvent

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
Build = Callable[..., Service]
STEPS = [("older", ""), ("", "newer"), ("older", "newer")]


def begin(service: Service, client: Client, project: Path) -> tuple[str, list[JobEvent]]:
    """Have a job that goes on until it is told to; return its id and its first events."""
    assert service.world is not None
    service.world.take_back("go")
    service.world.tell("child", "linger")
    job = client.submit(project, OPTIONS).job_id
    before = follow_to(client.events(job))
    await_fault(service)
    return job, before


def finish(service: Service, client: Client, job: str, before: list[JobEvent]) -> None:
    """Let it go on, and see that it ended as if nothing had been."""
    assert service.world is not None
    service.world.tell("go")
    after = list(client.events(job))
    assert isinstance(after[-1], Completed)
    check_order(after)
    assert after[-1].seq > before[-1].seq
    check_promises(service, job, after[-1])
    assert attempts_of(service, job) == [(1, "finished")]


def upgrade_broker(service: Service, era: str) -> None:
    """Put a broker of another time in the place of this one."""
    service.kill("broker", signal.SIGTERM)
    assert service.processes["broker"].wait(20) == 0
    service.eras["broker"] = era
    service.start("broker")


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_row_38_the_broker_first(build: Build, small: Path, before: str, after: str) -> None:
    service = build()
    upgrade_broker(service, before)
    service.eras |= {"old": before, "new": after}
    service.start("old")
    with Client(service.endpoint) as client:
        job, story = begin(service, client, small)
        upgrade_broker(service, after)
        finish(service, client, job, story)
        service.start("new")
        job, story = begin(service, client, small)
        service.kill("old", signal.SIGTERM)
        finish(service, client, job, story)
        wait_until(lambda: [w.busy for w in client.overview().workers] == [0], "the new worker alone")
        job, story = begin(service, client, small)
        finish(service, client, job, story)


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_row_38_the_workers_first(build: Build, small: Path, before: str, after: str) -> None:
    service = build()
    upgrade_broker(service, before)
    service.eras |= {"old": before, "new": after}
    service.start("old")
    with Client(service.endpoint) as client:
        job, story = begin(service, client, small)
        service.kill("old", signal.SIGTERM)
        service.start("new")
        finish(service, client, job, story)
        assert service.processes["old"].wait(20) == 0
        job, story = begin(service, client, small)
        upgrade_broker(service, after)
        finish(service, client, job, story)


@pytest.mark.parametrize(
    ("broker", "worker", "advice"), [("", "later", "update the broker"), ("later", "", "update labelferry")]
)
def test_row_38_a_worker_that_cannot_be_understood_ends_with_a_sentence_and_costs_no_job(
    build: Build, small: Path, broker: str, worker: str, advice: str
) -> None:
    service = build()
    upgrade_broker(service, broker)
    service.eras |= {"right": broker, "wrong": worker}
    service.start("right")
    service.start("wrong", wait=False)
    assert service.processes["wrong"].wait(20) == 5
    assert advice in service.log("wrong")
    assert "Traceback" not in service.log("wrong")
    if not broker:
        with Client(service.endpoint) as client:
            job, story = begin(service, client, small)
            finish(service, client, job, story)
