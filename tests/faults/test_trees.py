"""Rows 2 and 25: whatever an export has started goes with it: sessions of their own, daemons, lanes; when it is cancelled, when it breaks, and when its worker is killed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.process_tree import children_of, descendants_of, lives
from tests.support.processes import Service, job_children, wait_until
from tests.support.promises import attempts_of, await_attempt, await_fault, check_promises

from labelferry import Cancelled, Client, Completed, ExportOptions, Progress

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
Build = Callable[..., Service]


@dataclass(frozen=True)
class Family:
    """A job whose child has started processes, and their pids."""

    service: Service
    client: Client
    job: str
    bred: list[int]

    @property
    def worker(self) -> int:
        """The worker's pid."""
        return self.service.processes["worker"].pid

    def gone(self) -> bool:
        """Whether none of them lives."""
        return not any(map(lives, self.bred))

    def let_go(self) -> None:
        """Let the job go on, to its end."""
        assert self.service.world is not None
        self.service.world.tell("go")

    def check_cancel(self) -> None:
        """Cancel the job, and see that none of them lives when that is confirmed."""
        outcome = self.client.cancel(self.job)
        assert self.gone(), "a confirmed cancel means that none is left"
        assert isinstance(outcome, Cancelled)
        assert outcome.cleanup_completed
        check_promises(self.service, self.job, outcome)

    def check_end(self) -> None:
        """See the job completed, and none of them alive then."""
        *_, last = self.client.events(self.job)
        assert isinstance(last, Completed)
        assert self.gone()
        check_promises(self.service, self.job, last)


Breed = Callable[[str], Family]


@pytest.fixture
def breed(build: Build, small: Path) -> Iterator[Breed]:
    """Makes a family: `breed(FAULT)`."""
    with ExitStack() as closing:

        def breed(fault: str) -> Family:
            service = build("worker")
            assert service.world is not None
            service.world.tell("child", fault)
            client = closing.enter_context(Client(service.endpoint))
            job = client.submit(small, OPTIONS).job_id
            await_fault(service)
            wait_until(lambda: service.world is not None and service.world.told("bred"), "the grandchildren")
            bred = [int(pid) for pid in (service.world.told("bred") or "").split()]
            assert len(bred) == 3
            assert all(map(lives, bred))
            return Family(service, client, job, bred)

        yield breed


def test_row_25_a_child_that_ignores_the_cancel_is_killed_with_all_its_grandchildren(breed: Breed) -> None:
    breed("breed-and-ignore").check_cancel()


def test_row_25_a_child_that_stops_when_told_is_confirmed_only_when_its_grandchildren_are_gone(breed: Breed) -> None:
    breed("breed-and-linger").check_cancel()


def test_row_25_what_a_finished_export_left_running_is_gone_before_its_bundle_is_published(breed: Breed) -> None:
    family = breed("breed-and-linger")
    family.let_go()
    family.check_end()


@pytest.mark.parametrize("victim", ["child", "keeper"])
def test_row_25_when_the_child_or_its_keeper_is_killed_the_grandchildren_go_before_the_job_runs_again(
    breed: Breed, victim: str
) -> None:
    family = breed("breed-and-linger")
    for pid in job_children(family.worker) if victim == "child" else children_of(family.worker):
        os.kill(pid, signal.SIGKILL)
    await_attempt(family.service, family.job, 2)
    assert family.gone()
    family.let_go()
    family.check_end()


def test_row_02_when_the_supervisor_is_killed_everything_below_it_goes_at_once(breed: Breed) -> None:
    family = breed("breed-and-linger")
    below = descendants_of(family.worker)
    assert set(family.bred) <= set(below)
    family.service.kill("worker")
    wait_until(lambda: not any(map(lives, below)), f"the end of all of {below}", seconds=2)
    family.let_go()
    family.service.start("worker")
    family.check_end()


def with_lanes(build: Build) -> Service:
    """A worker whose exports have two lanes, and linger in the midst of their images."""
    service = build("worker", always_lanes=True, misbehaves_at=20)
    assert service.world is not None
    service.world.tell("child", "linger")
    return service


def lanes_at_work(service: Service) -> list[int]:
    """Wait until the export lingers; return its lanes."""
    await_fault(service)
    lanes = [lane for child in job_children(service.processes["worker"].pid) for lane in children_of(child)]
    assert len(lanes) == 2
    return lanes


def test_row_01_lanes_that_are_killed_cost_an_attempt_and_not_the_job(build: Build, small: Path) -> None:
    service = with_lanes(build)
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        for lane in lanes_at_work(service):
            os.kill(lane, signal.SIGKILL)
        assert service.world is not None
        service.world.tell("go")
        *events, last = client.events(job)
        assert isinstance(last, Completed), last
        again = next(event.message for event in events if isinstance(event, Progress) and event.attempt == 2)
        assert again == "Running again: attempt 2"
        assert attempts_of(service, job) == [(1, "failed"), (2, "finished")]
        check_promises(service, job, last)


@pytest.mark.parametrize("how", ["cancelled", "worker killed"])
def test_row_25_the_lanes_of_an_export_go_with_it(build: Build, small: Path, how: str) -> None:
    service = with_lanes(build)
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        lanes = lanes_at_work(service)
        below = descendants_of(service.processes["worker"].pid)
        if how == "cancelled":
            outcome = client.cancel(job)
            assert isinstance(outcome, Cancelled), outcome
            assert not any(map(lives, lanes))
            check_promises(service, job, outcome)
        else:
            service.kill("worker")
            wait_until(lambda: not any(map(lives, below)), f"the end of all of {below}", seconds=2)
