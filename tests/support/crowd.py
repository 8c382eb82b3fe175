"""A crowd at a broker, in one thread: subscribers that hear its beats, and pretended workers that register and renew as real ones must."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import zmq
from tests.support.processes import wait_until

from labelferry_protocol import codec
from labelferry_protocol.endpoints import Lane, parse_endpoint
from labelferry_protocol.events import Beat, EventsLane
from labelferry_protocol.requests import Refused
from labelferry_protocol.topics import BEAT
from labelferry_protocol.work import BrokerTellsWorker, Register, Registered, Renew
from labelferry_transport.descriptors import allow_many_connections
from labelferry_transport.sockets import connect

Socket = zmq.Socket[bytes]
REPEAT_SECONDS = 1.0
RENEW_SECONDS = 3.0


@dataclass(eq=False)
class PretendedWorker:
    """One worker without a slot that is ever free: it registers as draining does, and takes nothing."""

    socket: Socket
    worker_id: str = field(default_factory=lambda: secrets.token_hex(16))
    epoch: int = 0
    say_at: float = 0.0

    def turn(self, now: float) -> None:
        """Say what is due, and take in what was said."""
        while self.socket.poll(0):
            _, message = codec.parse(self.socket.recv_multipart(), BrokerTellsWorker)
            if isinstance(message, Registered):
                self.epoch = message.epoch
            elif isinstance(message, Refused):
                self.epoch, self.say_at = 0, now
        if now < self.say_at:
            return
        self.say_at = now + (RENEW_SECONDS if self.epoch else REPEAT_SECONDS)
        word: Register | Renew = Renew(worker_id=self.worker_id, paused=True)
        if not self.epoch:
            word = Register(worker_id=self.worker_id, host="crowd", slots=1, paused=True)
        try:
            self.socket.send_multipart(codec.frames(word, "crowd"), zmq.NOBLOCK)
        except zmq.Again:
            self.say_at = now + 0.05


class Crowd:
    """So many subscribers and workers; `turn` moves the workers on."""

    def __init__(
        self,
        context: zmq.Context[Socket],
        endpoint: str,
        subscribers: int,
        workers: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        allow_many_connections()
        place = parse_endpoint(endpoint)
        self._clock = clock
        self.subscribers = [connect(context, zmq.SUB, place.lane(Lane.EVENTS)) for _ in range(subscribers)]
        for each in self.subscribers:
            each.subscribe(BEAT)
        self.workers = [PretendedWorker(connect(context, zmq.DEALER, place.lane(Lane.WORK))) for _ in range(workers)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for socket in [*self.subscribers, *(worker.socket for worker in self.workers)]:
            socket.close(linger=0)

    def turn(self) -> None:
        """Let every worker say what is due."""
        now = self._clock()
        for worker in self.workers:
            worker.turn(now)

    def await_epoch(self, epoch: int, seconds: float = 60.0) -> None:
        """Wait until every subscriber has heard, and every worker has registered with, a broker of this epoch."""
        deaf = set(self.subscribers)

        def everybody_is_back() -> bool:
            self.turn()
            for each in list(deaf):
                while each in deaf and each.poll(0):
                    message = codec.unpack(each.recv_multipart()[1], EventsLane)
                    if isinstance(message, Beat) and message.epoch == epoch:
                        deaf.discard(each)
            return not deaf and all(worker.epoch == epoch for worker in self.workers)

        wait_until(everybody_is_back, f"epoch {epoch} at everybody", seconds)
