"""Performs what the ledger decided to send: answers, words to workers, events, orders, tokens. Never blocks, never decides.

A peer that has gone, or lags too far behind, is left out and counted: whoever still cares asks again.
"""

from collections.abc import Iterable

import zmq

from labelferry_broker.depot_post import DepotPost
from labelferry_broker.fanout import Fanout
from labelferry_broker.lanes import Lanes
from labelferry_broker.ledger.effects import AdmitDownload, AdmitUpload, Order, Publish, Reply, Sending, Tell, TellDepot
from labelferry_broker.nearby import Nearby
from labelferry_protocol import codec, tokens
from labelferry_protocol.errors import Code, Malformed
from labelferry_protocol.message import Message
from labelferry_protocol.requests import Refused
from labelferry_protocol.topics import topic_of
from labelferry_transport.logs import Log

log = Log("delivery")


class Delivery:
    """The way out of the dispatcher: its sockets, the fan-out lanes, the depot, the secret that tokens are signed with, and which paths are told."""

    def __init__(
        self,
        lanes: Lanes,
        events: Fanout,
        control: Fanout,
        depot: DepotPost,
        secret: bytes,
        nearby: Nearby,
    ) -> None:
        self._lanes = lanes
        self._events = events
        self._control = control
        self._depot = depot
        self._secret = secret
        self._nearby = nearby
        self._unsent = 0

    def perform(self, effects: Iterable[Sending]) -> None:
        """Send a turn's effects, in their order; what they promise is durable by now."""
        for effect in effects:
            match effect:
                case Reply(peer, ref, message):
                    self.answer(peer, ref, message)
                case Tell(peer, ref, message):
                    self._post(self._lanes.work, peer, ref, message)
                case Publish(event):
                    self._fan_out(self._events, event.job_id, event)
                case Order(identity, message):
                    self._fan_out(self._control, identity, message)
                case TellDepot(message):
                    self._depot.tell(message)
                case AdmitUpload(peer, ref, claims):
                    token = tokens.sign(claims, effect.purpose, self._secret)
                    self._post(self._lanes.work, peer, ref, effect.message(token, self._nearby.part_for(peer, claims)))
                case AdmitDownload(peer, ref):
                    token = tokens.sign(effect.claims, effect.purpose, self._secret)
                    self.answer(peer, ref, effect.message(token, self._nearby.bundle_for(effect.claims)))

    def answer(self, peer: bytes, ref: str, message: Message) -> None:
        """Send a message on requests."""
        self._post(self._lanes.requests, peer, ref, message)

    def unsent(self) -> int:
        """Return how many messages found nobody since the last look."""
        count = self._unsent + self._events.dropped + self._control.dropped
        self._unsent = self._events.dropped = self._control.dropped = 0
        return count

    def _post(self, socket: zmq.Socket[bytes], peer: bytes, ref: str, message: Message) -> None:
        try:
            parts = codec.frames(message, ref)
        except Malformed as error:
            job_id = getattr(message, "job_id", None)
            log.error("answer too large", job=job_id, kind=codec.kind(message), reason=error)
            parts = codec.frames(Refused(code=Code.INTERNAL, message=f"the answer is too large: {error}"), ref)
        try:
            socket.send_multipart([peer, *parts], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            self._unsent += 1

    def _fan_out(self, lane: Fanout, identity: str, message: Message) -> None:
        try:
            lane.publish(topic_of(identity), codec.pack(message))
        except Malformed as error:
            log.error("message too large to publish", job=identity, kind=codec.kind(message), reason=error)
