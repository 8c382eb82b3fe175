"""Work that was finished outlives the attempt that did it: kill -9 far into an export costs little, and nothing is left of it in the end.

What it costs is counted (results made and found, as the job child logs them), not timed.
"""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support.process_tree import children_of
from tests.support.processes import Service, wait_until
from tests.support.promises import attempts_of, await_attempt, check_order, check_promises, follow_to

from labelferry import Cancelled, Client, Completed, ExportOptions, Failed, JobEvent, Progress, Started, State

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=("csv",))
IMAGES = 60
RESULTS = 3 * IMAGES
"""An overlay, the measures and the COCO rows of each image."""
_MADE = re.compile(r"child made job=(\w+) attempt=(\d+) results_made=(\d+) results_found=(\d+)")


def results(service: Service, job_id: str, name: str = "worker") -> dict[int, tuple[int, int]]:
    """Return how many results each attempt that came to its end has made and found."""
    found = _MADE.findall(service.log(name))
    return {int(attempt): (int(made), int(taken)) for job, attempt, made, taken in found if job == job_id}


def kill_child(service: Service, name: str = "worker") -> None:
    """Kill the processes right below the worker, which end all that is below them."""
    for pid in children_of(service.processes[name].pid):
        os.kill(pid, signal.SIGKILL)


def check_progress(events: Iterable[JobEvent]) -> None:
    told = [event.progress for event in events if isinstance(event, Progress)]
    assert all(before <= after for before, after in pairwise(told)), told


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, project: Path) -> str:
    """The digest of the bundle when nothing happens."""
    from tests.support.processes import running_service

    with (
        running_service(tmp_path_factory.mktemp("undisturbed"), "worker") as service,
        Client(service.endpoint) as client,
    ):
        *_, last = client.events(client.submit(project, OPTIONS).job_id)
        assert isinstance(last, Completed)
        assert results(service, last.job_id) == {1: (RESULTS, 0)}
        assert service.leftovers() == []
        return last.bundle.sha256


@pytest.mark.parametrize("victim", ["child", "worker"])
def test_killed_near_the_end_it_goes_on_from_there_and_makes_the_same_bundle(
    service: Service, client: Client, project: Path, undisturbed: str, victim: str
) -> None:
    job = client.submit(project, OPTIONS).job_id
    events = client.events(job)
    before = follow_to(events, 85)
    if victim == "child":
        kill_child(service)
    else:
        service.kill("worker")
        service.start("worker")
    after = list(events)
    assert isinstance(after[-1], Completed), after[-1]
    assert after[-1].bundle.sha256 == undisturbed
    made, found = results(service, job)[2]
    assert made + found == RESULTS
    assert found >= IMAGES, "all overlays at least: rows of three objects are made again sooner than they are found"
    check_order(before + after)
    check_progress(before + after)
    again = after[next(number for number, event in enumerate(after) if isinstance(event, Started)) :]
    messages = [event.message for event in again if isinstance(event, Progress)]
    assert messages[0] == "Running again: attempt 2"
    assert messages[1].startswith("Resuming"), messages[:3]
    check_promises(service, job, after[-1])


def test_people_are_told_that_the_project_has_changed_and_the_bundle_is_of_what_it_is_now(
    service: Service, client: Client, project: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(project, own)
    job = client.submit(own, OPTIONS).job_id
    events = client.events(job)
    follow_to(events, 60)
    service.kill("worker")
    changed, other = sorted(path for path in own.rglob("*") if path.suffix in (".png", ".jpg"))[:2]
    changed.write_bytes(other.read_bytes())
    service.start("worker")
    after = list(events)
    assert isinstance(after[-1], Completed), after[-1]
    messages = [event.message for event in after if isinstance(event, Progress)]
    assert f"The project has changed and is read again: {changed.name}" in messages
    *_, fresh = client.events(client.submit(own, OPTIONS).job_id)
    assert isinstance(fresh, Completed)
    assert after[-1].bundle.sha256 == fresh.bundle.sha256
    check_promises(service, job, after[-1])


def test_another_machine_begins_from_nothing_and_is_still_right(
    service: Service, client: Client, project: Path, undisturbed: str
) -> None:
    """A worker with a staging directory of its own is as good as another machine."""
    job = client.submit(project, OPTIONS).job_id
    events = client.events(job)
    before = follow_to(events, 60)
    service.kill("worker")
    service.start("other")
    after = list(events)
    assert isinstance(after[-1], Completed)
    assert after[-1].bundle.sha256 == undisturbed
    assert results(service, job, "other") == {2: (RESULTS, 0)}
    check_progress(before + after)
    service.start("worker")
    wait_until(lambda: service.leftovers() == [], f"the end of what the first worker kept {service.leftovers()}")


def test_a_cancel_of_an_attempt_that_resumed_is_confirmed_when_nothing_is_left(
    service: Service, client: Client, project: Path
) -> None:
    job = client.submit(project, OPTIONS).job_id
    events = client.events(job)
    follow_to(events, 60)
    kill_child(service)
    before = ("Running again: attempt 2", "Resuming")
    next(
        event for event in events if isinstance(event, Progress) and event.attempt == 2 and event.message not in before
    )
    outcome = client.cancel(job)
    assert isinstance(outcome, Cancelled)
    assert outcome.cleanup_completed
    assert outcome.progress >= 60
    assert service.leftovers() == [], "before it was said"
    check_promises(service, job, outcome)


def test_a_part_is_kept_of_an_attempt_that_resumed(service: Service, client: Client, project: Path) -> None:
    job = client.submit(project, OPTIONS).job_id
    events = client.events(job)
    follow_to(events, 60)
    kill_child(service)
    again = (event for event in events if event.attempt == 2)
    next(event for event in again if isinstance(event, Progress) and event.message.startswith("Drawing"))
    outcome = client.cancel(job, keep_partial=True)
    assert isinstance(outcome, Cancelled)
    assert outcome.partial
    assert outcome.cleanup_completed
    check_promises(service, job, outcome)


def test_of_a_job_that_fails_in_the_end_nothing_is_kept(service: Service, client: Client, project: Path) -> None:
    job = client.submit(project, OPTIONS).job_id
    events = client.events(job)
    for attempt in (1, 2, 3):
        await_attempt(service, job, attempt)
        next(
            event
            for event in events
            if isinstance(event, Progress) and event.attempt == attempt and event.progress > 30
        )
        kill_child(service)
    *_, last = events
    assert isinstance(last, Failed)
    check_promises(service, job, last)


def test_a_job_that_is_cancelled_while_it_waits_for_another_attempt_is_confirmed_when_nothing_of_it_is_kept(
    build: Callable[..., Service], project: Path
) -> None:
    service = build("worker", retry_seconds=60.0)
    with Client(service.endpoint) as client:
        job = client.submit(project, OPTIONS).job_id
        events = client.events(job)
        before = follow_to(events, 40)
        kill_child(service)
        await_attempt(service, job, 2)
        before.append(next(each for each in events if isinstance(each, Progress) and each.progress > 45))
        kill_child(service)
        wait_until(lambda: client.status(job).state is State.QUEUED, "the pause before the third attempt")
        assert service.leftovers() != [], "there is something to clean up"
        outcome = client.cancel(job)
        assert service.leftovers() == [], "before it was said"
        assert isinstance(outcome, Cancelled)
        assert outcome.cleanup_completed, outcome
        assert list(events)[-1] == outcome
        check_promises(service, job, outcome)
        assert attempts_of(service, job) == [(1, "failed"), (2, "failed")]


def test_of_a_job_that_was_cancelled_while_its_worker_was_down_nothing_is_kept_when_it_is_back(
    service: Service, client: Client, project: Path
) -> None:
    job = client.submit(project, OPTIONS).job_id
    follow_to(client.events(job), 60)
    service.kill("worker")
    outcome = client.cancel(job)
    assert isinstance(outcome, Cancelled)
    assert service.leftovers() != []
    service.start("worker")
    check_promises(service, job, outcome)
