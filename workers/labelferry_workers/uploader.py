"""The uploader: an actor in a thread of its own (`uploader_thread`) that brings bundles to the depot, piece by piece, as the depot asks for them.

It owns its depot socket; it speaks with the supervisor over a pair. Bulk never shares a loop with leases and cancels.
"""

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path

import zmq

from labelferry_protocol import codec
from labelferry_protocol.depot import AbandonBundle, BundleAbandoned, BundleStored, Chunk, OfferBundle, RequestChunk
from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_protocol.message import Message
from labelferry_protocol.requests import Refused
from labelferry_protocol.work import Holding
from labelferry_transport.descriptors import NO_DESCRIPTOR_SECONDS, NoDescriptor
from labelferry_transport.logs import Log
from labelferry_transport.monitors import next_change
from labelferry_transport.sockets import CHUNKS_HIGH_WATER, ClientKeys, connect
from labelferry_workers.absences import Absences
from labelferry_workers.errands import (
    Carried,
    Carry,
    Carrying,
    Connect,
    Drop,
    Finish,
    FromUploader,
    NotCarried,
    ToUploader,
)
from labelferry_workers.parcel import FileChanged, Parcel

PAIR = "inproc://uploader"
BATCH = 64
AGAIN_SECONDS = 0.1
"""Before a bundle is offered again that the depot does not know."""

DepotTellsWorker = RequestChunk | BundleStored | BundleAbandoned | Refused

log = Log("uploader")


class Uploader:
    """All state of the uploader. Made and `run` in its own thread; `context` is the process's."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        keys: ClientKeys | None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._context = context
        self._keys = keys
        self._clock = clock
        self._refs = (f"{number:x}" for number in itertools.count(1))
        self._parcels: dict[Holding, Parcel] = {}
        self._pair = context.socket(zmq.PAIR)
        self._pair.setsockopt(zmq.LINGER, 0)
        self._endpoint = ""
        self._connect_at: float | None = None
        """When a socket to the depot is to be made; None while there is one, or no endpoint to connect it to."""
        self._absences = Absences(jitter)
        self._depot: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._poller = zmq.Poller()

    def run(self) -> None:
        """Serve until told to finish."""
        self._pair.connect(PAIR)
        self._poller.register(self._pair, zmq.POLLIN)
        try:
            while self._turn():
                pass
        finally:
            for parcel in self._parcels.values():
                parcel.close()
            self._disconnect()
            self._pair.close()

    def _turn(self) -> bool:
        ready = dict(self._poller.poll(self._patience()))
        if self._pair in ready and not self._from_supervisor():
            return False
        if self._monitor is not None and self._monitor in ready:
            self._from_monitor(self._monitor, self._clock())
        if self._depot is not None and self._depot in ready:
            self._from_depot(self._depot)
        self._tick(self._clock())
        return True

    def _from_monitor(self, monitor: zmq.Socket[bytes], now: float) -> None:
        made = next_change(monitor).event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        self._absences.changed(Lane.DEPOT, now, made=made)
        if made:
            # A new connection, which the depot does not know us on yet.
            self._offer_all_at(now)

    def _from_supervisor(self) -> bool:
        errand = codec.unpack(self._pair.recv(), ToUploader)
        match errand:
            case Connect(endpoint=endpoint):
                self._endpoint = endpoint
                self._connect(self._clock())
            case Carry():
                self._carry(errand)
            case Drop(key=key):
                parcel = self._parcels.pop(key, None)
                if parcel is not None:
                    parcel.close()
                    self._tell_depot(AbandonBundle(token=parcel.token), parcel.ref)
            case Finish():
                return False
        return True

    def _from_depot(self, socket: zmq.Socket[bytes]) -> None:
        for _ in range(BATCH):
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                ref, message = codec.parse(parts, DepotTellsWorker)
            except (Malformed, Refusal) as error:
                log.warning("dropped a frame of the depot", reason=str(error))
                continue
            parcel = next((each for each in self._parcels.values() if each.ref == ref), None)
            if parcel is not None:
                self._depot_said(parcel, message)

    def _depot_said(self, parcel: Parcel, message: RequestChunk | BundleStored | BundleAbandoned | Refused) -> None:
        now = self._clock()
        parcel.heard(now)
        match message:
            case RequestChunk():
                self._send_piece(parcel, message, now)
            case BundleStored(receipt=receipt):
                self._end(parcel, Carried(key=parcel.key, receipt=receipt))
            case BundleAbandoned():
                parcel.offer_at = now
            case Refused():
                self._refused(parcel, message, now)

    def _send_piece(self, parcel: Parcel, asked: RequestChunk, now: float) -> None:
        parcel.asked(asked.offset, asked.length, now)
        try:
            piece = parcel.piece(asked.offset, asked.length)
        except FileChanged as error:
            self._lost(parcel, error)
            return
        self._tell_depot(Chunk(job_id=asked.job_id, offset=asked.offset), parcel.ref, piece)
        if parcel.shows(now):
            self._say(Carrying(key=parcel.key, sent=parcel.sent, seconds_left=parcel.seconds_left(now)))

    def _offer(self, parcel: Parcel) -> None:
        """Offer a bundle to the depot; a small one comes with it."""
        try:
            self._tell_depot(OfferBundle(token=parcel.token, content=parcel.content()), parcel.ref)
        except FileChanged as error:
            self._lost(parcel, error)

    def _lost(self, parcel: Parcel, error: FileChanged) -> None:
        log.error("bundle lost", job=parcel.key.job_id, attempt=parcel.key.attempt, reason=str(error))
        self._tell_depot(AbandonBundle(token=parcel.token), parcel.ref)
        self._end(parcel, NotCarried(key=parcel.key, code=Code.INTERNAL, message=str(error)))

    def _refused(self, parcel: Parcel, refused: Refused, now: float) -> None:
        log.warning("the depot refused", job=parcel.key.job_id, attempt=parcel.key.attempt, reason=refused.message)
        if refused.code is Code.REGISTER:
            parcel.offer_at = now + AGAIN_SECONDS
            return
        if refused.retry_after is None or not parcel.put_off(refused.code, refused.retry_after, now):
            self._end(parcel, NotCarried(key=parcel.key, code=refused.code, message=refused.message))
        else:
            self._say(Carrying(key=parcel.key, sent=parcel.sent, waiting=refused.message))

    def _carry(self, errand: Carry) -> None:
        now = self._clock()
        old = self._parcels.pop(errand.key, None)
        if old is not None:
            old.close()
        self._parcels[errand.key] = Parcel(
            errand.key, errand.token, errand.size, next(self._refs), Path(errand.path), now, now, now, now
        )

    def _tick(self, now: float) -> None:
        if (self._connect_at is not None and now >= self._connect_at) or self._absences.over(now):
            self._connect(now)
        for parcel in list(self._parcels.values()):
            if (why := parcel.given_up(now)) is not None:
                self._end(parcel, NotCarried(key=parcel.key, code=Code.STORE, message=why))
            elif parcel.due(now):
                if parcel.tells_of_silence(now):
                    self._say(Carrying(key=parcel.key, sent=parcel.sent, waiting="the depot does not answer"))
                self._offer(parcel)

    def _patience(self) -> int | None:
        moments = [parcel.offer_at for parcel in self._parcels.values()]
        moments += [at for at in (self._connect_at, self._absences.next_at) if at is not None]
        return max(0, int((min(moments) - self._clock()) * 1000) + 1) if moments else None

    def _offer_all_at(self, moment: float) -> None:
        for parcel in self._parcels.values():
            parcel.offer_at = moment

    def _end(self, parcel: Parcel, word: FromUploader) -> None:
        del self._parcels[parcel.key]
        parcel.close()
        self._say(word)

    def _say(self, word: FromUploader) -> None:
        try:
            self._pair.send(codec.pack(word), zmq.NOBLOCK)
        except zmq.Again:
            if not isinstance(word, Carrying):
                # A thousand words behind, and this one counts: wait for the supervisor.
                self._pair.send(codec.pack(word))

    def _tell_depot(self, message: Message, ref: str, payload: bytes | None = None) -> None:
        if self._depot is None:
            return
        try:
            self._depot.send_multipart(codec.frames(message, ref, payload), zmq.NOBLOCK, copy=payload is None)
        except zmq.Again:
            # No connection, or the depot is behind: it asks again, and we offer again.
            log.debug("not sent to the depot", kind=codec.kind(message))

    def _connect(self, now: float) -> None:
        self._disconnect()
        try:
            self._depot = connect(
                self._context,
                zmq.DEALER,
                self._endpoint,
                self._keys,
                high_water=CHUNKS_HIGH_WATER,
                prepare=self._listen_to_connections,
            )
        except NoDescriptor as error:
            log.error("cannot connect to the depot", reason=error.message, again_in=NO_DESCRIPTOR_SECONDS)
            self._connect_at = now + NO_DESCRIPTOR_SECONDS
            return
        self._connect_at = None
        self._poller.register(self._depot, zmq.POLLIN)
        self._offer_all_at(now)

    def _listen_to_connections(self, socket: zmq.Socket[bytes]) -> None:
        self._monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._poller.register(self._monitor, zmq.POLLIN)

    def _disconnect(self) -> None:
        self._absences.back(Lane.DEPOT)
        if self._depot is not None:
            self._poller.unregister(self._depot)
            self._depot.disable_monitor()
            self._depot.close()
            self._depot = None
        if self._monitor is not None:
            self._poller.unregister(self._monitor)
            self._monitor.close()
            self._monitor = None
