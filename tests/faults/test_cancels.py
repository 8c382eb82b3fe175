"""A cancel at every moment: confirmed, cleaned up, and the last word about its job."""

import os
import signal
import threading
import zipfile
from pathlib import Path

import pytest
from tests.support.processes import Service, job_children, wait_until

from labelferry import Cancelled, Client, Completed, ExportOptions, JobEvent, PhaseChanged, Progress, Stage, State

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco", "yolo", "json"), metrics=("csv", "xlsx"))


def nothing_is_left(service: Service) -> bool:
    return service.leftovers() == [] and service.bundles() == []


@pytest.mark.parametrize("percent", [0, 1, 10, 35, 60, 80, 95])
def test_a_running_job_that_is_cancelled_is_confirmed_and_leaves_nothing(
    service: Service, client: Client, project: Path, percent: int
) -> None:
    job = client.submit(project, OPTIONS).job_id
    events = client.events(job)
    for event in events:
        if isinstance(event, Progress) and event.progress >= percent:
            break
    outcome = client.cancel(job)
    assert isinstance(outcome, Cancelled), outcome
    assert outcome.cleanup_completed
    assert (outcome.cancelled_by, outcome.who) == ("user", "local")
    assert outcome.progress >= percent
    assert nothing_is_left(service), service.leftovers()
    rest = list(events)
    assert rest[-1] == outcome
    assert client.status(job).state is State.CANCELLED
    # The slot is free: the next job runs on the same worker at once.
    *_, last = client.events(
        client.submit(project, ExportOptions(formats=("coco",), visualizations=False, metrics=())).job_id
    )
    assert isinstance(last, Completed)


def test_a_job_that_is_cancelled_while_its_project_is_unpacked_leaves_nothing(
    service: Service, client: Client, project: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as packed:
        for path in sorted(each for each in project.rglob("*") if each.is_file()):
            packed.write(path, path.relative_to(project))
        for number in range(20_000):
            packed.writestr(f"notes/{number}.txt", b"")
    job = client.submit(tmp_path / "project.zip", OPTIONS).job_id
    for event in client.events(job):
        if isinstance(event, Progress) and event.message.startswith("Unpacking"):
            break
    outcome = client.cancel(job)
    assert isinstance(outcome, Cancelled), outcome
    assert outcome.cleanup_completed
    assert nothing_is_left(service), service.leftovers()


def test_a_queued_job_never_starts(service: Service, client: Client, project: Path) -> None:
    running = client.submit(project, OPTIONS).job_id
    waiting = client.submit(project, OPTIONS).job_id
    outcome = client.cancel(waiting)
    assert isinstance(outcome, Cancelled)
    assert (outcome.progress, outcome.attempt, outcome.cleanup_completed) == (0.0, 0, True)
    assert isinstance(client.cancel(running), Cancelled)
    assert [type(event) for event in client.events(waiting)] == [Cancelled]


def test_cancelled_by_two_clients_at_once_it_has_one_outcome(service: Service, client: Client, project: Path) -> None:
    job = client.submit(project, OPTIONS).job_id
    for event in client.events(job):
        if isinstance(event, Progress) and event.progress >= 10:
            break
    outcomes: list[object] = []

    def cancel() -> None:
        with Client(service.endpoint) as other:
            outcomes.append(other.cancel(job))

    threads = [threading.Thread(target=cancel) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 3
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_a_child_that_does_not_hear_is_killed_and_its_files_are_removed(
    service: Service, client: Client, project: Path
) -> None:
    job = client.submit(project, OPTIONS).job_id
    for event in client.events(job):
        if isinstance(event, Progress) and event.progress >= 20:
            break
    for pid in job_children(service.processes["worker"].pid):
        os.kill(pid, signal.SIGSTOP)
    outcome = client.cancel(job)
    assert isinstance(outcome, Cancelled)
    assert outcome.cleanup_completed
    assert nothing_is_left(service)


def test_a_cancelled_job_that_keeps_its_part_leaves_a_bundle_that_says_so(
    service: Service, client: Client, project: Path, tmp_path: Path
) -> None:
    import json
    import zipfile

    job = client.submit(project, OPTIONS).job_id
    for event in client.events(job):
        if isinstance(event, Progress) and event.stage is Stage.VISUALIZATIONS and event.progress >= 40:
            break
    outcome = client.cancel(job, keep_partial=True)
    assert isinstance(outcome, Cancelled)
    assert outcome.partial
    assert outcome.bundle is not None
    *_, last = client.download(job, tmp_path / "part.zip")
    assert isinstance(last, Completed)
    with zipfile.ZipFile(tmp_path / "part.zip") as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("manifest.json"))["partial"] is True


def test_a_job_whose_time_is_over_is_cancelled_by_the_timeout(service: Service, client: Client, project: Path) -> None:
    *_, last = client.events(client.submit(project, ExportOptions(timeout=0.6)).job_id)
    assert isinstance(last, Cancelled)
    assert last.cancelled_by == "timeout"
    assert nothing_is_left(service)


def test_a_cancel_that_comes_too_late_is_told_the_completion(service: Service, client: Client, project: Path) -> None:
    job = client.submit(project, ExportOptions(formats=("coco",), visualizations=False, metrics=())).job_id
    *_, last = client.events(job)
    assert isinstance(last, Completed)
    assert client.cancel(job) == last


def test_a_cancel_outlives_the_broker(service: Service, client: Client, project: Path) -> None:
    job = client.submit(project, OPTIONS).job_id
    events = client.events(job)
    for event in events:
        if isinstance(event, Progress) and event.progress >= 10:
            break
    for pid in job_children(service.processes["worker"].pid):
        os.kill(pid, signal.SIGSTOP)
    accepted = threading.Event()
    thread = threading.Thread(target=lambda: _cancel_elsewhere(service, job, accepted))
    thread.start()
    assert accepted.wait(10)
    service.kill("broker")
    service.start("broker")
    thread.join(30)
    assert not thread.is_alive()
    *_, last = events
    assert isinstance(last, Cancelled)
    wait_until(lambda: nothing_is_left(service), "an empty staging directory")


def _cancel_elsewhere(service: Service, job: str, accepted: threading.Event) -> None:
    with Client(service.endpoint) as other:
        other.cancel(job, on_accepted=lambda _: accepted.set())


def test_a_download_that_is_cancelled_leaves_the_job_completed_and_its_bundle_in_the_history(
    service: Service, client: Client, project: Path, tmp_path: Path
) -> None:
    export = client.export(project, tmp_path / "out.zip", ExportOptions(formats=("coco",), metrics=()))
    events: list[JobEvent] = []
    for event in export:
        events.append(event)
        if (
            any(isinstance(each, PhaseChanged) for each in events)
            and isinstance(event, Progress)
            and event.progress > 10
        ):
            export.cancel()
    last = events[-1]
    assert isinstance(last, Cancelled), last
    assert (last.phase, last.cleanup_completed) == ("downloading", True)
    assert list(tmp_path.glob("*out.zip*")) == []
    (row,) = client.history().jobs
    assert (row.state, row.available) == (State.COMPLETED, True)
    assert client.transfers(row.job_id).transfers[0].state == "cancelled"
    *_, again = client.download(row.job_id, tmp_path / "out.zip")
    assert isinstance(again, Completed)
