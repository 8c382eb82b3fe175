"""Rows 30, 32, 36, 37, 44: a service at work beside peers that flood, babble and subscribe to everything, and at work for longer than any lease."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import zmq
from tests.support.garbage import garbage
from tests.support.processes import Service, wait_until
from tests.support.promises import attempts_of, await_fault, check_order, check_promises, follow_to

from labelferry import Client, Code, Completed, ExportOptions, Progress, Refusal, Stage, State
from labelferry_protocol import codec
from labelferry_protocol.endpoints import Lane, parse_endpoint
from labelferry_protocol.events import StageProgress
from labelferry_protocol.topics import topic_of
from labelferry_protocol.work import ProgressFrame
from labelferry_transport.sockets import connect, new_context

pytestmark = pytest.mark.processes
OPTIONS = ExportOptions(formats=("coco",), metrics=())
Build = Callable[..., Service]


def tell(service: Service, name: str, text: str = "") -> None:
    assert service.world is not None
    service.world.tell(name, text)


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def strange_peers(service: Service, *wanted: tuple[int, Lane]) -> Iterator[list[zmq.Socket[bytes]]]:
    """Sockets of these kinds at these lanes, each connected."""
    place = parse_endpoint(service.endpoint)
    with new_context() as context, ExitStack() as closing:
        made = [connect(context, kind, place.lane(lane)) for kind, lane in wanted]
        for each in made:
            closing.callback(each.close, linger=0)
        yield made


def test_row_32_garbage_on_every_lane_while_a_job_runs_harms_nobody(build: Build, small: Path) -> None:
    service = build("worker")
    tell(service, "child", "linger")
    chance = random.Random(32)
    lanes = [(zmq.DEALER, lane) for lane in (Lane.REQUESTS, Lane.WORK, Lane.DEPOT)]
    lanes += [(zmq.PUB, Lane.PROGRESS), (zmq.XSUB, Lane.EVENTS), (zmq.XSUB, Lane.CONTROL)]
    with Client(service.endpoint) as client, strange_peers(service, *lanes) as peers:
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        before = follow_to(events)
        await_fault(service)
        for _ in range(3000):
            peer = chance.choice(peers)
            peer.setsockopt(zmq.SNDTIMEO, 5000)
            peer.send_multipart(garbage(chance))
            while peer.type == zmq.DEALER and peer.poll(0):
                peer.recv_multipart()
        tell(service, "go")
        after = list(events)
        assert isinstance(after[-1], Completed)
        check_order(before + after)
        check_promises(service, job, after[-1])
        assert attempts_of(service, job) == [(1, "finished")]


def test_row_44_frames_of_progress_from_anybody_as_fast_as_they_can_be_sent_hold_up_nobody(
    build: Build, small: Path
) -> None:
    service = build("worker")
    tell(service, "child", "linger")
    with Client(service.endpoint) as client, strange_peers(service, (zmq.PUB, Lane.PROGRESS)) as (loud,):
        job = client.submit(small, OPTIONS).job_id
        events = client.events(job)
        before = follow_to(events)
        await_fault(service)
        broker = service.processes["broker"].pid
        resident = resident_bytes(broker)
        frame = ProgressFrame(
            worker_id="ab" * 16,
            job_id=job,
            attempt=1,
            progress=77.0,
            stage=Stage.IMAGES,
            message="I am not the worker",
            stage_progress=StageProgress(current=1, total=2),
        )
        parts = [topic_of(job), codec.pack(frame)]
        for number in range(100_000):
            loud.send_multipart(parts)
            if number % 20_000 == 0:
                assert client.status(job).state is State.RUNNING
        assert resident_bytes(broker) - resident < 40_000_000
        tell(service, "go")
        after = list(events)
        assert isinstance(after[-1], Completed)
        assert not [each for each in before + after if isinstance(each, Progress) and "not the worker" in each.message]
        check_order(before + after)
        check_promises(service, job, after[-1])


def test_row_30_whoever_subscribes_to_everything_hears_nothing_and_disturbs_nobody(build: Build, small: Path) -> None:
    service = build("worker")
    chance = random.Random(30)
    with Client(service.endpoint) as client, strange_peers(service, (zmq.SUB, Lane.EVENTS)) as (greedy,):
        job = client.submit(small, OPTIONS).job_id
        for topic in (b"", job[:8].encode(), job.encode(), *(chance.randbytes(33) for _ in range(3_000))):
            greedy.subscribe(topic)
        told = list(client.events(job))
        assert isinstance(told[-1], Completed)
        check_order(told)
        check_promises(service, job, told[-1])
        assert not greedy.poll(0)


def test_row_36_a_job_that_takes_many_times_its_lease_is_run_once(build: Build, small: Path) -> None:
    service = build("worker", lease_seconds=1.0, renew_seconds=0.2)
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        job = client.submit(small, OPTIONS).job_id
        service.start("another")
        await_fault(service)
        time.sleep(5.0)  # the fault itself: five leases
        tell(service, "go")
        told = list(client.events(job))
        assert isinstance(told[-1], Completed)
        check_order(told)
        check_promises(service, job, told[-1])
        assert attempts_of(service, job) == [(1, "finished")]


def test_row_37_a_flood_of_submits_is_refused_with_when_to_come_back_and_what_was_taken_is_done(
    build: Build, small: Path
) -> None:
    service = build("worker", queued_per_user=8, quota_retry_seconds=0.5)
    tell(service, "child", "linger")
    with Client(service.endpoint) as client:
        first = client.submit(small, OPTIONS).job_id
        await_fault(service)
        taken: list[str] = []
        refusals: list[Refusal] = []

        def flood() -> None:
            with Client(service.endpoint) as other:
                for _ in range(20):
                    try:
                        taken.append(other.submit(small, OPTIONS).job_id)
                    except Refusal as refusal:
                        refusals.append(refusal)

        threads = [threading.Thread(target=flood) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(taken) == 8
        assert {(each.code, each.retry_after) for each in refusals} == {(Code.QUOTA, 0.5)}
        assert client.status(first).state is State.RUNNING, "it goes on through the flood"
        tell(service, "go")
        for job in (first, *taken):
            *_, last = client.events(job)
            assert isinstance(last, Completed)
            check_promises(service, job, last)
        wait_until(lambda: client.submit(small, OPTIONS).job_id, "a place for another job")
