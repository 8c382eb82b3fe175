"""A service seen from outside while it works: each line of a log is one event, and the page of numbers says what is so."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.support.ports import reserved_base_port
from tests.support.processes import Service, job_children, running_service, wait_until
from tests.support.promises import follow_to
from tests.support.world import World

from labelferry import Cancelled, Client, Completed, ExportOptions, Started

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^\s"=]+)'
LINE = re.compile(rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z (debug|info|warning|error) [a-z-]+ [^=]+?((?: [a-z_]+={VALUE})*)")
WITHOUT_ATTEMPT = ("job submitted", "removed what was kept of a job")


def read_numbers(port: int) -> dict[str, float]:
    """Return what the page of numbers says, by name and label."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines()) if name[:1] != "#"
    }


def test_every_line_of_a_log_is_one_event_and_what_is_about_a_job_names_it_and_its_attempt(
    build: Callable[..., Service], small: Path, tmp_path: Path
) -> None:
    service = build("worker", retry_seconds=0.05)
    assert service.world is not None
    with Client(service.endpoint) as client:
        *_, done = client.events(client.submit(small, OPTIONS).job_id)
        assert isinstance(done, Completed)
        for _ in client.download(done.job_id, tmp_path / "out.zip"):
            pass
        service.world.tell("child", "linger")
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        follow_to(events)
        for pid in job_children(service.processes["worker"].pid):
            os.kill(pid, signal.SIGKILL)
        # The second, unless it was given to a process that was just being killed.
        again = next(event.attempt for event in events if isinstance(event, Started))
        assert isinstance(client.cancel(job), Cancelled)
    for name in ("worker", "broker"):
        service.kill(name, signal.SIGTERM)
        assert service.processes[name].wait(20) == 0
        for line in service.log(name).splitlines():
            assert LINE.fullmatch(line), line
            if done.job_id in line or job in line:
                assert re.search(r" job=[0-9a-f]{32}( |$)", line), line
                assert re.search(r" attempt=\d+( |$)", line) or any(each in line for each in WITHOUT_ATTEMPT), line
    told = service.log("broker")
    for fact in (
        f"job={job} attempt=1 outcome=failed",
        f"job={job} attempt={again} outcome=cancelled",
        "a worker registers",
    ):
        assert fact in told, told
    for fact in (
        f"cancel ordered job={job} attempt={again}",
        f"cleared job={job} attempt={again} clean=True",
        f"leased job={job}",
    ):
        assert fact in service.log("worker")


@pytest.fixture
def port() -> Iterator[int]:
    """A port to serve the numbers at."""
    with reserved_base_port() as port:
        yield port


def test_the_numbers_are_right_while_jobs_wait_run_end_and_are_cancelled(
    tmp_path: Path, small: Path, port: int
) -> None:
    def prepare(service: Service) -> None:
        service.world = World.make(tmp_path / "world")
        service.broker_options = ("--metrics-port", str(port))

    with running_service(tmp_path, "worker", prepare=prepare) as service, Client(service.endpoint) as client:
        assert service.world is not None

        def say(**wanted: float) -> bool:
            now = read_numbers(port)
            return all(now[f"labelferry_{name}"] == value for name, value in wanted.items())

        *_, done = client.events(client.submit(small, OPTIONS).job_id)
        assert isinstance(done, Completed)
        service.world.tell("child", "linger")
        running = client.submit(small, OPTIONS).job_id
        events = client.events(running)
        follow_to(events)
        waiting = client.submit(small, OPTIONS).job_id
        wait_until(
            lambda: say(slots=1, slots_busy=1, workers=1, bundles=1, bundle_bytes=done.bundle.size, depot_ready=1),
            "the numbers of a job that runs",
        )
        wait_until(lambda: read_numbers(port)["labelferry_queue_age_seconds"] > 0.5, "the age of who waits")
        now = read_numbers(port)
        assert (now['labelferry_jobs{state="running"}'], now['labelferry_jobs{state="queued"}']) == (1, 1)
        assert 0 <= now["labelferry_lease_age_seconds"] < 15
        assert now["labelferry_subscribers"] >= 1
        assert now["labelferry_progress_frames_total"] >= 10
        frames = now["labelferry_progress_frames_total"]
        assert isinstance(client.cancel(running), Cancelled)
        assert isinstance(client.cancel(waiting), Cancelled)
        wait_until(lambda: say(cancel_latency_seconds_count=2, slots_busy=0, queue_age_seconds=0), "both cancels")
        now = read_numbers(port)
        assert now['labelferry_jobs_ended_total{state="cancelled"}'] == 2
        assert now['labelferry_jobs_ended_total{state="completed"}'] == 1
        assert now['labelferry_cancel_latency_seconds_bucket{le="+Inf"}'] == 2
        assert now["labelferry_progress_frames_total"] >= frames
        assert now["labelferry_messages_unsent_total"] == 0
