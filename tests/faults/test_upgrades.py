"""Row 38: broker and workers of one time beside those of another, in both orders; nothing is lost on the way, and who cannot be understood is told."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.processes import Service, wait_until
from tests.support.promises import attempts_of, await_fault, check_order, check_promises, follow_to

from labelferry import Client, Completed, ExportOptions, JobEvent

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
Build = Callable[..., Service]
STEPS = [("older", ""), ("", "newer"), ("older", "newer")]


@dataclass(frozen=True)
class Upgrade:
    """A service whose processes are of different times, and a client of today."""

    service: Service
    client: Client
    project: Path

    def begin(self) -> tuple[str, list[JobEvent]]:
        """Have a job that goes on until it is told to; return its id and its first events."""
        assert self.service.world is not None
        self.service.world.take_back("go")
        self.service.world.tell("child", "linger")
        job = self.client.submit(self.project, OPTIONS).job_id
        before = follow_to(self.client.events(job))
        await_fault(self.service)
        return job, before

    def finish(self, job: str, before: list[JobEvent]) -> None:
        """Let it go on, and see that it ended as if nothing had been."""
        assert self.service.world is not None
        self.service.world.tell("go")
        after = list(self.client.events(job))
        assert isinstance(after[-1], Completed)
        check_order(after)
        assert after[-1].seq > before[-1].seq
        check_promises(self.service, job, after[-1])
        assert attempts_of(self.service, job) == [(1, "finished")]

    def through(self, *steps: Callable[[], object]) -> None:
        """Take steps while a job is at work."""
        job, before = self.begin()
        for step in steps:
            step()
        self.finish(job, before)

    def broker(self, era: str) -> None:
        """Put a broker of another time in the place of this one."""
        upgrade_broker(self.service, era)

    def retire(self, worker: str) -> None:
        """Tell a worker to go."""
        self.service.kill(worker, signal.SIGTERM)


def upgrade_broker(service: Service, era: str) -> None:
    service.kill("broker", signal.SIGTERM)
    assert service.processes["broker"].wait(20) == 0
    service.eras["broker"] = era
    service.start("broker")


@pytest.fixture
def upgrade(build: Build, small: Path) -> Iterator[Callable[[str, str], Upgrade]]:
    """Makes a service of one time, with a worker `old`; `new` is to be of the other."""
    with ExitStack() as closing:

        def make(before: str, after: str) -> Upgrade:
            service = build()
            upgrade_broker(service, before)
            service.eras |= {"old": before, "new": after}
            service.start("old")
            return Upgrade(service, closing.enter_context(Client(service.endpoint)), small)

        yield make


Make = Callable[[str, str], Upgrade]


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_row_38_the_broker_first(upgrade: Make, before: str, after: str) -> None:
    made = upgrade(before, after)
    made.through(lambda: made.broker(after))
    made.service.start("new")
    made.through(lambda: made.retire("old"))
    wait_until(lambda: [w.busy for w in made.client.overview().workers] == [0], "the new worker alone")
    made.through()


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_row_38_the_workers_first(upgrade: Make, before: str, after: str) -> None:
    made = upgrade(before, after)
    made.through(lambda: made.retire("old"), lambda: made.service.start("new"))
    assert made.service.processes["old"].wait(20) == 0
    made.through(lambda: made.broker(after))


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
            Upgrade(service, client, small).through()
