"""The carrier: the depot's actor. Owns its sockets, serves chunks out and in, and never waits for a slow peer or the disk's sync."""

import time
from collections import deque
from collections.abc import Sequence

import zmq

from labelferry_broker.connections import Connections
from labelferry_broker.depot.answer import Answer, check_bearer, refused
from labelferry_broker.depot.broker_lane import BrokerLane
from labelferry_broker.depot.downloads import Downloads
from labelferry_broker.depot.sealer import Sealer
from labelferry_broker.depot.settings import DepotSettings
from labelferry_broker.depot.uploads import Uploads
from labelferry_broker.depot.vault import FAULT_RETRY_SECONDS, Vault
from labelferry_broker.doorman import Doorman
from labelferry_broker.intake import Parts, drain
from labelferry_protocol import codec, limits, tokens
from labelferry_protocol.depot import (
    AbandonBundle,
    BrokerToDepot,
    Chunk,
    CloseBundle,
    DepotReady,
    DepotToBroker,
    Discard,
    Keep,
    OfferBundle,
    OpenBundle,
    PeerSaysToDepot,
    RequestChunk,
)
from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_transport.lifeline import Lifeline
from labelferry_transport.logs import Log
from labelferry_transport.speaker import Speaker, speaker_of

BATCH = 32
TICK_SECONDS = 0.25
MAX_UNTOLD = 1000
"""Messages kept for a broker that cannot be told now; what comes beyond is left out, for it is asked again, or known by the sweep."""
SWEEP_SECONDS = 3600.0
"""Between two times that the broker is asked what of all that lies here is wanted: a word to throw something away may be lost."""

log = Log("depot")

_OUT = (OpenBundle, RequestChunk, CloseBundle)
"""What downloaders say; the rest is said by workers."""


class Carrier:
    """The depot's loop. Sockets come bound and connected; `run` closes them."""

    def __init__(
        self,
        settings: DepotSettings,
        secret: bytes,
        door: zmq.Socket[bytes],
        inner: zmq.Socket[bytes],
        sealer: Sealer,
        vault: Vault,
        doorman: Doorman | None,
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._door = door
        self._inner = inner
        self._sealer = sealer
        self._doorman = doorman
        self._vault = vault
        self._downloads = Downloads(vault, secret)
        self._uploads = Uploads(vault, secret)
        self._broker = BrokerLane(vault, self._uploads, self._downloads)
        self._ticked_at = 0.0
        self._sweep_at = time.monotonic() + SWEEP_SECONDS
        self._connections = Connections(door)
        self._dropped = 0
        self._to_broker: deque[DepotToBroker] = deque()
        self._poller = zmq.Poller()

    def run(self, lifeline: Lifeline) -> None:
        """Say ready, serve until the broker has gone or says so, close."""
        for source in [self._inner, self._sealer.socket, self._door, *lifeline.descriptors]:
            self._poller.register(source, zmq.POLLIN)
        self._sealer.start()
        self._tell_broker(DepotReady(endpoint=self._settings.endpoint))
        self._broker.sweep()
        try:
            while not lifeline.ended() and self._whole():
                self._tick()
                ready = dict(self._poller.poll(int(TICK_SECONDS * 1000)))
                if self._inner in ready:
                    self._flush()
                    self._from_broker()
                if self._sealer.socket in ready:
                    self._from_sealer()
                if self._door in ready:
                    self._from_door()
        finally:
            self._close()

    def _whole(self) -> bool:
        """Whether both threads live; without them nothing here can be trusted or kept, and the broker starts another depot."""
        if self._sealer.alive and (self._doorman is None or self._doorman.alive):
            return True
        log.error("a thread of the depot has died", sealer=self._sealer.alive)
        return False

    def _from_broker(self) -> None:
        for parts in drain(self._inner, BATCH):
            try:
                _, message = codec.parse([frame.bytes for frame in parts], BrokerToDepot)
            except (Malformed, Refusal) as error:
                log.error("broker not understood", reason=error)
                continue
            match message:
                case Keep():
                    self._send(self._broker.keep(message))
                case Discard():
                    answers, done = self._broker.discard(message)
                    self._send(answers)
                    if done is not None:
                        self._tell_broker(done)
        self._ask_broker()

    def _from_sealer(self) -> None:
        while (result := self._sealer.receive()) is not None:
            self._send(self._uploads.sealed(result, time.time()))

    def _from_door(self) -> None:
        for parts in drain(self._door, BATCH):
            self._connections.seen(parts[-1], parts[0].bytes)
            peer, rest = parts[0].bytes, parts[1:]
            ref, job_id = "", None
            try:
                speaker = speaker_of(parts[-1], open_door=self._settings.keys is None)
                if len(rest) < 2:
                    raise Malformed("a message to the depot has a header and a body")
                header = codec.parse_header(rest[0].bytes)
                ref = header.ref
                message, payload = _read(header, rest)
                job_id = getattr(message, "job_id", None)
                self._send(self._do(peer, ref, speaker, message, payload))
            except Malformed as error:
                self._send([refused(peer, ref, Refusal(Code.MALFORMED, str(error)))])
            except Refusal as refusal:
                log.info("refused", job=job_id, code=refusal.code, reason=refusal.message)
                self._send([refused(peer, ref, refusal)])
        for order in self._uploads.orders:
            self._sealer.order(order)
        self._uploads.orders.clear()

    def _do(self, peer: bytes, ref: str, speaker: Speaker, message: PeerSaysToDepot, payload: bytes) -> list[Answer]:
        allowed = speaker.may_ask if isinstance(message, _OUT) else speaker.may_work
        if not allowed:
            raise Refusal(Code.ACCESS, f"a {speaker.role} may not do that at the depot")
        steady, wall = time.monotonic(), time.time()
        match message:
            case RequestChunk():
                return self._downloads.send_chunk(peer, ref, message, steady)
            case Chunk():
                return self._uploads.take(peer, message, payload, steady)
            case OpenBundle():
                return self._downloads.open(peer, ref, speaker.user, message, steady, wall)
            case CloseBundle():
                self._downloads.close(peer, message.job_id)
                return []
            case OfferBundle():
                return self._uploads.offer(peer, ref, speaker.user, message, steady, wall)
            case AbandonBundle():
                return self._abandon(peer, ref, speaker.user, message, wall)

    def _abandon(self, peer: bytes, ref: str, user: str, message: AbandonBundle, wall: float) -> list[Answer]:
        claims = tokens.verify(message.token, "upload", self._secret, wall)
        check_bearer(claims.user, user)
        done = self._uploads.abandon(claims)
        if done is not None:
            return [Answer(peer, ref, done)]
        self._broker.ask_for(claims, peer, ref)
        self._ask_broker()
        return []

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._ticked_at < TICK_SECONDS:
            return
        self._ticked_at = now
        if self._vault.littered:
            self._vault.littered = False
            self._sweep_at = min(self._sweep_at, now + FAULT_RETRY_SECONDS)
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            self._broker.sweep()
        self._connections.gone()
        revoked = self._doorman.revoked() if self._doorman is not None else frozenset()
        if revoked:
            log.warning("keys taken back", connections_cut=self._connections.cut_named(revoked))
        self._send(self._uploads.tick(now))
        self._ask_broker()
        if self._dropped:
            log.debug("chunks dropped for slow receivers", count=self._dropped)
            self._dropped = 0

    def _ask_broker(self) -> None:
        question = self._broker.due(time.monotonic())
        if question is not None:
            self._tell_broker(question)

    def _tell_broker(self, message: DepotToBroker) -> None:
        if len(self._to_broker) < MAX_UNTOLD:
            self._to_broker.append(message)
        self._flush()

    def _flush(self) -> None:
        """Send what the broker has not been told; what does not go now (not connected yet) goes when it can."""
        try:
            while self._to_broker:
                self._inner.send_multipart(codec.frames(self._to_broker[0]), zmq.NOBLOCK)
                self._to_broker.popleft()
        except zmq.Again:
            pass
        self._poller.modify(self._inner, zmq.POLLIN | zmq.POLLOUT if self._to_broker else zmq.POLLIN)

    def _send(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            parts = [answer.peer, *codec.frames(answer.message, answer.ref, answer.payload)]
            try:
                self._door.send_multipart(parts, zmq.NOBLOCK, copy=False)
            except zmq.Again:
                self._dropped += 1
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                self._downloads.forget(answer.peer)
                self._uploads.forget(answer.peer)

    def _close(self) -> None:
        self._downloads.close_all()
        self._uploads.close_all()
        self._sealer.stop()
        self._connections.close()
        self._door.close(linger=100)
        self._inner.close(linger=0)


def _read(header: codec.Header, parts: Parts) -> tuple[PeerSaysToDepot, bytes]:
    """Return message and payload; only a chunk has a payload."""
    if len(parts) > 3 or len(parts[1]) > limits.MAX_BODY_BYTES:
        raise Malformed("a message to the depot has a header, a body and at most a payload")
    message = codec.read(header, parts[1].bytes, PeerSaysToDepot)
    if isinstance(message, Chunk) != (len(parts) == 3):
        raise Malformed("a chunk, and nothing else, has its bytes in a third frame")
    return message, parts[2].bytes if len(parts) == 3 else b""
