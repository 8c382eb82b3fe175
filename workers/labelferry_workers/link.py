"""The supervisor's sockets to its broker: greet on requests, then work, progress and control. Knows frames, decides nothing."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import zmq

from labelferry_protocol import codec, version
from labelferry_protocol.endpoints import Endpoint, Lane, reached
from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_protocol.requests import Hello, Refused, Welcome
from labelferry_protocol.topics import topic_of
from labelferry_protocol.work import BrokerTellsWorker, ControlLane, ProgressFrame, WorkerSays
from labelferry_transport.descriptors import NO_DESCRIPTOR_SECONDS, NoDescriptor
from labelferry_transport.logs import Log
from labelferry_transport.monitors import next_change
from labelferry_transport.sockets import ClientKeys, connect

FIRST_PAUSE_SECONDS = 0.05
LAST_PAUSE_SECONDS = 2.0
RECONNECT_MILLISECONDS = 40
"""Before the work lane is connected again the first time: well inside the grace that a broker gives."""
BATCH = 200
TERMINAL_CODES = frozenset({Code.PROTOCOL, Code.ACCESS})
"""Refusals of a hello that no repeating changes."""

log = Log("link")


class Link:
    """One worker's connection to its broker. It greets until it is welcomed; `renew` begins all over.

    `sockets` are what to poll for reading. `jitter` returns a number from 0 to 1, so that a thousand workers do not come back
    at the same moment.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        base: Endpoint,
        keys: ClientKeys | None,
        worker_id: str,
        software: str,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._context = context
        self._base = base
        self._keys = keys
        self._worker_id = worker_id
        self._software = software
        self._jitter = jitter
        self._topics: set[str] = {worker_id}
        self._pause = FIRST_PAUSE_SECONDS
        self.greet_at: float | None = 0.0
        """When the next hello is due; None once the broker has welcomed us."""
        self.requests: zmq.Socket[bytes] | None = None
        self.work: zmq.Socket[bytes] | None = None
        self.monitor: zmq.Socket[bytes] | None = None
        self.control: zmq.Socket[bytes] | None = None
        self._progress: zmq.Socket[bytes] | None = None

    @property
    def sockets(self) -> list[zmq.Socket[bytes]]:
        """What to poll for reading."""
        return [each for each in (self.requests, self.work, self.monitor, self.control) if each is not None]

    def greet(self, now: float) -> None:
        """Say hello if it is time to; a broker that is not there yet gets it when it is."""
        if self.greet_at is None or now < self.greet_at:
            return
        try:
            if self.requests is None:
                self.requests = self._connect(zmq.DEALER, self._base.lane(Lane.REQUESTS))
        except NoDescriptor as error:
            self._begin_later(error, now)
            return
        hello = Hello(
            minimum_version=version.MINIMUM,
            maximum_version=version.MAXIMUM,
            features=tuple(sorted(version.FEATURES)),
            software=self._software,
        )
        _send(self.requests, codec.frames(hello, "hello"))
        self.greet_at = now + self._pause * (0.5 + self._jitter())
        self._pause = min(self._pause * 1.5, LAST_PAUSE_SECONDS)

    def welcomed(self, now: float) -> Welcome | None:
        """Return the broker's welcome if it has come; raise `Refusal` when it will not have us.

        The other lanes are open then; where they could not be, all begins again a moment later.
        """
        if self.requests is None:
            return None
        for _, message in _received(self.requests, Welcome | Refused):
            if isinstance(message, Refused):
                if message.code in TERMINAL_CODES:
                    raise Refusal(message.code, message.message)
                log.warning("the broker refused our hello", reason=message.message)
                continue
            try:
                self._open({lane: reached(place, self._base) for lane, place in message.endpoints.items()})
            except NoDescriptor as error:
                self._begin_later(error, now)
                return None
            return message  # type: ignore[no-any-return]  # the lane has nothing else
        return None

    def connections(self) -> list[bool]:
        """Return what became of the work lane's connection since the last look: True for made, False for lost."""
        changes = []
        while self.monitor is not None and self.monitor.poll(0):
            changes.append(next_change(self.monitor).event == zmq.EVENT_HANDSHAKE_SUCCEEDED)
        return changes

    def from_work(self) -> Iterator[tuple[str, BrokerTellsWorker]]:
        """Yield what the broker says on work: correlation id and message, a bounded number."""
        if self.work is not None:
            yield from _received(self.work, BrokerTellsWorker)

    def from_control(self) -> Iterator[Any]:
        """Yield the orders that have come, a bounded number."""
        for _ in range(BATCH):
            if self.control is None:
                return
            try:
                _, body = self.control.recv_multipart(zmq.NOBLOCK)
                yield codec.unpack(body, ControlLane)
            except zmq.Again:
                return
            except (ValueError, Malformed, Refusal) as error:
                log.warning("dropped an order", reason=str(error))

    def say(self, message: WorkerSays, ref: str) -> None:
        """Send on work; what cannot be sent now is repeated by whoever waits for its answer."""
        if self.work is not None:
            _send(self.work, codec.frames(message, ref))

    def publish(self, frame: ProgressFrame) -> None:
        """Publish a progress frame; it may be lost."""
        if self._progress is not None:
            _send(self._progress, [topic_of(frame.job_id), codec.pack(frame)])

    def watch(self, identity: str) -> None:
        """Listen for orders about a job."""
        if identity not in self._topics and self.control is not None:
            self.control.subscribe(topic_of(identity))
        self._topics.add(identity)

    def unwatch(self, identity: str) -> None:
        """Listen for them no more."""
        if identity in self._topics and self.control is not None:
            self.control.unsubscribe(topic_of(identity))
        self._topics.discard(identity)

    def renew(self, now: float) -> None:
        """Close everything and begin again with a greeting, at `now`."""
        self.close()
        self._pause = FIRST_PAUSE_SECONDS
        self.greet_at = now

    def close(self) -> None:
        """Close all sockets."""
        if self.work is not None:
            self.work.disable_monitor()
        for socket in (self.requests, self.work, self.monitor, self.control, self._progress):
            if socket is not None:
                socket.close()
        self.requests = self.work = self.monitor = self.control = self._progress = None

    def _begin_later(self, why: NoDescriptor, now: float) -> None:
        log.error("cannot connect to the broker", reason=why.message, again_in=NO_DESCRIPTOR_SECONDS)
        self.renew(now + NO_DESCRIPTOR_SECONDS)

    def _open(self, endpoints: dict[str, str]) -> None:
        if self.requests is not None:
            self.requests.close()
            self.requests = None
        self.greet_at = None
        self._progress = self._connect(zmq.PUB, endpoints[Lane.PROGRESS])
        self.control = self._connect(zmq.SUB, endpoints[Lane.CONTROL])
        for identity in self._topics:
            self.control.subscribe(topic_of(identity))
        work = endpoints[Lane.WORK]
        self.work = connect(
            self._context, zmq.DEALER, work, self._keys, reconnect_ms=RECONNECT_MILLISECONDS, prepare=self._listen
        )

    def _listen(self, socket: zmq.Socket[bytes]) -> None:
        self.monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)

    def _connect(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        return connect(self._context, kind, endpoint, self._keys)


def _send(socket: zmq.Socket[bytes], parts: list[bytes | memoryview] | list[bytes]) -> None:
    try:
        socket.send_multipart(parts, zmq.NOBLOCK)
    except zmq.Again:
        # Not connected: whoever waits for an answer says it again.
        return


def _received(socket: zmq.Socket[bytes], lane: Any) -> Iterator[tuple[str, Any]]:
    for _ in range(BATCH):
        if socket.closed:
            return
        try:
            parts = socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        try:
            yield codec.parse(parts, lane)
        except (Malformed, Refusal) as error:
            log.warning("dropped a frame of the broker", reason=str(error))
