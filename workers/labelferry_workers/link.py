"""The supervisor's sockets to its broker: greet on requests, then work, progress and control. Knows frames, decides nothing."""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import zmq

from labelferry_protocol import codec, version
from labelferry_protocol.endpoints import Endpoint, Lane, reached
from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_protocol.requests import Hello, Refused, Welcome
from labelferry_protocol.topics import topic_of
from labelferry_protocol.words import Role
from labelferry_protocol.work import BrokerTellsWorker, ControlLane, ProgressFrame, WorkerSays
from labelferry_transport.descriptors import NO_DESCRIPTOR_SECONDS, NoDescriptor
from labelferry_transport.logs import Log
from labelferry_transport.monitors import next_change
from labelferry_transport.sockets import ClientKeys, connect
from labelferry_workers.absences import Absences

FIRST_PAUSE_SECONDS = 0.05
LAST_PAUSE_SECONDS = 2.0
RECONNECT_MILLISECONDS = {Lane.REQUESTS: 100, Lane.PROGRESS: 100, Lane.CONTROL: 100, Lane.WORK: 40}
"""Before a lane is connected again the first time; the work lane well inside the grace that a broker gives."""
KINDS = {Lane.REQUESTS: zmq.DEALER, Lane.PROGRESS: zmq.PUB, Lane.CONTROL: zmq.SUB, Lane.WORK: zmq.DEALER}
BATCH = 200
TERMINAL_CODES = frozenset({Code.PROTOCOL, Code.ACCESS})
"""Refusals of a hello that no repeating changes."""

log = Log("link")


class Link:
    """One worker's connection to its broker. It greets until it is welcomed; `renew` begins all over.

    `mend` opens anew what was lost and does not come back, again and again. `sockets` are what to poll for reading. `jitter`
    returns a number from 0 to 1, so that a thousand workers do not come back at the same moment.
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
        self._absences = Absences(jitter)
        self._places: Mapping[str, str] = {}
        """Where the lanes are, as the last welcome said."""
        self._sockets: dict[Lane, zmq.Socket[bytes]] = {}
        self._monitors: dict[Lane, zmq.Socket[bytes]] = {}

    @property
    def sockets(self) -> list[zmq.Socket[bytes]]:
        """What to poll for reading."""
        return [*(each for lane, each in self._sockets.items() if lane is not Lane.PROGRESS), *self._monitors.values()]

    @property
    def requests(self) -> zmq.Socket[bytes] | None:
        """Where the broker's welcome comes; None once it has come."""
        return self._sockets.get(Lane.REQUESTS)

    @property
    def work(self) -> zmq.Socket[bytes] | None:
        """Where the broker's words come; None before its welcome."""
        return self._sockets.get(Lane.WORK)

    @property
    def control(self) -> zmq.Socket[bytes] | None:
        """Where orders come; None before the welcome."""
        return self._sockets.get(Lane.CONTROL)

    @property
    def monitors(self) -> list[zmq.Socket[bytes]]:
        """Where is told what becomes of the connections, for `connections`."""
        return list(self._monitors.values())

    @property
    def next_at(self) -> float | None:
        """When `mend` or `greet` has something to do next."""
        return min((at for at in (self.greet_at, self._absences.next_at) if at is not None), default=None)

    def greet(self, now: float) -> None:
        """Say hello if it is time to; a broker that is not there yet gets it when it is."""
        if self.greet_at is None or now < self.greet_at:
            return
        try:
            requests = self.requests or self._connect(Lane.REQUESTS, self._base.lane(Lane.REQUESTS))
        except NoDescriptor as error:
            self._begin_later(error, now)
            return
        hello = Hello(
            minimum_version=version.MINIMUM,
            maximum_version=version.MAXIMUM,
            features=tuple(sorted(version.FEATURES)),
            software=self._software,
        )
        _send(requests, codec.frames(hello, "hello"))
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
            if self._keys is not None and message.role is not Role.WORKER:
                whose = "an admin's" if message.role is Role.ADMIN else "a user's"
                raise Refusal(
                    Code.ACCESS,
                    f"{message.user} is {whose} key at {self._base}: give a worker's (`labelferry keys worker NAME`)",
                )
            try:
                self._open({lane: reached(place, self._base) for lane, place in message.endpoints.items()})
            except NoDescriptor as error:
                self._begin_later(error, now)
                return None
            return message  # type: ignore[no-any-return]  # the lane has nothing else
        return None

    def connections(self, now: float) -> list[bool]:
        """Return what became of the work lane's connection since the last look: True for made, False for lost.

        What became of the others is taken note of; a new one to greet on is greeted on at once.
        """
        changes = []
        for lane, monitor in self._monitors.items():
            while monitor.poll(0):
                made = next_change(monitor).event == zmq.EVENT_HANDSHAKE_SUCCEEDED
                self._absences.changed(lane, now, made=made)
                if lane is Lane.WORK:
                    changes.append(made)
                elif lane is Lane.REQUESTS and made:
                    self.greet_at = now
        return changes

    def mend(self, now: float) -> None:
        """Open anew what was lost and did not come back: all, beginning with a greeting, where that is requests or work."""
        over = self._absences.over(now)
        if Lane.REQUESTS in over or Lane.WORK in over:
            log.debug("the connection did not come back: connecting anew")
            self.renew(now)
            return
        for lane in over:
            log.debug("a connection did not come back: connecting anew", lane=lane)
            try:
                self._connect(lane, self._places[lane])
            except NoDescriptor as error:
                log.error("cannot connect to the broker", lane=lane, reason=error.message)
                self._shut(lane)
                self._absences.lost(lane, now)

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
        if Lane.PROGRESS in self._sockets:
            _send(self._sockets[Lane.PROGRESS], [topic_of(frame.job_id), codec.pack(frame)])

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
        for lane in KINDS:
            self._shut(lane)

    def _begin_later(self, why: NoDescriptor, now: float) -> None:
        log.error("cannot connect to the broker", reason=why.message, again_in=NO_DESCRIPTOR_SECONDS)
        self.renew(now + NO_DESCRIPTOR_SECONDS)

    def _open(self, endpoints: Mapping[str, str]) -> None:
        self._shut(Lane.REQUESTS)
        self.greet_at = None
        self._places = endpoints
        for lane in (Lane.PROGRESS, Lane.CONTROL, Lane.WORK):
            self._connect(lane, endpoints[lane])

    def _connect(self, lane: Lane, endpoint: str) -> zmq.Socket[bytes]:
        self._shut(lane)
        made = connect(
            self._context,
            KINDS[lane],
            endpoint,
            self._keys,
            reconnect_ms=RECONNECT_MILLISECONDS[lane],
            prepare=partial(self._listen, lane),
        )
        self._sockets[lane] = made
        if lane is Lane.CONTROL:
            for identity in self._topics:
                made.subscribe(topic_of(identity))
        return made

    def _listen(self, lane: Lane, socket: zmq.Socket[bytes]) -> None:
        self._monitors[lane] = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)

    def _shut(self, lane: Lane) -> None:
        self._absences.back(lane)
        socket, monitor = self._sockets.pop(lane, None), self._monitors.pop(lane, None)
        if socket is not None:
            socket.disable_monitor()
            socket.close()
        if monitor is not None:
            monitor.close()


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
