"""Rows 8, 18, 19, 21, 27, 36, 41: many clients, doubled wishes, a cancel at the very end, a crowd at the door, and a job of a whole day."""

import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.ledger.bench import W1, Bench
from tests.support.arrivals import Arrivals
from tests.support.crowd import Crowd
from tests.support.processes import Service, wait_until
from tests.support.promises import ask_ledger, attempts_of, bundles_of, check_order, check_promises, follow_to
from tests.support.proxy import Proxy

from labelferry import Cancelled, Client, Code, Completed, ExportOptions, Failed, Progress, Refusal, State
from labelferry_protocol.endpoints import Lane, parse_endpoint
from labelferry_protocol.work import Holding
from labelferry_transport.descriptors import allow_many_connections, descriptor_limit
from labelferry_transport.sockets import new_context

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
Build = Callable[..., Service]


HERD = 0.75
"""Share of a crowd that may come within a tenth of a second (measured: 0.2 to 0.3)."""
LONG = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    ("jobs", "subscribers", "workers"),
    [(50, 40, 20), pytest.param(1000, 200, 20, marks=LONG), pytest.param(100, 1000, 200, marks=LONG)],
)
def test_row_08_a_broker_that_is_killed_under_a_crowd_is_back_soon_for_everybody(
    build: Build, small: Path, jobs: int, subscribers: int, workers: int
) -> None:
    service = build("worker")
    assert service.world is not None
    service.world.tell("child", "linger")
    with Client(service.endpoint) as client, ExitStack() as closing:
        running = client.submit(small, OPTIONS).job_id
        events = client.events(running)
        follow_to(events)
        queued = [client.submit(small, OPTIONS).job_id for _ in range(jobs)]
        context = closing.enter_context(new_context())
        crowd = closing.enter_context(Crowd(context, service.endpoint, subscribers, workers))
        crowd.await_epoch(1)
        service.kill("broker")
        restarted_at = time.monotonic()
        with Arrivals(service.start("broker", wait=False)) as arrivals:
            service.await_ready("broker")
            crowd.await_epoch(2)
            assert time.monotonic() - restarted_at < 10
        peers = subscribers + workers
        assert arrivals.counts[-1][1] > peers, "all of them are there"
        # Without their own pauses they would come as one. The broker's own descriptors would hide that of a small crowd.
        assert peers < 200 or arrivals.rush(0.1) < HERD * peers
        assert client.status(queued[-1]).state is State.QUEUED
        counts = {state: count for state, count in client.overview().jobs.items() if count}
        assert counts == {State.RUNNING: 1, State.QUEUED: jobs}
        service.world.tell("go")
        last = next(event for event in events if isinstance(event, Completed | Failed | Cancelled))
        assert isinstance(last, Completed)
        assert len(attempts_of(service, running)) == 1, "the running attempt is adopted"


def test_row_18_whoever_subscribes_after_the_end_is_told_the_end(service: Service, client: Client, small: Path) -> None:
    job = client.submit(small, OPTIONS).job_id
    *_, last = client.events(job)
    with Client(service.endpoint) as late:
        events = list(late.events(job))
    assert events[-1] == last
    check_order(events)
    with pytest.raises(Refusal) as refused:
        next(client.events("0" * 32))
    assert refused.value.code is Code.NO_SUCH_JOB


def test_row_19_a_submit_doubled_by_four_clients_at_once_is_one_job(service: Service, small: Path) -> None:
    made: list[str] = []
    start = threading.Barrier(4)

    def submit() -> None:
        with Client(service.endpoint) as client:
            start.wait(20)
            made.extend(client.submit(small, OPTIONS, idempotency_key="once").job_id for _ in range(3))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 12
    assert len(set(made)) == 1
    assert ask_ledger(service, "SELECT job_id FROM jobs") == [(made[0],)]


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_row_21_a_cancel_at_the_very_end_wins_or_loses_and_never_both(
    service: Service, client: Client, small: Path, step: int
) -> None:
    for delay in range(0, 51, step):
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        for event in events:
            if isinstance(event, Progress) and event.progress >= 98:
                break
        time.sleep(delay / 1000)  # the sweep itself
        outcome = client.cancel(job)
        assert isinstance(outcome, Completed | Cancelled), outcome
        rest = list(events)
        assert not rest or rest[-1] == outcome
        check_promises(service, job, outcome)
        assert len(bundles_of(service, job)) == isinstance(outcome, Completed)


def test_row_27_a_cancel_of_an_unknown_job_is_refused_and_hits_no_later_one(
    service: Service, client: Client, small: Path
) -> None:
    with pytest.raises(Refusal) as refused:
        client.cancel("1" * 32)
    assert refused.value.code is Code.NO_SUCH_JOB
    job = client.submit(small, OPTIONS).job_id
    told = list(client.events(job))
    assert isinstance(told[-1], Completed)
    check_order(told)
    check_promises(service, job, told[-1])
    assert ask_ledger(service, "SELECT job_id FROM jobs") == [(job,)]


def test_row_36_a_job_of_a_whole_day_is_leased_once() -> None:
    bench = Bench()
    job = bench.running()
    for _ in range(24 * 3600 // 5):
        bench.wait(5)
        bench.renew(W1, Holding(job_id=job, attempt=1))
    assert bench.snapshot(job).state is State.RUNNING
    assert bench.snapshot(job).attempt == 1
    bench.finish(job)
    assert bench.snapshot(job).state is State.COMPLETED
    assert job != W1


@pytest.mark.parametrize("local", [True, False], ids=["ipc", "tcp"])
def test_row_41_a_crowd_that_takes_all_descriptors_is_kept_out_and_who_is_inside_goes_on(
    build: Build, wired: Callable[..., tuple[Service, Proxy]], small: Path, local: bool
) -> None:
    allow_many_connections()
    service = build(descriptors=1024) if local else wired(descriptors=1024)[0]
    service.start("worker")
    assert service.world is not None
    service.world.tell("child", "linger")
    door = parse_endpoint(service.endpoint)
    places = [Path(door.place) / lane for lane in Lane] if local else [(door.place, door.port)]
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        before = follow_to(events)
        with ExitStack() as crowd:
            for number in range(min(2000, descriptor_limit() - 256)):
                stranger = crowd.enter_context(socket.socket(socket.AF_UNIX if local else socket.AF_INET))
                stranger.setblocking(False)
                place = places[number % len(places)]
                knock(stranger, str(place) if isinstance(place, Path) else place)
            wait_until(lambda: "nobody new is let in" in service.log("broker"), "the alert")
            wait_until(lambda: client.overview().full, "the word of it to who asks")
            service.world.tell("go")
            after = list(events)
            assert isinstance(after[-1], Completed)
            check_order(before + after)
        wait_until(lambda: welcomed(service), "the broker's answer to a newcomer", seconds=60)
        wait_until(lambda: not client.overview().full, "the end of the shortage")
        check_promises(service, job, after[-1])
    assert service.processes["broker"].poll() is None
    assert "newcomers are let in again" in service.log("broker")


def knock(stranger: socket.socket, place: str | tuple[str, int]) -> None:
    """Begin a connection, and do not wait for it; at a unix socket before which too many wait, try for a while to be among them."""
    for _ in range(1000):
        # A door that is shut has no file, and for a moment one at which nobody listens.
        with suppress(FileNotFoundError, ConnectionRefusedError):
            try:
                stranger.connect(place)
            except BlockingIOError as error:
                if error.errno == errno.EAGAIN:
                    os.sched_yield()
                    continue
        return


def welcomed(service: Service) -> bool:
    """Whether a new client is answered."""
    from labelferry import Unreachable

    with Client(service.endpoint, timeout=3) as newcomer, suppress(Unreachable):
        return newcomer.overview().depot_ready
    return False
