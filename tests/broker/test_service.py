"""The broker's process as raw peers see it, in the wire format, over unix sockets and over tcp with keys."""

import hashlib
import os
import random
import resource
import shutil
import signal
import socket as os_socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeVar

import msgpack
import pytest
import zmq
from tests.support.garbage import garbage
from tests.support.ports import reserved_base_port

from labelferry_protocol import codec, limits
from labelferry_protocol.depot import BundleStored, Chunk, DepotSays, OfferBundle, RequestChunk
from labelferry_protocol.endpoints import Lane, parse_endpoint, reached
from labelferry_protocol.errors import Code
from labelferry_protocol.events import (
    Beat,
    Cancelled,
    Completed,
    EventsLane,
    ExportCounts,
    Progress,
    Snapshot,
    StageProgress,
    Started,
)
from labelferry_protocol.message import Message
from labelferry_protocol.options import Source
from labelferry_protocol.requests import (
    BrokerAnswers,
    Cancel,
    CancelAccepted,
    CancelSettled,
    DownloadOpened,
    GetHistory,
    GetOverview,
    GetSnapshot,
    Hello,
    History,
    OpenDownload,
    Overview,
    Refused,
    Submit,
    Submitted,
    Welcome,
)
from labelferry_protocol.topics import BEAT, topic_of
from labelferry_protocol.words import Role, Stage, State
from labelferry_protocol.work import (
    Acknowledged,
    AttemptCancelled,
    AttemptFinished,
    AttemptStarted,
    BrokerTellsWorker,
    CancelOrder,
    ControlLane,
    Holding,
    Lease,
    ProgressFrame,
    PublishGranted,
    Register,
    Registered,
    RequestPublish,
)
from labelferry_transport.keys import load_key
from labelferry_transport.sockets import ClientKeys, connect, new_context

PATIENCE_MS = 10_000
M = TypeVar("M", bound=Message)

pytestmark = pytest.mark.processes


class Process:
    """A broker's process and the peers that a test connects to it."""

    def __init__(
        self,
        listen: str,
        state: Path,
        keys: Path | None = None,
        *,
        until_eof: bool = False,
        options: tuple[str, ...] = (),
    ) -> None:
        self.endpoint = parse_endpoint(listen)
        self.keys = keys
        self.state = state
        self.command = [sys.executable, "-m", "labelferry_broker", "--listen", listen, "--state", str(state)]
        self.command += ["--log-level", "error", *options]
        self.command += (["--keys", str(keys)] if keys else []) + (["--until-eof"] if until_eof else [])
        self.context = new_context()
        self.sockets: list[zmq.Socket[bytes]] = []
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"ready {self.endpoint}\n"

    def end(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        code = self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.end()
        for socket in self.sockets:
            socket.close(linger=0)
        self.context.destroy(linger=0)

    def socket(self, kind: int, lane: Lane, name: str = "") -> zmq.Socket[bytes]:
        keys = load_key(self.keys.parent / f"{name}.key").as_client() if self.keys else None
        self.sockets.append(connect(self.context, kind, self.endpoint.lane(lane), keys, reconnect_ms=10))
        return self.sockets[-1]

    def client(self, name: str = "") -> "Client":
        return Client(self, name)

    def worker(self, name: str = "", worker_id: str = "0a" * 16) -> "Worker":
        return Worker(self, name, worker_id)

    def alive(self) -> bool:
        return self.process.poll() is None and isinstance(self.client("alice").ask(GetOverview()), Overview)


class Client:
    """A raw requests connection, and subscriptions."""

    def __init__(self, broker: Process, name: str) -> None:
        self.broker = broker
        self.name = name
        self.requests = broker.socket(zmq.DEALER, Lane.REQUESTS, name)

    def ask(self, message: Message, ref: str = "1") -> Message:
        self.requests.send_multipart(codec.frames(message, ref))
        return self.answer(ref)

    def answer(self, ref: str) -> Message:
        assert self.requests.poll(PATIENCE_MS), "no answer"
        said, message = codec.parse(self.requests.recv_multipart(), BrokerAnswers)
        assert said == ref
        result: Message = message
        return result

    def submit(self, key: str = "k") -> str:
        submitted = self.ask(Submit(idempotency_key=key, source=Source(location="/tmp/project")))
        assert isinstance(submitted, Submitted), submitted
        return submitted.job_id

    def watch(self, *topics: bytes) -> "Watcher":
        return Watcher(self.broker, self.name, topics)


class Watcher:
    """A raw events subscription."""

    def __init__(self, broker: Process, name: str, topics: tuple[bytes, ...]) -> None:
        self.socket = broker.socket(zmq.SUB, Lane.EVENTS, name)
        for topic in topics:
            self.socket.setsockopt(zmq.SUBSCRIBE, topic)

    def hear(self) -> Message:
        assert self.socket.poll(PATIENCE_MS), "nothing heard"
        message: Message = codec.unpack(self.socket.recv_multipart()[1], EventsLane)
        return message

    def until(self, kind: type[M]) -> M:
        while not isinstance(message := self.hear(), kind):
            pass
        return message

    def quiet(self, patience_ms: int = 300) -> bool:
        return not self.socket.poll(patience_ms)


class Worker:
    """A raw worker: work, progress, control."""

    def __init__(self, broker: Process, name: str, worker_id: str) -> None:
        self.worker_id = worker_id
        self.broker = broker
        self.name = name
        self.work = broker.socket(zmq.DEALER, Lane.WORK, name)
        self.progress = broker.socket(zmq.PUB, Lane.PROGRESS, name)
        self.control = broker.socket(zmq.SUB, Lane.CONTROL, name)

    def say(self, message: Message, ref: str = "w") -> None:
        self.work.send_multipart(codec.frames(message, ref))

    def hear(self, kind: type[M]) -> M:
        while True:
            assert self.work.poll(PATIENCE_MS), f"no {kind.__name__} heard"
            message = codec.parse(self.work.recv_multipart(), BrokerTellsWorker)[1]
            if isinstance(message, kind):
                return message

    def register(self) -> Registered:
        self.say(Register(worker_id=self.worker_id, host="here", slots=1))
        return self.hear(Registered)

    def begin(self) -> Lease:
        lease = self.hear(Lease)
        self.say(AttemptStarted(worker_id=self.worker_id, job_id=lease.job_id, attempt=lease.attempt))
        self.hear(Acknowledged)
        return lease

    def show(self, lease: Lease, progress: float) -> None:
        frame = ProgressFrame(
            worker_id=self.worker_id,
            job_id=lease.job_id,
            attempt=lease.attempt,
            progress=progress,
            stage=Stage.IMAGES,
            message="Copying images (5/50): image_001.jpg",
            stage_progress=StageProgress(current=5, total=50),
        )
        self.progress.send_multipart([topic_of(lease.job_id), codec.pack(frame)])

    def publish(self, lease: Lease, data: bytes) -> BundleStored:
        digest = hashlib.sha256(data).hexdigest()
        self.say(
            RequestPublish(
                worker_id=self.worker_id,
                job_id=lease.job_id,
                attempt=lease.attempt,
                size=len(data),
                sha256=digest,
            )
        )
        granted = self.hear(PublishGranted)
        depot = self.broker.socket(zmq.DEALER, Lane.DEPOT, self.name)
        depot.send_multipart(codec.frames(OfferBundle(token=granted.token)))
        while True:
            assert depot.poll(PATIENCE_MS), "the depot does not answer"
            message = codec.parse(depot.recv_multipart()[:2], DepotSays)[1]
            if isinstance(message, BundleStored):
                return message
            assert isinstance(message, RequestChunk), message
            piece = data[message.offset : message.offset + message.length]
            depot.send_multipart(codec.frames(Chunk(job_id=lease.job_id, offset=message.offset), "", piece))

    def finish(self, lease: Lease, data: bytes) -> None:
        stored = self.publish(lease, data)
        self.say(
            AttemptFinished(
                worker_id=self.worker_id,
                job_id=lease.job_id,
                attempt=lease.attempt,
                receipt=stored.receipt,
                counts=ExportCounts(images=1),
            )
        )
        self.hear(Acknowledged)


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Process] = []
    places: list[Path] = []

    def make(keys: Path | None = None, *, until_eof: bool = False) -> Process:
        places.append(Path(tempfile.mkdtemp(prefix="lfb-", dir="/tmp")))
        made.append(Process(f"ipc://{places[-1]}", tmp_path / "state", keys, until_eof=until_eof))
        return made[-1]

    yield make
    for broker in made:
        broker.close()
    for place in places:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def broker(start: Start) -> Process:
    return start()


@pytest.fixture
def port() -> Iterator[int]:
    """A base port that is free with those of all lanes, and stays so."""
    with reserved_base_port() as found:
        yield found


def read_metrics(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200
    text = answer.read().decode()
    connection.close()
    return text


def run_to_end(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labelferry_broker", *arguments, "--log-level", "error"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_hello_is_welcomed_with_every_lane(broker: Process) -> None:
    welcome = broker.client().ask(Hello(minimum_version=1, maximum_version=9))
    assert isinstance(welcome, Welcome)
    assert (welcome.version, welcome.user, welcome.role) == (1, "local", Role.ADMIN)
    assert set(welcome.endpoints) == set(Lane)
    assert reached(welcome.endpoints[Lane.DEPOT], broker.endpoint) == broker.endpoint.lane(Lane.DEPOT)


def test_a_hello_of_another_time_is_refused_with_what_to_do(broker: Process) -> None:
    refused = broker.client().ask(Hello(minimum_version=7, maximum_version=9))
    assert isinstance(refused, Refused)
    assert refused.code is Code.PROTOCOL
    assert "update" in refused.message


def test_a_job_goes_its_whole_way(broker: Process) -> None:
    client, worker = broker.client(), broker.worker()
    job_id = client.submit()
    watcher = client.watch(topic_of(job_id))
    first = watcher.hear()
    assert isinstance(first, Snapshot)
    assert first.state is State.QUEUED
    worker.register()
    lease = worker.begin()
    assert (lease.job_id, lease.attempt) == (job_id, 1)
    assert isinstance(watcher.hear(), Started)
    worker.show(lease, 12.0)
    assert watcher.until(Progress).progress == 12.0
    worker.finish(lease, b"bundle" * 1000)
    completed = watcher.until(Completed)
    assert completed.bundle.size == 6000
    history = client.ask(GetHistory())
    assert isinstance(history, History)
    assert [job.state for job in history.jobs] == [State.COMPLETED]
    assert history.jobs[0].available


def test_a_service_manager_is_told_that_the_broker_is_ready_alive_and_stopping(short_dir: Path, tmp_path: Path) -> None:
    with os_socket.socket(os_socket.AF_UNIX, os_socket.SOCK_DGRAM) as manager:
        manager.bind(str(short_dir / "notify"))
        manager.settimeout(PATIENCE_MS / 1000)
        environment = {**os.environ, "NOTIFY_SOCKET": str(short_dir / "notify"), "WATCHDOG_USEC": "300000"}
        command = [sys.executable, "-m", "labelferry_broker", "--listen", f"ipc://{short_dir}/s", "--state"]
        process = subprocess.Popen([*command, str(tmp_path / "s"), "--log-level", "error"], env=environment)
        words: list[str] = []
        while words.count("WATCHDOG=1") < 3 or "READY=1" not in words:
            words.append(manager.recv(100).decode())
        process.send_signal(signal.SIGTERM)
        while words[-1] != "STOPPING=1":
            words.append(manager.recv(100).decode())
        assert process.wait(10) == 0


def test_the_numbers_are_served_where_they_are_asked_for(short_dir: Path, tmp_path: Path, port: int) -> None:
    broker = Process(f"ipc://{short_dir}", tmp_path / "state", options=("--metrics-port", str(port)))
    try:
        client, worker = broker.client(), broker.worker()
        client.submit("1")
        worker.register()
        lease = worker.begin()
        client.submit("2")
        watcher = client.watch(topic_of(lease.job_id))
        watcher.until(Snapshot)
        worker.show(lease, 12.0)
        watcher.until(Progress)
        client.ask(Cancel(job_id=lease.job_id))
        worker.say(AttemptCancelled(worker_id="0a" * 16, job_id=lease.job_id, attempt=1, cleanup_completed=True))
        watcher.until(Cancelled)
        wanted = {
            'labelferry_jobs{state="running"} 1',
            'labelferry_jobs{state="queued"} 0',
            'labelferry_jobs_ended_total{state="cancelled"} 1',
            "labelferry_workers 1",
            "labelferry_slots_busy 1",
            "labelferry_progress_frames_total 1",
            "labelferry_cancel_latency_seconds_count 1",
            "labelferry_subscriptions 1",
            "labelferry_bundle_bytes 0",
        }
        deadline = time.monotonic() + 10
        while missing := wanted - set(read_metrics(port).splitlines()):
            assert time.monotonic() < deadline, missing
            time.sleep(0.05)
    finally:
        broker.close()


def test_a_slow_reader_of_the_numbers_delays_no_end(short_dir: Path, tmp_path: Path, port: int) -> None:
    broker = Process(f"ipc://{short_dir}", tmp_path / "state", options=("--metrics-port", str(port)))
    with os_socket.create_connection(("127.0.0.1", port)) as reader:
        reader.sendall(b"GET /met")
        began = time.monotonic()
        assert broker.end() == 0
        assert time.monotonic() - began < 5
    broker.close()


def test_a_port_for_the_numbers_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with os_socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run_to_end(["--listen", f"ipc://{tmp_path}/s", "--state", str(tmp_path / "st"), "--metrics-port", port])
    assert ended.returncode == 1
    assert "--metrics-port" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_retention_takes_what_is_too_old_and_the_history_says_so(start: Start) -> None:
    broker = start()
    client, worker = broker.client(), broker.worker()
    job_id = client.submit()
    worker.register()
    worker.finish(worker.begin(), b"bundle" * 1000)
    (bundle,) = (broker.state / "bundles").iterdir()
    assert broker.end() == 0
    with closing(sqlite3.connect(broker.state / "ledger.sqlite3")) as file, file:
        file.execute("UPDATE jobs SET finished_at = finished_at - 31 * 86400")
    broker.start()
    client = broker.client()
    deadline = time.monotonic() + 30
    while bundle.exists():
        assert time.monotonic() < deadline, "retention took nothing"
        time.sleep(0.05)
    history = client.ask(GetHistory())
    assert isinstance(history, History)
    assert [(job.job_id, job.available) for job in history.jobs] == [(job_id, False)]
    refused = client.ask(OpenDownload(job_id=job_id))
    assert isinstance(refused, Refused)
    assert refused.code is Code.GONE


def test_a_submit_said_twice_is_one_job(broker: Process) -> None:
    assert broker.client().submit("same") == broker.client().submit("same")


def test_whoever_subscribes_late_hears_the_snapshot_first(broker: Process) -> None:
    client, worker = broker.client(), broker.worker()
    job_id = client.submit()
    worker.register()
    lease = worker.begin()
    worker.finish(lease, b"x")
    snapshot = client.watch(topic_of(job_id)).hear()
    assert isinstance(snapshot, Snapshot)
    assert isinstance(snapshot.terminal, Completed)


def test_a_subscription_to_no_job_takes_no_event_from_others(broker: Process) -> None:
    client, worker = broker.client(), broker.worker()
    job_id = client.submit()
    watcher = client.watch(topic_of(job_id))
    assert isinstance(watcher.hear(), Snapshot)
    strangers = [client.watch(topic) for topic in (b"", job_id[:8].encode(), topic_of("f" * 32))]
    beats = [client.watch(BEAT) for _ in range(2)]
    assert all(isinstance(each.hear(), Beat) for each in beats)
    worker.register()
    worker.begin()
    assert isinstance(watcher.hear(), Started)
    assert all(stranger.quiet(100) for stranger in strangers)


def test_beats_come_by_themselves(broker: Process) -> None:
    watcher = broker.client().watch(BEAT)
    first, second = watcher.hear(), watcher.hear()
    assert isinstance(first, Beat)
    assert isinstance(second, Beat)
    assert first.epoch == second.epoch


def test_a_queued_job_is_cancelled_at_once(broker: Process) -> None:
    client = broker.client()
    job_id = client.submit()
    assert isinstance(client.ask(Cancel(job_id=job_id), "c"), CancelAccepted | CancelSettled)
    watcher = client.watch(topic_of(job_id))
    snapshot = watcher.hear()
    assert isinstance(snapshot, Snapshot)
    assert isinstance(snapshot.terminal, Cancelled)
    assert snapshot.terminal.cleanup_completed


def test_a_running_job_is_cancelled_when_its_worker_confirms(broker: Process) -> None:
    client, worker = broker.client(), broker.worker()
    job_id = client.submit()
    worker.register()
    lease = worker.begin()
    worker.control.setsockopt(zmq.SUBSCRIBE, topic_of(job_id))
    assert isinstance(client.ask(Cancel(job_id=job_id), "c"), CancelAccepted)
    assert worker.control.poll(PATIENCE_MS)
    order = codec.unpack(worker.control.recv_multipart()[1], ControlLane)
    assert isinstance(order, CancelOrder)
    assert (order.job_id, order.attempt) == (job_id, 1)
    worker.say(
        AttemptCancelled(worker_id=worker.worker_id, job_id=job_id, attempt=lease.attempt, cleanup_completed=True)
    )
    worker.hear(Acknowledged)
    settled = client.answer("c")
    assert isinstance(settled, CancelSettled)
    assert isinstance(settled.outcome, Cancelled)


def test_the_job_of_a_worker_that_dies_runs_again_soon(broker: Process) -> None:
    client, first = broker.client(), broker.worker()
    client.submit()
    first.register()
    lease = first.begin()
    began = time.monotonic()
    first.work.close(linger=0)
    second = broker.worker(worker_id="0b" * 16)
    second.register()
    again = second.hear(Lease)
    assert (again.job_id, again.attempt) == (lease.job_id, 2)
    assert time.monotonic() - began < limits.LEASE_SECONDS / 2


def test_a_worker_whose_word_is_not_known_is_asked_to_register(broker: Process) -> None:
    worker = broker.worker()
    worker.say(AttemptStarted(worker_id=worker.worker_id, job_id="ab" * 16, attempt=1))
    refused = worker.hear(Refused)
    assert refused.code is Code.REGISTER


def test_a_broker_that_is_killed_forgets_nothing_it_said(broker: Process) -> None:
    client, worker = broker.client(), broker.worker()
    job_id = client.submit()
    worker.register()
    lease = worker.begin()
    epoch = _epoch(client)
    broker.end(signal.SIGKILL)
    broker.start()
    again = broker.client()
    assert _epoch(again) > epoch
    assert again.submit() == job_id
    snapshot = again.ask(GetSnapshot(job_id=job_id))
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.state, snapshot.attempt) == (State.RUNNING, 1)
    worker.say(Register(worker_id=worker.worker_id, host="here", slots=1, holding=_held(lease)))
    assert worker.hear(Registered).abandon == ()
    worker.finish(lease, b"x")
    assert isinstance(again.watch(topic_of(job_id)).hear(), Snapshot)


def test_a_broker_that_cannot_write_tells_nobody_and_goes_on_when_it_can(broker: Process) -> None:
    client, worker = broker.client(), broker.worker()
    worker.register()
    epoch = _epoch(client)
    # No file of this process may grow, which a write meets as it meets a full disk.
    resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    submit = Submit(idempotency_key="k", source=Source(location="/tmp/project"))
    client.requests.send_multipart(codec.frames(submit, "1"))
    assert not client.requests.poll(1500)
    told = client.ask(submit)
    assert isinstance(told, Refused)
    assert told.code is Code.STORE
    assert "ledger.sqlite3 cannot be" in told.message
    client.requests.send_multipart(codec.frames(Cancel(job_id="ab" * 16), "2"))
    assert not client.requests.poll(200)
    resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = broker.client()
    assert isinstance(again.ask(submit), Submitted)
    assert _epoch(again) > epoch
    overview = again.ask(GetOverview())
    assert isinstance(overview, Overview)
    assert overview.depot_ready
    assert overview.workers == ()
    worker.register()
    assert worker.begin().attempt == 1


def test_a_depot_that_is_killed_is_started_again(broker: Process) -> None:
    client, worker = broker.client(), broker.worker()
    client.submit()
    worker.register()
    lease = worker.begin()
    (depot,) = _children(broker.process.pid)
    os.kill(depot, signal.SIGKILL)
    worker.finish(lease, b"x" * 10_000)


def test_the_end_is_orderly_and_leaves_no_socket(start: Start) -> None:
    broker = start()
    client, worker = broker.client(), broker.worker()
    client.submit()
    worker.register()
    worker.begin()
    children = _children(broker.process.pid)
    began = time.monotonic()
    assert broker.end() == 0
    assert time.monotonic() - began < 2.0
    assert list(Path(broker.endpoint.place).iterdir()) == []
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_an_embedded_broker_ends_with_its_owner_and_not_by_ctrl_c(start: Start) -> None:
    broker = start(until_eof=True)
    broker.process.send_signal(signal.SIGINT)
    assert broker.alive()
    assert broker.process.stdin is not None
    broker.process.stdin.close()
    assert broker.process.wait(5) == 0
    assert broker.process.stdout is not None
    broker.process.stdout.close()


def test_the_depot_dies_with_a_killed_broker(broker: Process) -> None:
    (depot,) = _children(broker.process.pid)
    pidfd = os.pidfd_open(depot)
    broker.end(signal.SIGKILL)
    poller = zmq.Poller()
    poller.register(pidfd, zmq.POLLIN)
    assert poller.poll(5000), "the depot lives on"
    os.close(pidfd)


def test_a_broker_open_to_other_machines_needs_keys(tmp_path: Path) -> None:
    ended = run_to_end(["--listen", "tcp://0.0.0.0:5570", "--state", str(tmp_path / "state")])
    assert ended.returncode == 2
    assert "--keys" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--listen", "http://x"], 2, "endpoint"),
        (["--listen", "tcp://127.0.0.1:99999"], 2, "port"),
        (["--listen", "ipc:///tmp/" + "x" * 120], 2, "too long"),
        (["--listen", "tcp://127.0.0.1:5570", "--keys", "/nonexistent"], 2, "labelferry keys"),
        (["--listen", "tcp://127.0.0.1:5570", "--metrics-port", "99999"], 2, "--metrics-port 99999 is no port"),
        (["--listen", "tcp://127.0.0.1:5570", "--metrics-port", "-1"], 2, "--metrics-port -1 is no port"),
    ],
)
def test_a_wrong_option_is_one_sentence(tmp_path: Path, arguments: list[str], code: int, word: str) -> None:
    ended = run_to_end([*arguments, "--state", str(tmp_path / "state")])
    assert ended.returncode == code
    assert word in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_place_that_is_taken_is_one_sentence(broker: Process, tmp_path: Path, port: int) -> None:
    ended = run_to_end(["--listen", str(broker.endpoint), "--state", str(tmp_path / "other")])
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    ended = run_to_end(["--listen", f"tcp://127.0.0.1:{port}", "--state", str(broker.state)])
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert broker.alive()


def test_garbage_of_every_kind_is_survived(broker: Process) -> None:
    chance = random.Random(11)
    lanes = [broker.socket(zmq.DEALER, lane) for lane in (Lane.REQUESTS, Lane.WORK)]
    lanes += [broker.socket(zmq.PUB, Lane.PROGRESS), broker.socket(zmq.XSUB, Lane.EVENTS)]
    lanes += [broker.socket(zmq.XSUB, Lane.CONTROL)]
    for _ in range(4000):
        socket = chance.choice(lanes)
        socket.send_multipart(garbage(chance))
        while socket.type == zmq.DEALER and socket.poll(0):
            socket.recv_multipart()
    assert broker.alive()


def test_a_message_of_a_thousand_frames_is_refused(broker: Process) -> None:
    client = broker.client()
    client.requests.send_multipart([b"x"] * 1000)
    refused = client.answer("")
    assert isinstance(refused, Refused)
    assert refused.code is Code.MALFORMED


@pytest.mark.parametrize(
    ("header", "body", "code"),
    [
        ({"version": 1, "ref": "1"}, {"kind": "make-coffee"}, Code.UNKNOWN_VERB),
        ({"version": 99, "ref": "1"}, {"kind": "get-overview"}, Code.PROTOCOL),
        ({"version": 1, "ref": "1"}, {"kind": "submit"}, Code.MALFORMED),
        ({"version": 1, "ref": "1"}, {"kind": "get-snapshot", "job_id": "no id"}, Code.MALFORMED),
        ({"version": 1, "ref": "1"}, {}, Code.MALFORMED),
        ({"ref": "1"}, {"kind": "get-overview"}, Code.MALFORMED),
    ],
)
def test_a_wrong_request_is_answered_with_its_code(
    broker: Process, header: dict[str, object], body: dict[str, object], code: Code
) -> None:
    client = broker.client()
    client.requests.send_multipart([msgpack.packb(header), msgpack.packb(body)])
    assert client.requests.poll(PATIENCE_MS)
    message = codec.unpack(client.requests.recv_multipart()[1], BrokerAnswers)
    assert isinstance(message, Refused)
    assert message.code is code


def test_over_tcp_with_keys_each_sees_just_their_own(keys: Path, tmp_path: Path, port: int) -> None:
    broker = Process(f"tcp://127.0.0.1:{port}", tmp_path / "state", keys)
    try:
        alice, bob, root, worker = (
            broker.client("alice"),
            broker.client("bob"),
            broker.client("root"),
            broker.worker("w1"),
        )
        job_id = alice.submit()
        for message in (GetSnapshot(job_id=job_id), Cancel(job_id=job_id)):
            refused = bob.ask(message)
            assert isinstance(refused, Refused)
            assert refused.code is Code.NO_SUCH_JOB
        assert isinstance(root.ask(GetSnapshot(job_id=job_id)), Snapshot)
        watchers = [each.watch(topic_of(job_id)) for each in (alice, root)]
        assert all(isinstance(each.hear(), Snapshot) for each in watchers)
        outside = [bob.watch(topic_of(job_id)), bob.watch(b"")]
        worker.register()
        lease = worker.begin()
        worker.finish(lease, b"x")
        assert all(each.until(Completed) for each in watchers)
        assert all(each.quiet() for each in outside)
    finally:
        broker.close()


def test_over_tcp_somebody_with_very_many_jobs_delays_nobodys_first_one(keys: Path, tmp_path: Path, port: int) -> None:
    broker = Process(f"tcp://127.0.0.1:{port}", tmp_path / "state", keys)
    try:
        alice, bob, worker = broker.client("alice"), broker.client("bob"), broker.worker("w1")
        flood = {alice.submit(str(number)) for number in range(500)}
        wanted = bob.submit()
        worker.register()
        begun = []
        while wanted not in begun:
            lease = worker.begin()
            worker.finish(lease, b"x")
            begun.append(lease.job_id)
        assert len(begun) <= 2, "users take turns"
        assert flood >= set(begun[:-1])
    finally:
        broker.close()


def test_over_tcp_a_stranger_gets_nothing_and_roles_keep_to_their_lanes(keys: Path, tmp_path: Path, port: int) -> None:
    broker = Process(f"tcp://127.0.0.1:{port}", tmp_path / "state", keys)
    try:
        public, secret = zmq.curve_keypair()
        strange = ClientKeys(public, secret, load_key(keys / "broker.key").public.encode())
        for entry in (strange, None):
            socket = connect(broker.context, zmq.DEALER, broker.endpoint.lane(Lane.REQUESTS), entry)
            broker.sockets.append(socket)
            socket.setsockopt(zmq.SNDTIMEO, 200)
            with pytest.raises(zmq.Again):
                socket.send_multipart(codec.frames(GetOverview()))
        refused = broker.client("w1").ask(Submit(idempotency_key="k", source=Source(location="/x")))
        assert isinstance(refused, Refused)
        assert refused.code is Code.ACCESS
        assert isinstance(broker.client("w1").ask(Hello(minimum_version=1, maximum_version=1)), Welcome)
        worker = broker.worker("alice")
        worker.work.setsockopt(zmq.SNDTIMEO, 200)
        with pytest.raises(zmq.Again):
            worker.say(Register(worker_id=worker.worker_id, host="here", slots=1))
    finally:
        broker.close()


def test_a_key_taken_back_ends_a_running_subscription(keys: Path, tmp_path: Path, port: int) -> None:
    broker = Process(f"tcp://127.0.0.1:{port}", tmp_path / "state", keys)
    try:
        alice, root = broker.client("alice").watch(BEAT), broker.client("root").watch(BEAT)
        assert isinstance(alice.hear(), Beat)
        monitor = alice.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        (keys / "authorized" / "user-alice.pub").unlink()
        assert monitor.poll(5000)
        alice.socket.disable_monitor()
        monitor.close(linger=0)
        while not alice.quiet(0):
            alice.hear()
        assert isinstance(root.hear(), Beat)
        assert isinstance(root.hear(), Beat)
        assert isinstance(root.hear(), Beat)
        assert alice.quiet(0)
    finally:
        broker.close()


def test_a_flood_of_subscriptions_costs_nobody_else(keys: Path, tmp_path: Path, port: int) -> None:
    broker = Process(f"tcp://127.0.0.1:{port}", tmp_path / "state", keys)
    try:
        chance = random.Random(5)
        beats = broker.client("alice").watch(BEAT)
        beats.hear()
        before = _resident_bytes(broker.process.pid)
        for length in (33, 236):
            flood = broker.client("bob").watch(*(chance.randbytes(length) for _ in range(20_000)))
            assert isinstance(beats.hear(), Beat)
            assert isinstance(beats.hear(), Beat)
            flood.socket.close(linger=0)
        assert _resident_bytes(broker.process.pid) - before < 40_000_000
    finally:
        broker.close()


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _epoch(client: Client) -> int:
    overview = client.ask(GetOverview())
    assert isinstance(overview, Overview)
    return overview.epoch


def _held(lease: Lease) -> tuple[Holding, ...]:
    return (Holding(job_id=lease.job_id, attempt=lease.attempt),)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    ("damage", "word"),
    [("UPDATE jobs SET state = 'asleep'", "asleep"), ("UPDATE meta SET value = -3 WHERE name = 'schema'", "schema")],
)
def test_a_ledger_whose_rows_are_damaged_is_one_sentence(start: Start, damage: str, word: str) -> None:
    broker = start()
    broker.client().submit()
    broker.end()
    with closing(sqlite3.connect(broker.state / "ledger.sqlite3")) as ledger, ledger:
        ledger.execute(damage)
    ended = run_to_end(["--listen", str(broker.endpoint), "--state", str(broker.state)])
    assert ended.returncode == 1
    assert "put a copy of it back" in ended.stderr
    assert word in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_broker_whose_state_was_taken_away_ends_with_one_sentence_and_takes_no_job(
    capfd: pytest.CaptureFixture[str], start: Start
) -> None:
    broker = start()
    client = broker.client()
    client.ask(GetOverview())
    shutil.rmtree(broker.state)
    submit = Submit(idempotency_key="k", source=Source(location="/tmp/project"))
    client.requests.send_multipart(codec.frames(submit, "1"))
    broker.process.wait(10)
    assert broker.end() == 1
    assert not client.requests.poll(0)
    (sentence,) = capfd.readouterr().err.splitlines()
    assert f"{broker.state / 'ledger.sqlite3'} was moved away, removed or replaced" in sentence


def test_an_idle_broker_sees_that_its_state_was_taken_away(broker: Process) -> None:
    broker.state.rename(broker.state.with_name("elsewhere"))
    broker.process.wait(10)
    assert broker.end() == 1


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_new_ledger_beside_stored_bundles_is_refused_until_a_copy_is_put_back(start: Start, name: str) -> None:
    broker = start()
    client, worker = broker.client(), broker.worker()
    job_id = client.submit()
    worker.register()
    lease = worker.begin()
    worker.finish(lease, b"x")
    broker.end()
    ledger, (bundle,) = broker.state / "ledger.sqlite3", (broker.state / "bundles").iterdir()
    copy = ledger.read_bytes()
    ledger.unlink()
    if name == "empty":
        ledger.touch()
    for _ in range(2):
        ended = run_to_end(["--listen", str(broker.endpoint), "--state", str(broker.state)])
        assert ended.returncode == 1
        assert str(broker.state / "bundles") in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
        assert bundle.read_bytes() == b"x"
    ledger.write_bytes(copy)
    broker.start()
    assert isinstance(broker.client().ask(OpenDownload(job_id=job_id)), DownloadOpened)
