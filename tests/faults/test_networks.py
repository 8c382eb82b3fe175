"""Rows 3, 13, 14, 15, 16, 26, 39: the way to the broker is held, cut, half open, one-way, cut at a byte; the processes are real, the wire is a proxy."""

import calendar
import hashlib
import random
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest
from tests.support.processes import Service, wait_until
from tests.support.projects import make_coco_project
from tests.support.promises import (
    ask_ledger,
    attempts_of,
    await_attempt,
    await_fault,
    check_order,
    check_promises,
)
from tests.support.proxy import BOTH, Proxy, Way

from labelferry import Cancelled, Client, Completed, ExportOptions, Progress
from labelferry_protocol.endpoints import Lane

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
SHORT = {"lease_seconds": 2.0, "renew_seconds": 0.4, "retry_seconds": 0.05}
Wired = Callable[..., tuple[Service, Proxy]]


def lingering(service: Service, client: Client, project: Path, worker: str) -> str:
    """Have a job at work on the named worker that goes on until it is told to; return its id."""
    assert service.world is not None
    service.world.tell("child", "linger")
    job = client.submit(project, OPTIONS).job_id
    await_fault(service)
    wait_until(lambda: f"leased job={job}" in service.log(worker), f"the lease of {worker}")
    return job


def go(service: Service) -> None:
    """Let the lingering job go on to its end."""
    assert service.world is not None
    service.world.tell("go")


def said_at(log: str, words: str) -> float:
    """Return when a log says these words first (UTC, seconds)."""
    line = next(line for line in log.splitlines() if words in line)
    moment, _, milliseconds = line.split(" ")[0].rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%S")) + int(milliseconds) / 1000


def test_row_03_a_machine_that_loses_its_power_is_missed_after_its_lease_and_fenced(wired: Wired, small: Path) -> None:
    service, proxy = wired("far", **SHORT)
    with Client(service.endpoint) as client:
        job = lingering(service, client, small, "far")
        # No goodbye of its connections reaches the broker any more.
        proxy.hold()
        service.kill("far")
        service.start("near")
        await_attempt(service, job, 2)
        go(service)
        proxy.release()
        events = list(client.events(job))
        assert isinstance(events[-1], Completed)
        service.start("far")
        check_order(events)
        check_promises(service, job, events[-1])
        assert attempts_of(service, job)[1] == (2, "finished")


def test_row_13_a_partition_shorter_than_the_lease_costs_nothing(wired: Wired, small: Path) -> None:
    service, proxy = wired("far", lease_seconds=12.0, renew_seconds=0.5)
    with Client(service.endpoint) as client:
        job = lingering(service, client, small, "far")
        proxy.hold()
        time.sleep(3.0)  # the fault itself: six renewals are late
        proxy.release()
        go(service)
        events = list(client.events(job))
        assert isinstance(events[-1], Completed)
        check_order(events)
        check_promises(service, job, events[-1])
        assert attempts_of(service, job) == [(1, "finished")]


def has_connected(service: Service, times: int) -> bool:
    return service.log("far").count(" connected to the broker") >= times


@pytest.mark.parametrize("hidden", [False, True], ids=["in-sight", "far-away"])
def test_row_13_a_connection_that_is_cut_and_comes_back_costs_nothing(wired: Wired, small: Path, hidden: bool) -> None:
    service, proxy = wired("far", hidden_workers=hidden)
    with Client(service.endpoint) as client:
        job = lingering(service, client, small, "far")
        service.start("near")
        for times in (2, 3, 4):
            proxy.cut()
            wait_until(partial(has_connected, service, times), "the way back")
        go(service)
        events = list(client.events(job))
        assert isinstance(events[-1], Completed)
        check_promises(service, job, events[-1])
        assert attempts_of(service, job) == [(1, "finished")]


@pytest.mark.parametrize("ways", [BOTH, (Way.DOWN,), (Way.UP,)], ids=["both", "down", "up"])
def test_rows_14_and_15_a_worker_cut_off_both_ways_or_one_way_kills_its_child_before_the_job_is_given_away(
    wired: Wired, small: Path, ways: Iterable[Way]
) -> None:
    service, proxy = wired("far", **SHORT)
    with Client(service.endpoint) as client:
        job = lingering(service, client, small, "far")
        service.start("near")
        proxy.hold(ways=ways)
        given_away = await_attempt(service, job, 2)
        killed = said_at(service.log("far"), f"killing job={job} attempt=1")
        assert killed <= given_away
        go(service)
        proxy.release()
        events = list(client.events(job))
        assert isinstance(events[-1], Completed)
        check_order(events)
        check_promises(service, job, events[-1])
        assert attempts_of(service, job)[-1] == (2, "finished")


def test_row_16_a_half_open_connection_is_noticed_and_the_events_go_on(wired: Wired, small: Path) -> None:
    service, proxy = wired(lease_seconds=15.0)
    service.start("near")
    with Client(proxy.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        before = [next(events)]
        assert proxy.freeze([Lane.EVENTS]) >= 1
        frozen_at = time.monotonic()
        after = list(events)
        assert isinstance(after[-1], Completed)
        assert time.monotonic() - frozen_at < 20
        check_order(before + after)


def test_row_26_a_cancel_whose_frame_is_lost_comes_with_the_next_answer(wired: Wired, small: Path) -> None:
    service, proxy = wired("far")
    with Client(service.endpoint) as client:
        job = lingering(service, client, small, "far")
        proxy.hold(lanes=[Lane.CONTROL])
        asked_at = time.monotonic()
        outcome = client.cancel(job)
        assert isinstance(outcome, Cancelled)
        assert time.monotonic() - asked_at < 10, "a renewal comes every 5 s"
        check_promises(service, job, outcome)


@pytest.mark.parametrize("cuts", [4, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_row_39_a_download_cut_again_and_again_with_a_new_broker_in_between_is_whole(
    wired: Wired, project: Path, tmp_path: Path, cuts: int
) -> None:
    service, proxy = wired()
    service.start("near")
    with Client(proxy.endpoint) as client:
        *_, completed = client.events(client.submit(project, OPTIONS).job_id)
        assert isinstance(completed, Completed)
        dice = random.Random(39)
        piece = completed.bundle.size // 25
        proxy.cut_after(Lane.DEPOT, [dice.randint(1_000, piece) for _ in range(cuts)])
        restarted = False
        events = []
        for event in client.download(completed.job_id, tmp_path / "out.zip"):
            events.append(event)
            if proxy.cuts >= cuts // 2 and not restarted:
                restarted = True
                service.kill("broker")
                service.start("broker", wait=False)
        assert isinstance(events[-1], Completed)
        assert restarted
        assert proxy.cuts == cuts
        assert hashlib.sha256((tmp_path / "out.zip").read_bytes()).hexdigest() == completed.bundle.sha256
        assert ask_ledger(service, "SELECT state FROM transfers") == [("completed",)]


def test_over_a_narrow_way_a_download_takes_its_bytes_once(wired: Wired, project: Path, tmp_path: Path) -> None:
    service, proxy = wired()
    service.start("near")
    with Client(proxy.endpoint) as client:
        *_, completed = client.events(client.submit(project, OPTIONS).job_id)
        assert isinstance(completed, Completed)
        size = completed.bundle.size
        # A chunk takes 0.6 s, eight of them almost five.
        proxy.narrow(Lane.DEPOT, Way.DOWN, size // 150)
        part = size // 20
        for event in client.download(completed.job_id, tmp_path / "out.zip"):
            if isinstance(event, Progress) and event.stage_progress.current > part:
                break
        assert 1 <= proxy.carried[Lane.DEPOT, Way.DOWN] / part < 1.3


def test_over_a_narrow_way_a_bundle_takes_its_bytes_once_to_the_depot(wired: Wired, tmp_path: Path) -> None:
    project = make_coco_project(tmp_path, images_wanted=8, size=(160, 120))
    service, proxy = wired("far")
    # Eight of the largest chunks that the depot may ask for take five seconds.
    proxy.narrow(Lane.DEPOT, Way.UP, 100_000)
    with Client(service.endpoint) as client:
        *_, completed = client.events(client.submit(project, OPTIONS).job_id)
        assert isinstance(completed, Completed)
        assert 1 <= proxy.carried[Lane.DEPOT, Way.UP] / completed.bundle.size < 1.3
