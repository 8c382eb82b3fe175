"""Rows 4, 5, 6, 8, 11, 12, 23, 24, 34, 40, 44: workers and job children that are stopped, deaf, full, late, too loud, or told to go."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.descriptors import few_descriptors
from tests.support.files import files_below
from tests.support.processes import Service, job_children, wait_until
from tests.support.promises import (
    ask_ledger,
    attempts_of,
    await_attempt,
    await_fault,
    check_order,
    check_promises,
    follow_to,
)

from labelferry import Cancelled, Client, Code, Completed, ExportOptions, Failed, Progress, Refusal, State

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
SHORT = {"lease_seconds": 2.0, "renew_seconds": 0.4, "retry_seconds": 0.05}
Build = Callable[..., Service]


def tell(service: Service, name: str, text: str = "") -> None:
    assert service.world is not None
    service.world.tell(name, text)


def test_row_04_a_supervisor_stopped_for_longer_than_its_lease_is_fenced_when_it_goes_on(
    build: Build, small: Path
) -> None:
    service = build("stopped", **SHORT)
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        await_fault(service)
        service.start("other")
        service.kill("stopped", signal.SIGSTOP)
        await_attempt(service, job, 2)
        tell(service, "go")
        events = list(client.events(job))
        service.kill("stopped", signal.SIGCONT)
        assert isinstance(events[-1], Completed)
        check_order(events)
        check_promises(service, job, events[-1])
        assert attempts_of(service, job)[1] == (2, "finished")
        # It is a worker like any other again.
        wait_until(lambda: len([w for w in client.overview().workers if w.busy == 0]) == 2, "both workers")


def test_row_05_a_stopped_child_keeps_its_lease_people_are_told_and_it_can_be_cancelled(
    build: Build, small: Path
) -> None:
    service = build("worker", stall_seconds=3.0, **SHORT)
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        await_fault(service)
        for pid in job_children(service.processes["worker"].pid):
            os.kill(pid, signal.SIGSTOP)
        stalled = next(event for event in events if isinstance(event, Progress) and event.stalled)
        assert stalled.message.startswith("No progress for 3 s: ")
        assert client.overview().stalled == 1
        assert stalled.attempt == 1, "the lease, shorter than the stall, has held"
        outcome = client.cancel(job)
        assert isinstance(outcome, Cancelled)
        check_promises(service, job, outcome)


def test_row_06_code_that_holds_the_interpreter_for_longer_than_the_lease_is_not_taken_for_dead(
    build: Build, small: Path
) -> None:
    service = build("worker", **SHORT)
    tell(service, "child", "hold-the-interpreter 4")
    with Client(service.endpoint) as client:
        events = list(client.events(client.submit(small, OPTIONS).job_id))
        assert isinstance(events[-1], Completed)
        assert attempts_of(service, events[-1].job_id) == [(1, "finished")]
        tell(service, "child", "hold-the-interpreter 60")
        job = client.submit(small, OPTIONS).job_id
        await_fault(service)
        asked_at = time.monotonic()
        outcome = client.cancel(job)
        assert isinstance(outcome, Cancelled)
        assert time.monotonic() - asked_at < 10, "killed after the grace of half a second"
        assert outcome.cleanup_completed
        check_promises(service, job, outcome)


def test_row_11_a_full_disk_of_the_worker_fails_the_job_frees_what_it_had_and_the_worker_goes_on(
    build: Build, small: Path, tmp_path: Path
) -> None:
    service = build("worker")
    staging = tmp_path / "staging" / "tight"
    staging.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(staging)], check=False).returncode:
        # Where we may mount nothing, the system's word stands for the full disk.
        tell(service, "child", "no-space")
    try:
        service.kill("worker")
        service.start("tight")
        with Client(service.endpoint) as client:
            *_, last = client.events(client.submit(small, OPTIONS).job_id)
            assert isinstance(last, Failed), last
            assert last.code is Code.DISK_FULL
            assert "disk" in last.message
            check_promises(service, last.job_id, last)
            assert [path for path in files_below(staging) if path.suffix == ".zip"] == []
            assert client.overview().workers, "the worker is still there"
    finally:
        service.kill("tight")
        subprocess.run(["umount", str(staging)], check=False, capture_output=True)


def test_row_41_a_worker_without_descriptors_fails_or_finishes_its_job_and_works_on_when_it_has_some(
    build: Build, small: Path
) -> None:
    service = build("worker", retry_seconds=0.05)
    worker = service.processes["worker"].pid
    with Client(service.endpoint) as client:
        # One before, so that the way to the depot is there: whoever has none waits for descriptors, however long.
        *_, first = client.events(client.submit(small, OPTIONS).job_id)
        assert isinstance(first, Completed), first
        with few_descriptors(worker, 0):
            *_, last = client.events(client.submit(small, OPTIONS).job_id)
            assert isinstance(last, Completed | Failed), last
        check_promises(service, last.job_id, last)
        *_, last = client.events(client.submit(small, OPTIONS).job_id)
        assert isinstance(last, Completed), last
        check_promises(service, last.job_id, last)
    assert service.processes["worker"].poll() is None


def test_row_12_a_full_disk_of_the_depot_publishes_nothing_and_the_publish_is_tried_again(
    build: Build, small: Path
) -> None:
    service = build("worker")
    tell(service, "depot-full")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        wait_until(lambda: "bundle not sealed" in service.log("broker"), "the depot's complaint")
        assert client.status(job).state is State.RUNNING
        assert service.bundles() == []
        assert service.world is not None
        service.world.take_back("depot-full")
        events = list(client.events(job))
        assert isinstance(events[-1], Completed)
        check_promises(service, job, events[-1])
        assert attempts_of(service, job) == [(1, "finished")]


def test_row_24_a_cancel_of_an_attempt_that_is_over_does_not_hit_the_next(build: Build, small: Path) -> None:
    service = build("worker", **SHORT)
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        await_fault(service)
        for pid in job_children(service.processes["worker"].pid):
            os.kill(pid, signal.SIGKILL)
        await_attempt(service, job, 2)
        with pytest.raises(Refusal) as refused:
            client.cancel(job, attempt=1)
        assert refused.value.code is Code.FENCED
        tell(service, "go")
        *_, last = client.events(job)
        assert isinstance(last, Completed)
        check_promises(service, job, last)


@pytest.mark.parametrize("shift", [3600.0, -3600.0])
def test_row_34_wall_clocks_that_jump_by_an_hour_end_nothing(build: Build, small: Path, shift: float) -> None:
    service = build("worker", **SHORT)
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, ExportOptions(formats=("coco",), metrics=(), timeout=600)).job_id
        await_fault(service)
        tell(service, "shift", str(shift))
        time.sleep(3.0)  # the fault itself: longer than a lease
        assert client.status(job).state is State.RUNNING
        tell(service, "go")
        *_, last = client.events(job)
        assert isinstance(last, Completed)
        assert last.duration >= 0
        check_promises(service, job, last)
        assert attempts_of(service, job) == [(1, "finished")]


def test_row_40_a_worker_told_to_go_finishes_what_it_has_takes_no_more_and_ends_with_0(
    build: Build, small: Path
) -> None:
    service = build("worker")
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        await_fault(service)
        service.kill("worker", signal.SIGTERM)
        wait_until(lambda: all(worker.draining for worker in client.overview().workers), "the drain")
        late = client.submit(small, OPTIONS).job_id
        tell(service, "go")
        *_, last = client.events(job)
        assert isinstance(last, Completed)
        assert service.processes["worker"].wait(20) == 0
        assert client.status(late).state is State.QUEUED
        assert attempts_of(service, job) == [(1, "finished")]


def test_row_40_a_worker_that_cannot_finish_in_time_hands_its_job_over_and_ends_with_0(
    build: Build, small: Path
) -> None:
    service = build(retry_seconds=0.05)
    service.options = ("--drain-seconds", "0.3")
    service.start("first")
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        await_fault(service)
        service.start("second")
        service.kill("first", signal.SIGTERM)
        assert service.processes["first"].wait(20) == 0
        await_attempt(service, job, 2)
        tell(service, "go")
        *_, last = client.events(job)
        assert isinstance(last, Completed)
        check_promises(service, job, last)


def test_rows_40_and_8_a_broker_told_to_go_ends_with_0_and_the_next_one_adopts_what_runs(
    build: Build, small: Path
) -> None:
    service = build("worker")
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        before = follow_to(events)
        service.kill("broker", signal.SIGTERM)
        assert service.processes["broker"].wait(10) == 0
        service.start("broker")
        tell(service, "go")
        after = list(events)
        assert isinstance(after[-1], Completed)
        check_order(before + after)
        check_promises(service, job, after[-1])
        assert attempts_of(service, job) == [(1, "finished")]


def test_row_08_what_a_worker_had_to_end_while_the_broker_was_away_is_run_again_when_it_is_back(
    build: Build, small: Path
) -> None:
    service = build("worker", lease_seconds=4.0, renew_seconds=0.4)
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        before = follow_to(events)
        service.kill("broker")
        wait_until(lambda: f"killing job={job} attempt=1" in service.log("worker"), "the end of the lease")
        wait_until(lambda: not service.leftovers(), "the end of what the attempt made")
        tell(service, "go")
        service.start("broker")
        after = list(events)
        assert isinstance(after[-1], Completed)
        check_order(before + after)
        check_promises(service, job, after[-1])
        assert attempts_of(service, job) == [(1, "lost"), (2, "finished")]
        reasons = ask_ledger(service, "SELECT reason FROM attempts WHERE job_id = ? AND attempt = 1", job)
        assert reasons == [("the worker had to end it while the broker was away",)]


def test_row_23_a_cancel_of_a_job_on_a_worker_that_is_going_is_honoured(build: Build, small: Path) -> None:
    service = build("worker")
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        await_fault(service)
        service.kill("worker", signal.SIGTERM)
        wait_until(lambda: all(worker.draining for worker in client.overview().workers), "the drain")
        outcome = client.cancel(job)
        assert isinstance(outcome, Cancelled)
        check_promises(service, job, outcome)
        assert service.processes["worker"].wait(20) == 0


def test_row_44_a_flood_of_progress_is_thinned_out_and_holds_up_nobody(build: Build, small: Path) -> None:
    service = build("worker")
    tell(service, "child", "flood 300000")
    with Client(service.endpoint) as client:
        began = time.monotonic()
        events = list(client.events(client.submit(small, OPTIONS).job_id))
        seconds = time.monotonic() - began
        assert isinstance(events[-1], Completed)
        assert len(events) < 200 + 40 * seconds, "a frame a point, and some twenty a second"
        check_order(events)
        exact = [event for event in events if isinstance(event, Progress)][-1]
        assert exact.progress == 100
