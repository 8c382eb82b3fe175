"""One XPUB lane in manual mode: each subscription is granted or denied by itself, and a new subscriber is sent its first message alone.

What libzmq does here, measured: after a subscription frame was received, the next message sent goes to that subscriber alone, if
it matches. So whatever comes is answered at once: a grant with the first message, everything else with one that matches nobody.
"""

from collections.abc import Iterator
from typing import NamedTuple

import zmq

from labelferry_broker.connections import Connections, cut, descriptor_of
from labelferry_broker.intake import drain
from labelferry_protocol import limits
from labelferry_protocol.errors import Refusal
from labelferry_protocol.topics import TOPIC_LENGTH
from labelferry_transport.logs import Log
from labelferry_transport.speaker import Speaker, speaker_of

MAX_SUBSCRIPTIONS = 4096
"""Of one connection, denied ones included: they cost memory too."""

_NOBODY = b"\0"
"""No topic begins so: topics have 33 bytes, all of them printable."""

log = Log("fanout")


class Wish(NamedTuple):
    """A subscription to decide: who wants which topic."""

    speaker: Speaker
    topic: bytes


class Fanout:
    """The lane of one XPUB socket. Whoever owns the socket calls this, in one thread."""

    def __init__(self, socket: zmq.Socket[bytes], connections: Connections, *, open_door: bool) -> None:
        self._socket = socket
        self._connections = connections
        self._open_door = open_door
        self._counts: dict[int, int] = {}
        """Subscriptions by connection (its descriptor)."""
        self.dropped = 0

    @property
    def subscriptions(self) -> int:
        """How many there are, denied ones included."""
        return sum(self._counts.values())

    @property
    def subscribers(self) -> int:
        """How many connections have any."""
        return sum(1 for count in self._counts.values() if count)

    def wishes(self, at_most: int) -> Iterator[Wish]:
        """Yield the subscriptions that came. Each must be granted before the next is taken; one that is not, is denied."""
        for descriptor, _ in self._connections.gone():
            self._counts.pop(descriptor, None)
        for parts in drain(self._socket, at_most):
            said = parts[0].bytes
            wish = self._wish(parts[0], said) if len(parts) == 1 else None
            try:
                if wish is not None:
                    yield wish
                elif said[:1] == b"\x00":
                    self._socket.setsockopt(zmq.UNSUBSCRIBE, said[1:])
            finally:
                # Whatever was decided, the lane must be open to all again before anything else is sent.
                self._send(_NOBODY, b"")

    def grant(self, topic: bytes, first: bytes | None = None) -> None:
        """Let the subscriber whose wish is at hand have its topic, and send it `first` alone."""
        self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        if first is not None:
            self._send(topic, first)

    def publish(self, topic: bytes, body: bytes) -> None:
        """Send to all subscribers of a topic; never blocks, and leaves out whoever lags too far behind."""
        self._send(topic, body)

    def _wish(self, frame: zmq.Frame, said: bytes) -> Wish | None:
        descriptor = descriptor_of(frame)
        if descriptor is not None and not self._bearable(frame, said, descriptor):
            return None
        if said[:1] != b"\x01" or len(said) != TOPIC_LENGTH + 1:
            return None
        try:
            return Wish(speaker_of(frame, open_door=self._open_door), said[1:])
        except Refusal:
            return None

    def _bearable(self, frame: zmq.Frame, said: bytes, descriptor: int) -> bool:
        """Count a subscription; cut the connection that has too many or too long ones, and return whether it may stay."""
        self._connections.seen(frame, b"")
        count = self._counts.get(descriptor, 0) + (1 if said[:1] == b"\x01" else -1)
        self._counts[descriptor] = max(0, count)
        if count <= MAX_SUBSCRIPTIONS and len(said) <= limits.MAX_SUBSCRIPTION_BYTES:
            return True
        log.warning("connection cut for its subscriptions", count=count, length=len(said))
        cut(descriptor)
        return False

    def _send(self, topic: bytes, body: bytes) -> None:
        try:
            self._socket.send_multipart([topic, body], zmq.NOBLOCK)
        except zmq.Again:
            self.dropped += 1
