"""Row 7, systematically: broker, depot and worker die right before and right after every persist, send and rename of a job.

Each test arms one point, has a job meet it, starts again who died there, and looks whether every promise was kept.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from tests.support.processes import Service, running_service, wait_until
from tests.support.promises import ask_ledger, await_fault, check_order, check_promises, follow_to
from tests.support.world import World

from labelferry import Cancelled, Client, Completed, ExportOptions, Unconfirmed, Unreachable

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())

EXPORT = {
    "broker": (
        "persist queued", "persist running", "persist lease", "persist end of attempt", "persist completed",
        "send submitted", "send lease", "send acknowledged", "send publish-granted",
        "publish started", "publish progress", "publish phase-changed", "publish completed",
    ),
    "depot": (
        "open incoming", "write incoming", "rename bundle", "send request-chunk", "send bundle-stored",
    ),
    "worker": (
        "perform begin", "perform bring", "perform clear",
        "say attempt-started", "say request-publish", "say offer-bundle", "say chunk", "say attempt-finished",
    ),
}  # fmt: skip
"""What an export passes, on its way to a bundle."""
CANCEL = {
    "broker": (
        "persist cancelling", "persist cancelled", "persist end of attempt",
        "send cancel-accepted", "send cancel-settled", "publish cancel-order", "publish cancelled",
    ),
    "worker": ("say cancel-seen", "perform stop", "perform kill", "perform clear", "say attempt-cancelled"),
}  # fmt: skip
"""What a cancel of a job that does not hear passes."""
BESIDE = frozenset(
    {"send welcome", "send renewed", "say renew", "say register", "send registered", "send cancel-order"}
)
"""What is passed beside a job, or only at times."""


def points(table: dict[str, tuple[str, ...]]) -> list[ParameterSet]:
    """Return both sides of every point; what is durable or renamed stays in the short form, the rest is left to the long one."""
    return [
        pytest.param(f"{side} {each}", marks=[] if each.startswith(("persist", "rename")) else pytest.mark.slow)
        for each in [each for names in table.values() for each in names]
        for side in ("before", "after")
    ]


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A broker and two workers, whoever dies of them to be started again by the test."""
    root = tmp_path_factory.mktemp("crashing")

    def prepare(service: Service) -> None:
        service.world = World.make(
            root / "world", lease_seconds=4.0, renew_seconds=0.5, return_grace_seconds=0.2, retry_seconds=0.05
        )

    with running_service(root, "first", "second", prepare=prepare) as made:
        yield made


@pytest.fixture
def world(crashing: Service) -> Iterator[World]:
    assert crashing.world is not None
    yield crashing.world
    crashing.world.disarm()
    crashing.world.take_back("child")
    crashing.world.take_back("misbehaves")


@pytest.fixture
def client(crashing: Service, world: World) -> Iterator[Client]:
    """A client who starts again whatever has died, while it waits."""
    crashing.revive()
    with Client(crashing.endpoint, vigil=crashing.revive) as made:
        yield made


def submit(client: Client, project: Path, key: str) -> str:
    """Submit until the broker has said that it has the job."""
    while True:
        try:
            return client.submit(project, OPTIONS, idempotency_key=key).job_id
        except Unreachable:
            continue


def cancel(client: Client, job: str) -> object:
    """Cancel until the broker has said how the job ended."""
    while True:
        try:
            return client.cancel(job)
        except (Unreachable, Unconfirmed):
            continue


@pytest.mark.parametrize("point", points(EXPORT))
def test_an_export_outlives_a_death_at_any_point(
    crashing: Service, world: World, client: Client, small: Path, point: str
) -> None:
    world.arm(point)
    job = submit(client, small, f"export {point}")
    events = list(client.events(job))
    wait_until(lambda: world.told("fired"), f"a death {point}")
    crashing.revive()
    last = events[-1]
    assert isinstance(last, Completed), last
    check_order(events)
    check_promises(crashing, job, last)
    assert ask_ledger(crashing, "SELECT job_id FROM jobs WHERE idempotency_key = ?", f"export {point}") == [(job,)]


@pytest.mark.parametrize("point", points(CANCEL))
def test_a_cancel_outlives_a_death_at_any_point(
    crashing: Service, world: World, client: Client, small: Path, point: str
) -> None:
    world.tell("child", "hang")
    job = submit(client, small, f"cancel {point}")
    events = client.events(job)
    before = follow_to(events)
    await_fault(crashing)
    world.arm(point)
    outcome = cancel(client, job)
    after = list(events)
    wait_until(lambda: world.told("fired"), f"a death {point}")
    crashing.revive()
    assert isinstance(outcome, Cancelled), outcome
    assert after[-1] == outcome
    check_order(before + after)
    check_promises(crashing, job, outcome)


def test_the_tables_name_every_point_that_a_job_passes(build: Callable[..., Service], small: Path) -> None:
    # A service of its own, in which nobody has died: what is passed to make good for a death is not a job's way.
    service = build("first", "second")
    world = service.world
    assert world is not None
    world.passed()
    with Client(service.endpoint) as client:
        *_, last = client.events(submit(client, small, "plain export"))
        assert isinstance(last, Completed)
        world.tell("child", "hang")
        job = submit(client, small, "plain cancel")
        await_fault(service)
        assert isinstance(cancel(client, job), Cancelled)
    passed = {each.partition(" ")[2] for each in world.passed()} - BESIDE
    known = {each for table in (EXPORT, CANCEL) for names in table.values() for each in names}
    assert passed <= known, passed - known
