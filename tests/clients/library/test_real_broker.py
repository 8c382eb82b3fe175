"""Both clients against the real broker and a real worker, as processes: that the pretended one of the other tests does not lie."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
import zmq
from PIL import Image
from tests.support.descriptors import few_descriptors

from labelferry import (
    AsyncClient,
    Cancelled,
    Client,
    Code,
    Completed,
    JobEvent,
    Progress,
    Refusal,
    Started,
    State,
    Unreachable,
)
from labelferry.embedded.leftovers import REASON, Leftovers
from labelferry_protocol.words import Phase, Role
from labelferry_transport.keys import load_key, make_broker_key, make_peer_key

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.processes


@dataclass
class Service:
    """A broker's process, and workers when they are wanted."""

    endpoint: str
    folder: Path
    processes: list[subprocess.Popen[str]]

    def begin_broker(self, *options: str) -> subprocess.Popen[str]:
        state = str(self.folder / "state")
        return self._begin("labelferry_broker", "--listen", self.endpoint, "--state", state, *options)

    def begin_worker(self) -> subprocess.Popen[str]:
        staging = str(self.folder / "staging")
        return self._begin("labelferry_workers", "--broker", self.endpoint, "--staging", staging)

    def end(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def _begin(self, module: str, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", module, *options, "--log-level", "error"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        return process


@pytest.fixture
def service() -> Iterator[Service]:
    """A broker that runs, without a worker."""
    folder = Path(tempfile.mkdtemp(prefix="lfr-", dir="/tmp"))
    (folder / "s").mkdir(mode=0o700)
    made = Service(f"ipc://{folder}/s", folder, [])
    try:
        made.begin_broker()
        yield made
    finally:
        made.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small COCO folder: twenty images of noise with a box each."""
    folder = tmp_path / "project"
    (folder / "images").mkdir(parents=True)
    chance = Random(1)
    images, annotations = [], []
    for number in range(1, 21):
        name = f"image_{number:02d}.png"
        Image.frombytes("L", (64, 48), chance.randbytes(64 * 48)).save(folder / "images" / name)
        images.append({"id": number, "file_name": name, "width": 64, "height": 48})
        outline = [5, 5, 30, 5, 30, 25, 5, 25]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "segmentation": [outline], "bbox": [5, 5, 25, 20],
             "area": 500, "iscrowd": 0}
        )  # fmt: skip
    coco = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
    (folder / "instances.json").write_text(json.dumps(coco))
    return folder


def strict(events: list[JobEvent]) -> bool:
    order = [event.seq for event in events]
    return order == sorted(set(order))


def test_a_queued_job_is_watched_and_cancelled_by_two_clients_alike(service: Service) -> None:
    with Client(service.endpoint) as one, Client(service.endpoint) as two:
        job_id = one.submit("/data/nuclei").job_id
        assert two.status(job_id).state is State.QUEUED
        stream = two.events(job_id)
        outcome = one.cancel(job_id)
        assert isinstance(outcome, Cancelled)
        assert list(stream)[-1] == outcome == two.cancel(job_id)
        assert list(one.events(job_id))[-1] == outcome


def test_an_export_brings_a_bundle_and_a_second_download_the_same(
    service: Service, project: Path, tmp_path: Path
) -> None:
    service.begin_worker()
    with Client(service.endpoint) as client:
        run = client.export(project, tmp_path / "out.zip")
        events = list(run)
        assert strict(events)
        assert isinstance(events[0], Started)
        assert isinstance(events[-1], Completed)
        assert {event.phase for event in events if isinstance(event, Progress)} == set(Phase)
        with zipfile.ZipFile(tmp_path / "out.zip") as bundle:
            assert bundle.testzip() is None
            assert "manifest.json" in bundle.namelist()
        assert run.job_id is not None
        list(client.download(run.job_id, tmp_path / "again.zip"))
        assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "out.zip").read_bytes()
        assert [job.downloads for job in client.history().jobs] == [2]
        assert len(client.transfers(run.job_id).transfers) == 2


def test_an_asyncio_export_is_the_same_stream(service: Service, project: Path, tmp_path: Path) -> None:
    service.begin_worker()

    async def main() -> list[JobEvent]:
        async with AsyncClient(service.endpoint) as client:
            return [event async for event in client.export(project, tmp_path / "out.zip")]

    events = asyncio.run(main())
    assert strict(events)
    assert isinstance(events[-1], Completed)


def test_a_broker_that_is_killed_and_started_again_is_found_again(service: Service, project: Path) -> None:
    with Client(service.endpoint, patience=30.0) as client:
        job_id = client.submit(project).job_id
        stream = client.events(job_id)
        assert client.status(job_id).state is State.QUEUED
        service.processes[0].kill()
        service.processes[0].wait()
        service.begin_broker()
        service.begin_worker()
        events = list(stream)
        assert strict(events)
        assert isinstance(events[-1], Completed)


def test_without_a_descriptor_for_the_push_channel_a_job_is_polled_and_seen_to_its_end(
    service: Service, project: Path
) -> None:
    service.begin_worker()
    with Client(service.endpoint) as client:
        job_id = client.submit(project).job_id
        with few_descriptors(os.getpid(), 0):
            events = list(client.events(job_id))
        assert isinstance(events[-1], Completed)
        assert list(client.events(job_id))[-1] == events[-1]


def test_an_asyncio_subscriber_without_a_descriptor_does_the_same_and_downloads_when_it_has_some(
    service: Service, project: Path, tmp_path: Path
) -> None:
    service.begin_worker()

    async def main() -> JobEvent:
        async with AsyncClient(service.endpoint) as client:
            job_id = (await client.submit(project)).job_id
            with few_descriptors(os.getpid(), 0):
                *_, last = [event async for event in client.events(job_id)]
                with pytest.raises(Refusal, match="Too many open files"):
                    _ = [event async for event in client.download(job_id, tmp_path / "out.zip")]
            assert list(tmp_path.glob("out*")) == []
            _ = [event async for event in client.download(job_id, tmp_path / "out.zip")]
            return last

    assert isinstance(asyncio.run(main()), Completed)
    with zipfile.ZipFile(tmp_path / "out.zip") as bundle:
        assert bundle.testzip() is None


def test_a_job_that_is_not_there_is_refused(service: Service, tmp_path: Path) -> None:
    with Client(service.endpoint) as client:
        for ask in (client.status, client.cancel, lambda job: next(client.events(job)), client.transfers):
            with pytest.raises(Refusal) as caught:
                ask("f" * 32)
            assert caught.value.code is Code.NO_SUCH_JOB
        with pytest.raises(Refusal):
            list(client.download("f" * 32, tmp_path / "out.zip"))
        assert list(tmp_path.iterdir()) == []


def test_over_tcp_with_keys_an_owner_is_served_and_a_stranger_is_told_what_silence_may_mean(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    make_broker_key(keys)
    alice = make_peer_key(keys, Role.USER, "alice", tmp_path / "alice.key")
    bob = make_peer_key(keys, Role.USER, "bob", tmp_path / "bob.key")
    make_broker_key(tmp_path / "others")
    stranger = make_peer_key(tmp_path / "others", Role.USER, "eve", tmp_path / "eve.key")
    assert load_key(alice).broker_public != load_key(stranger).broker_public
    with zmq.Context() as context, context.socket(zmq.PAIR) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1", min_port=20000, max_port=60000)
    service = Service(f"tcp://127.0.0.1:{port}", tmp_path, [])
    try:
        service.begin_broker("--keys", str(keys))
        with Client(service.endpoint, key=alice) as client:
            job_id = client.submit("/data/nuclei").job_id
            assert client.status(job_id).owner == "alice"
        with Client(service.endpoint, key=bob) as client:
            with pytest.raises(Refusal, match=job_id) as caught:
                next(client.events(job_id))
            assert caught.value.code is Code.NO_SUCH_JOB
            with pytest.raises(Refusal):
                client.cancel(job_id)
        with (
            Client(service.endpoint, key=stranger, timeout=0.5) as client,
            pytest.raises(
                Unreachable, match=r"does it know the key .*eve\.key, and is that key file of this broker's making"
            ),
        ):
            client.overview()
        with Client(service.endpoint, timeout=0.5) as client, pytest.raises(Unreachable, match="without keys"):
            client.overview()
        with Client(service.endpoint, key=alice) as client:
            assert isinstance(client.cancel(job_id), Cancelled)
    finally:
        service.end()


def test_everything_that_nobody_waits_for_is_cancelled_and_what_has_ended_is_not(
    service: Service, project: Path
) -> None:
    leftovers = Leftovers(service.endpoint)
    assert leftovers.cancel(confirmed=True), "there is nothing yet"
    with Client(service.endpoint) as client:
        first = client.submit(project).job_id
        assert isinstance(client.cancel(first), Cancelled)
        made = [client.submit(project).job_id for _ in range(60)]
        assert leftovers.cancel(confirmed=True)
        assert [client.status(job_id).state for job_id in made] == [State.CANCELLED] * 60
        ended = client.status(made[0]).terminal
        assert isinstance(ended, Cancelled)
        assert (ended.message, ended.cleanup_completed) == (REASON, True)
        own = client.status(first).terminal
        assert isinstance(own, Cancelled)
        assert own.message == ""


def test_what_a_worker_that_does_not_answer_has_is_cancelled_and_waited_for_once_at_most(
    service: Service, project: Path
) -> None:
    worker = service.begin_worker()
    worker.send_signal(signal.SIGSTOP)
    with Client(service.endpoint) as client:
        job_id = client.submit(project).job_id
        assert client.status(job_id).state is State.RUNNING
        leftovers = Leftovers(service.endpoint)
        assert not leftovers.cancel(confirmed=False)
        assert client.status(job_id).state is State.CANCELLING
        assert not leftovers.cancel(confirmed=True), "it is cancelled already: that is all that can be done"
        worker.send_signal(signal.SIGCONT)
        (*_, last) = client.events(job_id)
    assert isinstance(last, Cancelled)
    assert last.cleanup_completed
