"""A pretended broker for the clients' tests: real sockets, our wire format, faults as ordered. It runs in a thread of its own.

A test gives it orders (`do`), which run in its thread between two turns; it asserts on what it has noted after `stop`.
"""

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from typing import Any, TypeVar

import pytest
import zmq

from labelferry_protocol import codec, topics, version
from labelferry_protocol.depot import BundleOpened, Chunk, OpenBundle, PeerSaysToDepot, RequestChunk
from labelferry_protocol.endpoints import Endpoint, Lane
from labelferry_protocol.errors import Code
from labelferry_protocol.events import (
    TERMINAL_EVENTS,
    Beat,
    BundleFacts,
    Cancelled,
    Completed,
    ExportCounts,
    JobEvent,
    PhaseChanged,
    Progress,
    Snapshot,
    StageProgress,
    Started,
)
from labelferry_protocol.message import Message
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.requests import (
    Cancel,
    CancelAccepted,
    CancelSettled,
    ClientSays,
    DeleteTemplate,
    DownloadOpened,
    DownloadReported,
    GetHistory,
    GetOverview,
    GetSnapshot,
    GetTemplate,
    GetTransfers,
    Hello,
    History,
    ListTemplates,
    OpenDownload,
    Overview,
    Refused,
    ReportDownload,
    SaveTemplate,
    Submit,
    Submitted,
    Template,
    TemplateDeleted,
    Templates,
    Transfers,
    Welcome,
)
from labelferry_protocol.words import CancelledBy, Phase, Role, Stage, State
from labelferry_transport.sockets import bind, new_context

T = TypeVar("T")


@dataclass
class Job:
    """A pretended job: what was said of it, and who waits for its cancel."""

    job_id: str
    epoch: int
    seq: int = 0
    events: list[JobEvent] = field(default_factory=list)
    waiting: list[tuple[bytes, str]] = field(default_factory=list)
    bundle: bytes = b""

    @property
    def state(self) -> State:
        if not self.events:
            return State.QUEUED
        if isinstance(self.events[-1], Completed):
            return State.COMPLETED
        return State.CANCELLED if isinstance(self.events[-1], Cancelled) else State.RUNNING

    def known(self, epoch: int) -> Snapshot:
        def last(kind: type[T]) -> T | None:
            return next((event for event in reversed(self.events) if isinstance(event, kind)), None)

        terminal = self.events[-1] if self.events and isinstance(self.events[-1], TERMINAL_EVENTS) else None
        return Snapshot(
            job_id=self.job_id,
            epoch=epoch,
            attempt=1,
            seq=self.seq,
            timestamp=0.0,
            project="nuclei",
            owner="local",
            state=self.state,
            created_at=0.0,
            started=last(Started),
            progress=last(Progress),
            terminal=terminal,
        )


@dataclass
class Faults:
    """What goes wrong from now on, as a seed says: shares of 1, and whole lanes that say nothing."""

    chance: Random = field(default_factory=lambda: Random(0))
    lose: float = 0.0
    double: float = 0.0
    mute: bool = False
    """Nothing is pushed, not even beats."""
    deaf: bool = False
    """No question is answered."""
    deny: bool = False
    """Subscriptions are not granted."""
    strange: bool = False
    """A kind that nobody knows precedes each event."""
    chunks: int | None = None
    """After so many chunks the depot is restarted, and knows nobody."""
    stall: bool = False
    """The depot answers nothing."""
    spoil: int = 0
    """So many chunks come with a wrong byte."""
    expire: int = 0
    """So many tokens are refused as too old."""


class PretendedBroker:
    """Requests, events and depot lanes over ipc, in one thread."""

    def __init__(self, directory: Path) -> None:
        self.endpoint = Endpoint("ipc", str(directory))
        self.epoch = 1
        self.jobs: dict[str, Job] = {}
        self.keys: dict[str, str] = {}
        self.faults = Faults()
        self.heard: list[Message] = []
        self.on_submit: Callable[[Job], None] = lambda job: None
        self.templates: dict[str, ExportOptions] = {}
        self.bundle_place: str | None = None
        """Where clients are told that they can read bundles."""
        self.chunks_sent = 0
        self._context = new_context()
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._running = True
        self._sockets: dict[Lane, zmq.Socket[bytes]] = {}
        self._opened: dict[bytes, str] = {}
        self._turns = 0
        self._later: list[tuple[int, Callable[[], None]]] = []
        self._thread = threading.Thread(target=self._run, name="pretended broker")

    def __str__(self) -> str:
        return str(self.endpoint)

    def start(self) -> None:
        self._open()
        self._thread.start()

    def stop(self) -> None:
        self._running = False
        self._thread.join()
        self._context.destroy(linger=0)

    def spoil(self, **faults: Any) -> None:
        """Let these things go wrong from now on."""

        def order() -> None:
            for name, value in faults.items():
                setattr(self.faults, name, value)

        self.do(order)

    def do(self, order: Callable[[], T]) -> T:
        """Run something in the broker's thread, and return what it returns."""
        future: Future[T] = Future()
        self._orders.put(lambda: future.set_result(order()))
        return future.result(timeout=30)

    def later(self, turns: int, order: Callable[[], None]) -> None:
        """Run something after some turns of the broker's loop (one takes 2 ms at most); for its own thread."""
        self._later.append((self._turns + turns, order))

    # What a job does

    def make_job(self, job_id: str | None = None) -> Job:
        job = Job(job_id or f"{len(self.jobs) + 1:032x}", self.epoch)
        self.jobs[job.job_id] = job
        return job

    def say(self, job: Job, kind: type[JobEvent] | Any, **facts: Any) -> None:
        """Say the next event of a job on its topic, through the faults."""
        job.seq += 1
        event = kind(job_id=job.job_id, epoch=self.epoch, attempt=1, seq=job.seq, timestamp=0.0, **facts)
        job.events.append(event)
        if self.faults.strange:
            self._push(topics.topic_of(job.job_id), b"\x81\xa4kind\xa6riddle")
        copies = 2 if self.faults.chance.random() < self.faults.double else 1
        if self.faults.chance.random() >= self.faults.lose:
            for _ in range(copies):
                self._push(topics.topic_of(job.job_id), codec.pack(event))

    def begin(self, job: Job) -> None:
        self.say(job, Started, project="nuclei", worker="w")

    def progress(self, job: Job, percent: float, stage: Stage = Stage.IMAGES) -> None:
        self.say(
            job,
            Progress,
            progress=percent,
            phase=Phase.PROCESSING,
            stage=stage,
            message="",
            stage_progress=StageProgress(current=0, total=1),
        )

    def complete(self, job: Job, bundle: bytes = b"PK" * 3000) -> None:
        job.bundle = bundle
        self.progress(job, 100, Stage.COMPRESSION)
        self.say(job, PhaseChanged, previous=Phase.PROCESSING, phase=Phase.DOWNLOADING)
        self.say(job, Completed, project="nuclei", bundle=self.facts(job), counts=ExportCounts(images=2), warnings=())
        self._settle(job)

    def cancel(self, job: Job) -> None:
        self.say(
            job,
            Cancelled,
            project="nuclei",
            cancelled_by=CancelledBy.USER,
            who="local",
            progress=10.0,
            phase=Phase.PROCESSING,
            cleanup_completed=True,
        )
        self._settle(job)

    def run_through(self, job: Job, steps: int = 20, bundle: bytes = b"PK" * 3000) -> None:
        """Begin a job and bring it to its end, a step a turn; a cancel stops it."""
        self.begin(job)

        def step(number: int) -> None:
            if job.state is not State.RUNNING:
                return
            if number == steps:
                self.complete(job, bundle)
            else:
                self.progress(job, 100 * number / steps)
                self.later(1, lambda: step(number + 1))

        self.later(1, lambda: step(0))

    def facts(self, job: Job) -> BundleFacts:
        return BundleFacts(size=len(job.bundle), sha256=hashlib.sha256(job.bundle).hexdigest(), file_name="nuclei.zip")

    def restart(self) -> None:
        """Be a broker that was killed and started again: other connections, a new epoch, the ledger kept."""
        self._close()
        self.epoch += 1
        for job in self.jobs.values():
            job.waiting.clear()
            job.seq += 1000
        self._open()

    def restart_depot(self) -> None:
        self._sockets.pop(Lane.DEPOT).close()
        self._opened.clear()
        self._sockets[Lane.DEPOT] = bind(self._context, zmq.ROUTER, self.endpoint.lane(Lane.DEPOT), max_bytes=2**21)

    # The loop

    def _open(self) -> None:
        for lane, kind in [(Lane.REQUESTS, zmq.ROUTER), (Lane.EVENTS, zmq.XPUB), (Lane.DEPOT, zmq.ROUTER)]:
            self._sockets[lane] = bind(self._context, kind, self.endpoint.lane(lane), max_bytes=2**21)

    def _close(self) -> None:
        for socket in self._sockets.values():
            socket.close()
        self._sockets.clear()

    def _run(self) -> None:
        while self._running:
            self._turns += 1
            zmq.select([*self._sockets.values()], [], [], timeout=0.002)
            self._take(Lane.REQUESTS, self._request)
            self._take(Lane.EVENTS, self._subscription)
            self._take(Lane.DEPOT, self._depot)
            if self._turns % 50 == 0:
                self._push(topics.BEAT, codec.pack(Beat(epoch=self.epoch, timestamp=0.0)))
            due = [order for turn, order in self._later if turn <= self._turns]
            self._later = [each for each in self._later if each[0] > self._turns]
            for order in due:
                order()
            try:
                while True:
                    self._orders.get_nowait()()
            except Empty:
                pass
        self._close()

    def _take(self, lane: Lane, hear: Callable[[list[bytes]], None]) -> None:
        while lane in self._sockets:
            try:
                parts = self._sockets[lane].recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            hear(parts)

    def _push(self, topic: bytes, body: bytes) -> None:
        if not self.faults.mute:
            self._sockets[Lane.EVENTS].send_multipart([topic, body])

    def _send(self, lane: Lane, peer: bytes, ref: str, message: Message, payload: bytes | None = None) -> None:
        try:
            self._sockets[lane].send_multipart([peer, *codec.frames(message, ref, payload)], zmq.NOBLOCK)
        except zmq.ZMQError:
            return

    def _subscription(self, parts: list[bytes]) -> None:
        said, topic = parts[0][:1], parts[0][1:]
        events = self._sockets[Lane.EVENTS]
        if said == b"\0":
            events.setsockopt(zmq.UNSUBSCRIBE, topic)
        elif topic == topics.BEAT:
            events.setsockopt(zmq.SUBSCRIBE, topic)
        else:
            job = self.jobs.get(topics.identity_of(topic) or "")
            if job is not None and not self.faults.deny:
                events.setsockopt(zmq.SUBSCRIBE, topic)
                if not self.faults.mute:
                    events.send_multipart([topic, codec.pack(job.known(self.epoch))])
                    return
        events.send_multipart([b"\0", b""])

    def _request(self, parts: list[bytes]) -> None:
        peer = parts[0]
        ref, message = codec.parse(parts[1:], ClientSays)
        self.heard.append(message)
        chance = self.faults.chance
        if self.faults.deaf or chance.random() < self.faults.lose:
            return
        for _ in range(2 if chance.random() < self.faults.double else 1):
            for answer in self._answers(peer, ref, message):
                if chance.random() >= self.faults.lose:
                    self._send(Lane.REQUESTS, peer, ref, answer)

    def _answers(self, peer: bytes, ref: str, message: Message) -> list[Message]:
        if isinstance(message, GetSnapshot | Cancel | OpenDownload | GetTransfers) and message.job_id not in self.jobs:
            return [Refused(code=Code.NO_SUCH_JOB, message=f"there is no job {message.job_id}")]
        if isinstance(message, Hello):
            return [self._welcome()]
        if isinstance(message, Submit):
            return [self._submitted(message)]
        if isinstance(message, Cancel):
            return self._cancelled(peer, ref, self.jobs[message.job_id])
        if isinstance(message, GetSnapshot):
            return [self.jobs[message.job_id].known(self.epoch)]
        if isinstance(message, OpenDownload):
            job = self.jobs[message.job_id]
            if not job.bundle:
                return [Refused(code=Code.NOT_COMPLETED, message=f"job {job.job_id} is not completed")]
            transfer = message.transfer_id or "d" * 32
            token = job.job_id.encode()
            facts = self.facts(job)
            return [
                DownloadOpened(
                    transfer_id=transfer, job_id=job.job_id, bundle=facts, token=token, place=self.bundle_place
                )
            ]
        if isinstance(message, ReportDownload):
            return [DownloadReported(transfer_id=message.transfer_id)]
        return [self._smaller_answer(message)]

    def _smaller_answer(self, message: Message) -> Message:
        if isinstance(message, SaveTemplate):
            self.templates[message.name] = message.options
            return Template(name=message.name, options=message.options, saved_at=1.0)
        if isinstance(message, GetTemplate):
            if message.name not in self.templates:
                return Refused(code=Code.NO_SUCH_TEMPLATE, message=f"there is no template {message.name}")
            return Template(name=message.name, options=self.templates[message.name], saved_at=1.0)
        if isinstance(message, DeleteTemplate):
            self.templates.pop(message.name)
            return TemplateDeleted(name=message.name)
        if isinstance(message, ListTemplates):
            return Templates(names=tuple(sorted(self.templates)))
        if isinstance(message, GetHistory):
            return History(jobs=())
        if isinstance(message, GetTransfers):
            return Transfers(job_id=message.job_id, transfers=())
        assert isinstance(message, GetOverview)
        return Overview(software="pretended", epoch=self.epoch, uptime=0.0, jobs={}, workers=(), depot_ready=True)

    def _welcome(self) -> Welcome:
        return Welcome(
            version=version.MAXIMUM,
            features=(),
            epoch=self.epoch,
            user="local",
            role=Role.ADMIN,
            endpoints={str(lane): self.endpoint.lane(lane) for lane in Lane},
        )

    def _submitted(self, message: Submit) -> Submitted:
        known = message.idempotency_key in self.keys
        if not known:
            job = self.make_job()
            self.keys[message.idempotency_key] = job.job_id
            self.on_submit(job)
        job = self.jobs[self.keys[message.idempotency_key]]
        return Submitted(job_id=job.job_id, state=job.state, project="nuclei", created=not known)

    def _cancelled(self, peer: bytes, ref: str, job: Job) -> list[Message]:
        accepted = CancelAccepted(job_id=job.job_id, state=job.state)
        if job.events and isinstance(job.events[-1], TERMINAL_EVENTS):
            return [accepted, CancelSettled(job_id=job.job_id, outcome=job.events[-1])]
        if not job.waiting:
            self.later(3, lambda: self.cancel(job) if job.state is not State.COMPLETED else None)
        job.waiting.append((peer, ref))
        return [accepted]

    def _settle(self, job: Job) -> None:
        outcome = job.events[-1]
        assert isinstance(outcome, TERMINAL_EVENTS)
        for peer, ref in job.waiting:
            if self.faults.chance.random() >= self.faults.lose:
                self._send(Lane.REQUESTS, peer, ref, CancelSettled(job_id=job.job_id, outcome=outcome))
        job.waiting.clear()

    def _depot(self, parts: list[bytes]) -> None:
        peer = parts[0]
        ref, message = codec.parse(parts[1:], PeerSaysToDepot)
        if self.faults.stall:
            return
        if isinstance(message, OpenBundle):
            if self.faults.expire:
                self.faults.expire -= 1
                self._send(Lane.DEPOT, peer, ref, Refused(code=Code.ACCESS, message="that token has expired"))
                return
            job = self.jobs[message.token.decode()]
            self._opened[peer] = job.job_id
            facts = self.facts(job)
            chunk = max(1, facts.size // 300)
            self._send(Lane.DEPOT, peer, ref, BundleOpened(size=facts.size, sha256=facts.sha256, chunk_bytes=chunk))
        elif isinstance(message, RequestChunk):
            self._chunk(peer, ref, message)

    def _chunk(self, peer: bytes, ref: str, message: RequestChunk) -> None:
        if self.faults.chunks is not None:
            self.faults.chunks -= 1
            if self.faults.chunks <= 0:
                self.faults.chunks = None
                self.restart_depot()
                return
        if peer not in self._opened:
            self._send(Lane.DEPOT, peer, ref, Refused(code=Code.REGISTER, message="open first"))
            return
        piece = self.jobs[message.job_id].bundle[message.offset : message.offset + message.length]
        if self.faults.spoil:
            self.faults.spoil -= 1
            piece = bytes([piece[0] ^ 1]) + piece[1:]
        self.chunks_sent += 1
        self._send(Lane.DEPOT, peer, ref, Chunk(job_id=message.job_id, offset=message.offset), piece)


@pytest.fixture
def broker() -> Iterator[PretendedBroker]:
    """A pretended broker that runs."""
    directory = Path(tempfile.mkdtemp(prefix="lfc-", dir="/tmp"))
    pretended = PretendedBroker(directory)
    pretended.start()
    yield pretended
    pretended.stop()
    shutil.rmtree(directory, ignore_errors=True)
