"""A pretended broker and depot in the wire format, and worker processes that are ended whatever a test does."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from tests.support.process_tree import lives
from tests.support.processes import job_children

from labelferry_protocol import codec, depot, requests, work
from labelferry_protocol.endpoints import Lane, parse_endpoint
from labelferry_protocol.errors import Code
from labelferry_protocol.message import Message
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.topics import topic_of
from labelferry_protocol.window import Window
from labelferry_protocol.words import Role

PATIENCE = 20.0
TOKEN = b"token of "


class PretendedBroker:
    """Every lane of a broker in the test's own thread: `until` serves until something is so. What was said is kept."""

    def __init__(self, place: Path) -> None:
        self.endpoint = parse_endpoint(f"ipc://{place}")
        self.lease_seconds, self.renew_seconds = 15.0, 5.0
        self.said: list[Message] = []
        self.frames: list[work.ProgressFrame] = []
        self.heard_at: list[float] = []
        self.stored: dict[str, bytes] = {}
        self.deaf: tuple[type[Message], ...] = ()
        """Messages that get no answer."""
        self.answers: dict[type[Message], Message] = {}
        """Answers other than the usual ones."""
        self.granted: dict[str, work.RequestPublish] = {}
        self.abandoned: list[bytes] = []
        self.cancels: tuple[work.CancelOrder, ...] = ()
        self.abandon: work.Holdings = ()
        self.depot_answers: list[requests.Refused] = []
        """Refusals that the next offers get."""
        self.depot_stalls = False
        self._uploads: dict[str, tuple[Window, bytearray, str]] = {}
        self.open()

    def open(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        kinds = {
            Lane.REQUESTS: zmq.ROUTER,
            Lane.WORK: zmq.ROUTER,
            Lane.DEPOT: zmq.ROUTER,
            Lane.PROGRESS: zmq.SUB,
            Lane.CONTROL: zmq.XPUB,
        }
        self.sockets = {lane: self.context.socket(kind) for lane, kind in kinds.items()}
        self.poller = zmq.Poller()
        for lane, socket in self.sockets.items():
            socket.setsockopt(zmq.LINGER, 0)
            socket.bind(self.endpoint.lane(lane))
            self.poller.register(socket, zmq.POLLIN)
        self.sockets[Lane.PROGRESS].subscribe(b"")
        self.peer = b""
        self.topics: set[bytes] = set()
        self._uploads.clear()

    def close(self) -> None:
        for socket in self.sockets.values():
            socket.close()
        self.context.term()

    def until(self, so: Callable[[], object], patience: float = PATIENCE) -> None:
        end = time.monotonic() + patience
        while not so():
            assert time.monotonic() < end, (
                f"it did not come to that; said was {[codec.kind(each) for each in self.said]}"
            )
            self.serve(0.02)

    def serve_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.serve(0.02)

    def serve(self, seconds: float) -> None:
        for socket, _ in self.poller.poll(int(seconds * 1000)):
            lane = next(lane for lane, each in self.sockets.items() if each is socket)
            while socket.poll(0):
                getattr(self, f"_from_{lane}")(socket.recv_multipart())

    def lease(self, job_id: str, what: str, attempt: int = 1, **options: Any) -> None:
        self.tell(
            work.Lease(
                job_id=job_id,
                attempt=attempt,
                owner="local",
                project="nuclei",
                source=Source(location=f"/pretend/{what}"),
                options=ExportOptions(**options),
            )
        )

    def tell(self, message: Message, ref: str = "") -> None:
        self.sockets[Lane.WORK].send_multipart([self.peer, *codec.frames(message, ref)])

    def order(self, message: work.CancelOrder | work.DrainOrder) -> None:
        identity = message.job_id if isinstance(message, work.CancelOrder) else message.worker_id
        self.sockets[Lane.CONTROL].send_multipart([topic_of(identity), codec.pack(message)])

    def heard(self, kind: type[Any], job_id: str | None = None) -> list[Any]:
        of_kind = [each for each in self.said if isinstance(each, kind)]
        return [each for each in of_kind if job_id is None or each.job_id == job_id]

    def moment(self, message: Message) -> float:
        return next(at for at, each in zip(self.heard_at, self.said, strict=True) if each is message)

    def _from_requests(self, parts: list[bytes]) -> None:
        ref, _ = codec.parse(parts[1:], requests.Hello)
        welcome = self.answers.get(requests.Hello) or requests.Welcome(
            version=1,
            features=(),
            epoch=1,
            user="local",
            role=Role.ADMIN,
            endpoints={lane: self.endpoint.lane(lane) for lane in Lane},
        )
        self.sockets[Lane.REQUESTS].send_multipart([parts[0], *codec.frames(welcome, ref)])

    def _from_work(self, parts: list[bytes]) -> None:
        ref, message = codec.parse(parts[1:], work.WorkerSays)
        self.said.append(message)
        self.heard_at.append(time.monotonic())
        if isinstance(message, self.deaf):
            return
        answer = self.answers.get(type(message)) or self._usual(message, parts[0])
        if answer is not None:
            self.sockets[Lane.WORK].send_multipart([parts[0], *codec.frames(answer, ref)])

    def _usual(self, message: Message, peer: bytes) -> Message | None:
        match message:
            case work.Register():
                self.peer = peer
                return work.Registered(
                    epoch=1,
                    lease_seconds=self.lease_seconds,
                    renew_seconds=self.renew_seconds,
                    abandon=self.abandon,
                    cancels=self.cancels,
                )
            case work.Renew() if peer == self.peer:
                return work.Renewed(epoch=1, abandon=self.abandon, cancels=self.cancels)
            case work.CancelSeen():
                return None
            case _ if peer != self.peer:
                return requests.Refused(code=Code.REGISTER, message="who are you?")
            case work.RequestPublish():
                self.granted[message.job_id] = message
                token = TOKEN + message.job_id.encode()
                return work.PublishGranted(job_id=message.job_id, attempt=message.attempt, token=token)
            case _:
                return work.Acknowledged()

    def _from_progress(self, parts: list[bytes]) -> None:
        self.frames.append(codec.unpack(parts[1], work.ProgressLane))

    def _from_control(self, parts: list[bytes]) -> None:
        (self.topics.add if parts[0][0] else self.topics.discard)(parts[0][1:])

    def _from_depot(self, parts: list[bytes]) -> None:
        peer = parts[0]
        ref, message = codec.parse(parts[1:], depot.PeerSaysToDepot)
        match message:
            case depot.OfferBundle(token=token) if self.depot_answers:
                assert token.startswith(TOKEN)
                self._say_depot(peer, ref, self.depot_answers.pop(0))
            case depot.OfferBundle(token=token):
                wanted = self.granted[token.removeprefix(TOKEN).decode()]
                received = bytearray()
                self._uploads.setdefault(wanted.job_id, (Window(wanted.size, 64 * 1024), received, ref))
                self._go_on(peer, wanted.job_id)
            case depot.Chunk(job_id=job_id, offset=offset) if job_id in self._uploads:
                window, data, _ = self._uploads[job_id]
                for piece in window.take(offset, parts[3], time.monotonic()):
                    data += piece
                self._go_on(peer, job_id)
            case depot.AbandonBundle(token=token):
                self.abandoned.append(token)

    def _go_on(self, peer: bytes, job_id: str) -> None:
        if self.depot_stalls:
            return
        window, data, ref = self._uploads[job_id]
        for offset, length in window.ask(time.monotonic()):
            self._say_depot(peer, ref, depot.RequestChunk(job_id=job_id, offset=offset, length=length))
        wanted = self.granted[job_id]
        if window.done:
            assert hashlib.sha256(data).hexdigest() == wanted.sha256
            self.stored[job_id] = bytes(data)
            stored = depot.BundleStored(job_id=job_id, attempt=wanted.attempt, receipt=b"receipt")
            self._say_depot(peer, ref, stored)

    def _say_depot(self, peer: bytes, ref: str, message: Message) -> None:
        self.sockets[Lane.DEPOT].send_multipart([peer, *codec.frames(message, ref)])


class WorkerProcess:
    """A worker started by a test, with its staging directory."""

    def __init__(self, place: Path, endpoint: str, *options: str, script: str = "pretended_worker.py", **environ: str):
        self.staging = place / "staging"
        command = [sys.executable, str(Path(__file__).with_name(script)), "--broker", endpoint]
        command += ["--staging", str(self.staging), "--log-level", "debug", *options]
        self.log = place / "worker.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **environ}
            )

    def ready(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith("ready "), self.log.read_text()
        return line.split()[1]

    def children(self) -> list[int]:
        """The processes that do the jobs, not their keepers."""
        return job_children(self.process.pid)

    def left(self) -> list[str]:
        """What lies in the staging directory but for the worker's own place and lock, and its empty spare places."""
        return [
            path.name
            for path in self.staging.glob("worker-*/*")
            if not path.name.endswith((".txt", ".seconds", ".pid"))
            and not (path.name.startswith("spare-") and not list(path.iterdir()))
        ]

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def place() -> Iterator[Path]:
    """A private directory whose path is short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="lf", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def broker(place: Path) -> Iterator[PretendedBroker]:
    """A pretended broker on ipc."""
    (place / "s").mkdir()
    pretended = PretendedBroker(place / "s")
    yield pretended
    pretended.close()


@pytest.fixture
def worker_process(place: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Start a worker for this endpoint with these options; it is ended after the test."""
    workers: list[WorkerProcess] = []

    def start_one(endpoint: str, *options: str, **environ: str) -> WorkerProcess:
        workers.append(WorkerProcess(place, endpoint, *options, **environ))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.end()


@pytest.fixture
def start(broker: PretendedBroker, worker_process: Callable[..., WorkerProcess]) -> Callable[..., WorkerProcess]:
    """Start a worker with these options, registered and with its first child warm."""

    def start_one(*options: str, **environ: str) -> WorkerProcess:
        worker = worker_process(str(broker.endpoint), *options, **environ)
        before = len(broker.heard(work.Register))
        broker.until(lambda: len(broker.heard(work.Register)) > before)
        worker.ready()
        return worker

    return start_one


@pytest.fixture
def gone() -> Callable[[int, float], bool]:
    """Return whether a process is gone (or only waits to be reaped) within some seconds."""

    def is_gone(pid: int, within: float) -> bool:
        end = time.monotonic() + within
        while time.monotonic() < end:
            if not lives(pid):
                return True
            time.sleep(0.005)
        return False

    return is_gone
