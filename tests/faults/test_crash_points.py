"""Row 7, systematically: broker, depot and worker die right before and right after every persist, send and rename: of an export, a cancel, a retry, a download, of retention.

Each test arms one point, has a job meet it, starts again who died there, and looks whether every promise was kept.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from tests.support.process_tree import lives
from tests.support.processes import Service, running_service, wait_until
from tests.support.promises import ask_ledger, await_fault, check_order, check_promises, follow_to
from tests.support.world import World

from labelferry import Cancelled, Client, Completed, ExportOptions, Unconfirmed, Unreachable

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
TINY = ExportOptions(formats=("coco",), metrics=(), images=False, visualizations=False)

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
"""What an export passes, on its way to a bundle that is sent in pieces."""
BESIDE_IT = {
    "depot": ("open incoming", "rename bundle", "send bundle-stored"),
    "worker": ("perform bring", "put bundle beside", "say offer-bundle"),
}  # fmt: skip
"""What a large bundle passes that the worker puts into the depot's folder."""
ENCLOSED = {
    "depot": ("open incoming", "write incoming", "rename bundle", "send bundle-stored"),
    "worker": ("perform bring", "say offer-bundle"),
}  # fmt: skip
"""What a small bundle passes that comes with its offer."""
CANCEL = {
    "broker": (
        "persist cancelling", "persist cancelled", "persist end of attempt",
        "send cancel-accepted", "send cancel-settled", "publish cancel-order", "publish cancelled",
    ),
    "worker": ("say cancel-seen", "perform stop", "perform kill", "perform clear", "say attempt-cancelled"),
}  # fmt: skip
"""What a cancel of a job that does not hear passes."""
CANCEL_WAITING = {
    "broker": ("persist cancelled", "send cancel-accepted", "send cancel-order", "send cancel-settled", "publish cancelled"),
    "worker": ("perform forget", "say attempt-cancelled"),
}  # fmt: skip
"""What a cancel of a job passes that waits for another attempt, while its worker keeps work of it."""
RETRY = {
    "broker": ("persist queued", "persist end of attempt", "persist lease", "send acknowledged", "send lease"),
    "worker": ("say attempt-failed", "perform clear", "perform begin"),
}  # fmt: skip
"""What a job passes whose process is lost, on its way to the next attempt."""
DOWNLOAD = {
    "broker": ("persist transfer", "send download-opened", "send download-reported"),
    "depot": ("send bundle-opened", "send chunk"),
}  # fmt: skip
"""What a download passes."""
RETENTION = {
    "broker": ("persist eviction", "tell depot discard"),
    "depot": ("remove bundle", "tell broker discarded"),
}  # fmt: skip
"""What a bundle passes that has become too old."""
TABLES = (EXPORT, BESIDE_IT, ENCLOSED, CANCEL, CANCEL_WAITING, RETRY, DOWNLOAD, RETENTION)
BESIDE = frozenset(
    {
        "tell broker depot-ready",
        "tell broker ask-keep",
        "tell depot keep",
        "send snapshot",
        "send overview",
        "send welcome",
        "send renewed",
        "say renew",
        "say register",
        "send registered",
        "send cancel-order",
    }
)
"""What is passed beside a job, or only at times."""


def points(table: Mapping[str, tuple[str, ...]]) -> list[ParameterSet]:
    """Return both sides of every point; what is durable or renamed stays in the short form, the rest is left to the long one."""
    return [
        pytest.param(f"{side} {each}", marks=[] if each.startswith(("persist", "rename")) else pytest.mark.slow)
        for each in [each for names in table.values() for each in names]
        for side in ("before", "after")
    ]


@contextmanager
def running_to_crash(root: Path, *, hidden: bool) -> Iterator[Service]:
    """A broker and two workers, whoever dies of them to be started again by the test; where `hidden`, workers and clients are on other machines."""

    def prepare(service: Service) -> None:
        short = {"lease_seconds": 4.0, "renew_seconds": 0.5, "return_grace_seconds": 0.2, "retry_seconds": 0.05}
        service.world = World.make(root / "world", hidden_workers=hidden, **short)

    with running_service(root, "first", "second", prepare=prepare) as made:
        yield made


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose workers send their bundles."""
    with running_to_crash(tmp_path_factory.mktemp("crashing"), hidden=True) as made:
        yield made


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose workers are on the machine of the depot."""
    with running_to_crash(tmp_path_factory.mktemp("neighbours"), hidden=False) as made:
        yield made


@pytest.fixture
def world(crashing: Service) -> Iterator[World]:
    assert crashing.world is not None
    yield crashing.world
    crashing.world.disarm()
    crashing.world.take_back("child")
    crashing.world.take_back("go")
    crashing.world.take_back("misbehaves")


@pytest.fixture
def client(crashing: Service, world: World) -> Iterator[Client]:
    """A client who starts again whatever has died, while it waits."""
    crashing.revive()
    with Client(crashing.endpoint, vigil=crashing.revive) as made:
        yield made


def submit(client: Client, project: Path, key: str, options: ExportOptions = OPTIONS) -> str:
    """Submit until the broker has said that it has the job."""
    while True:
        try:
            return client.submit(project, options, idempotency_key=key).job_id
        except Unreachable:
            continue


def cancel(client: Client, job: str) -> object:
    """Cancel until the broker has said how the job ended."""
    while True:
        try:
            return client.cancel(job)
        except (Unreachable, Unconfirmed):
            continue


def revive_the_dead(service: Service, point: str) -> None:
    """Wait for the death at a point, then start again who died of it."""

    def somebody_is_dead() -> bool:
        victim = service.world.told("victim") if service.world is not None else None
        return victim is not None and not lives(int(victim))

    wait_until(somebody_is_dead, f"a death {point}")
    service.revive()


@pytest.mark.parametrize("point", points(EXPORT))
def test_an_export_outlives_a_death_at_any_point(
    crashing: Service, world: World, client: Client, small: Path, point: str
) -> None:
    check_that_an_export_outlives(crashing, client, small, point)


@pytest.mark.parametrize(
    ("options", "point"),
    [
        pytest.param(options, *each.values, id=f"{name}-{each.values[0]}", marks=each.marks)
        for name, options, table in (("beside", OPTIONS, BESIDE_IT), ("enclosed", TINY, ENCLOSED))
        for each in points(table)
    ],
)
def test_an_export_beside_the_depot_outlives_a_death_at_any_point(
    neighbours: Service, small: Path, options: ExportOptions, point: str
) -> None:
    neighbours.revive()
    with Client(neighbours.endpoint, vigil=neighbours.revive) as client:
        check_that_an_export_outlives(neighbours, client, small, point, options)


def check_that_an_export_outlives(
    service: Service, client: Client, project: Path, point: str, options: ExportOptions = OPTIONS
) -> None:
    """Have an export meet a death at a point, and look whether it has come to its one good end."""
    assert service.world is not None
    service.world.arm(point)
    key = f"export {point} {options is TINY}"
    job = submit(client, project, key, options)
    events = list(client.events(job))
    revive_the_dead(service, point)
    last = events[-1]
    assert isinstance(last, Completed), last
    check_order(events)
    check_promises(service, last.job_id, last)
    assert ask_ledger(service, "SELECT job_id FROM jobs WHERE idempotency_key = ?", key) == [(job,)]


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
    revive_the_dead(crashing, point)
    assert isinstance(outcome, Cancelled), outcome
    assert after[-1] == outcome
    check_order(before + after)
    check_promises(crashing, job, outcome)


@pytest.mark.parametrize("point", points(CANCEL_WAITING))
def test_a_cancel_of_a_waiting_job_outlives_a_death_at_any_point(
    build: Callable[..., Service], project: Path, point: str
) -> None:
    service = build("worker", retry_seconds=60.0, misbehaves_at=100)
    world = service.world
    assert world is not None
    world.tell("child", "break")
    with Client(service.endpoint, vigil=service.revive) as client:
        job = submit(client, project, "to wait")
        ended = "SELECT outcome FROM attempts WHERE job_id = ?"
        wait_until(lambda: ask_ledger(service, ended, job) == [("failed",)], "the end of its first attempt")
        assert service.leftovers() != [], "there is something to clean up"
        world.arm(point)
        outcome = cancel(client, job)
        revive_the_dead(service, point)
        assert isinstance(outcome, Cancelled), outcome
        assert list(client.events(job))[-1] == outcome
        check_promises(service, job, outcome)


@pytest.mark.parametrize("point", points(RETRY))
def test_a_job_that_is_run_again_outlives_a_death_at_any_point(
    crashing: Service, world: World, client: Client, small: Path, point: str
) -> None:
    world.tell("child", "linger-and-die")
    job = submit(client, small, f"retry {point}")
    events = client.events(job)
    before = follow_to(events)
    await_fault(crashing)
    world.arm(point)
    world.tell("go")
    after = list(events)
    revive_the_dead(crashing, point)
    assert isinstance(after[-1], Completed), after[-1]
    check_order(before + after)
    check_promises(crashing, job, after[-1])


@pytest.mark.parametrize("point", points(DOWNLOAD))
def test_a_download_outlives_a_death_at_any_point(
    crashing: Service, world: World, client: Client, small: Path, tmp_path: Path, point: str
) -> None:
    job = submit(client, small, "to be downloaded")
    *_, completed = client.events(job)
    assert isinstance(completed, Completed)
    world.arm(point)
    last = download(client, job, tmp_path / "out.zip")
    revive_the_dead(crashing, point)
    assert isinstance(last, Completed)
    assert hashlib.sha256((tmp_path / "out.zip").read_bytes()).hexdigest() == completed.bundle.sha256
    check_promises(crashing, job, completed)


def download(client: Client, job: str, target: Path) -> object:
    """Download until the bundle is here."""
    while True:
        try:
            *_, last = client.download(job, target, overwrite=True)
        except Unreachable:
            continue
        return last


@pytest.mark.parametrize("point", points(RETENTION))
def test_retention_outlives_a_death_at_any_point(build: Callable[..., Service], small: Path, point: str) -> None:
    service = build("worker", keep_bytes=1, spare_seconds=0.0, sweep_seconds=0.2)
    world = service.world
    assert world is not None
    world.arm(point)
    with Client(service.endpoint, vigil=service.revive) as client:
        job = submit(client, small, "too old")
        *_, last = client.events(job)
        assert isinstance(last, Completed)
        revive_the_dead(service, point)
        wait_until(lambda: service.bundles() == [], "the end of the bundle")
        gone = "SELECT state, bundle_attempt FROM jobs WHERE job_id = ?"
        wait_until(lambda: ask_ledger(service, gone, job) == [("completed", None)], "the word of it in the ledger")
        (row,) = client.history().jobs
        assert (row.job_id, row.available) == (job, False)
        assert service.leftovers() == []


def test_the_tables_name_every_point_that_a_job_passes(
    build: Callable[..., Service], small: Path, tmp_path: Path
) -> None:
    # A service of its own, in which nobody has died: what is passed to make good for a death is not a job's way.
    service = build("first", "second")
    world = service.world
    assert world is not None
    world.passed()
    with Client(service.endpoint) as client:
        *_, last = client.events(submit(client, small, "plain export"))
        assert isinstance(last, Completed)
        download(client, last.job_id, tmp_path / "out.zip")
        world.tell("child", "hang")
        job = submit(client, small, "plain cancel")
        await_fault(service)
        assert isinstance(cancel(client, job), Cancelled)
    passed = {each.partition(" ")[2] for each in world.passed()} - BESIDE
    known = {each for table in TABLES for names in table.values() for each in names}
    assert passed <= known, passed - known
