"""A worker on the depot's own machine puts a large bundle into its folder itself, and a client takes it from there: whoever dies on the way, and who is too far away for it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.process_tree import lives
from tests.support.processes import Service, wait_until
from tests.support.projects import make_coco_project
from tests.support.promises import check_order, check_promises

from labelferry import Client, Completed, ExportOptions

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
Build = Callable[..., Service]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose bundle has more than a megabyte."""
    return make_coco_project(tmp_path_factory.mktemp("large"), images_wanted=6, size=(700, 500))


def exported(service: Service, project: Path) -> Completed:
    with Client(service.endpoint, vigil=service.revive) as client:
        events = list(client.events(client.submit(project, OPTIONS).job_id))
    last = events[-1]
    assert isinstance(last, Completed), last
    assert last.bundle.size > 1 << 20
    check_order(events)
    return last


@pytest.mark.parametrize("hidden", [False, True])
def test_a_large_bundle_is_sent_by_those_alone_whom_the_broker_cannot_see(
    build: Build, large: Path, hidden: bool
) -> None:
    service = build("worker", hidden_workers=hidden)
    assert service.world is not None
    service.world.passed()
    last = exported(service, large)
    check_promises(service, last.job_id, last)
    assert ("before say chunk" in service.world.passed()) == hidden


def test_a_large_bundle_is_read_by_a_client_that_comes_by_a_unix_socket(
    build: Build, large: Path, tmp_path: Path
) -> None:
    service = build("worker")
    assert service.world is not None
    job = exported(service, large).job_id
    service.world.passed()
    with Client(service.endpoint) as client:
        *_, last = client.download(job, tmp_path / "out.zip")
        (row,) = client.history().jobs
    assert isinstance(last, Completed)
    assert hashlib.sha256((tmp_path / "out.zip").read_bytes()).hexdigest() == last.bundle.sha256
    assert (row.downloads, row.available) == (1, True)
    assert "before send chunk" not in service.world.passed()


@pytest.mark.parametrize(
    "point",
    [
        "after perform bring",
        "before say offer-bundle",
        "after open incoming",
        "before rename bundle",
        "after rename bundle",
    ],
)
def test_whoever_dies_while_it_is_handed_over_one_bundle_is_published_and_nothing_is_left(
    build: Build, large: Path, point: str
) -> None:
    service = build("worker", lease_seconds=4.0, renew_seconds=0.5, return_grace_seconds=0.2, retry_seconds=0.05)
    world = service.world
    assert world is not None
    world.arm(point)
    last = exported(service, large)
    victim = world.told("victim")
    assert victim is not None
    wait_until(lambda: not lives(int(victim)), "the end of the victim")
    service.revive()
    check_promises(service, last.job_id, last)
