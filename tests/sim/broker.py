"""The broker of a simulation: a real ledger over the store's twin, in turns, that can be killed at every point of a turn."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from tests.sim.depot import SECRET, Depot
from tests.sim.promises import SPARE_SECONDS, Promises
from tests.sim.world import World

from labelferry_broker.ledger.effects import (
    SAVES,
    AdmitDownload,
    AdmitUpload,
    Effect,
    Order,
    Publish,
    Reply,
    Save,
    Sending,
    Tell,
    TellDepot,
)
from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.settings import Asker, LedgerSettings
from labelferry_broker.store.memory import MemoryStore
from labelferry_protocol.depot import AskKeep, Discard, Keep
from labelferry_protocol.errors import LabelferryError
from labelferry_protocol.message import Message
from labelferry_protocol.requests import ClientSays
from labelferry_protocol.tokens import Claims, sign, verify
from labelferry_protocol.work import AttemptCancelled, AttemptFinished, ControlLane, ProgressFrame, WorkerSays

Call = Callable[[Ledger], list[Effect]]
SETTINGS = LedgerSettings(
    queued_per_user=50,
    seq_block=16,
    keep_seconds=60.0,
    keep_bytes=250,
    spare_seconds=SPARE_SECONDS,
    sweep_seconds=5.0,
)
"""So little is kept that bundles, of 100 bytes each, go in most histories."""


class Peer(Protocol):
    """Somebody at the other end of a connection."""

    connection: bytes

    def hear(self, ref: str, message: Message) -> None:
        """Take a message of the broker's."""

    def ordered(self, identity: str, message: ControlLane) -> None:
        """Take a frame of the control lane, on any topic."""


class Broker:
    """Drains its inbox in turns: decide, persist, send. `kind` is the ledger it runs, the real one or a broken one."""

    def __init__(self, world: World, promises: Promises, kind: type[Ledger]) -> None:
        self._world = world
        self._promises = promises
        self._kind = kind
        self.store = MemoryStore()
        self.depot = Depot(world, self._asked)
        self.peers: list[Peer] = []
        self.ledger: Ledger | None = None
        self._inbox: list[Call] = []
        self._turn_set = False
        self.incarnation = 0
        self.start()

    def start(self) -> None:
        """Begin an epoch with what the store has."""
        if self.ledger is None:
            epoch = self.store.begin_epoch()
            moment = self._world.moment
            self.ledger = self._kind(SETTINGS, epoch, self.store, self.store.load(), moment, self._world.new_id)
            self._promises.began(self.ledger, self.store)
            self.incarnation += 1
            self._set_tick()

    def die(self) -> None:
        """Be killed: the inbox and all connections are gone; come back after a while."""
        self.ledger = None
        self._inbox.clear()
        self.depot.broker_died()
        self._world.after(self._world.rng.uniform(0.05, 20.0), self.start)

    def from_client(self, peer: bytes, ref: str, asker: Asker, message: ClientSays) -> None:
        """Take a request."""
        self._take(lambda ledger: ledger.client_said(peer, ref, asker, message, self._world.moment))

    def from_worker(self, peer: bytes, ref: str, user: str, message: WorkerSays) -> None:
        """Take a worker's word, with its receipt verified."""
        receipt = self._receipt(message)
        self._take(lambda ledger: ledger.worker_said(peer, ref, user, message, self._world.moment, receipt))

    def from_progress(self, user: str, frame: ProgressFrame) -> None:
        """Take a progress frame."""
        self._take(lambda ledger: ledger.progress_said(user, frame, self._world.moment))

    def check_ended(self, job_id: str) -> None:
        """See that a job which a worker was told has ended is not one that goes on."""
        self._promises.check_ended(job_id)

    def dropped(self, peer: bytes) -> None:
        """See a connection go."""
        self._take(lambda ledger: ledger.worker_dropped(peer, self._world.moment))

    def _asked(self, message: AskKeep) -> None:
        if self.ledger is None:
            self.depot.broker_died()
        self._take(lambda ledger: ledger.depot_said(message, self._world.moment))

    def _take(self, call: Call) -> None:
        if self.ledger is not None:
            self._inbox.append(call)
            if not self._turn_set:
                self._turn_set = True
                self._world.after(self._world.rng.choice((0.0, 0.002, 0.02)), self._turn)

    def _turn(self) -> None:
        self._turn_set = False
        ledger, calls = self.ledger, self._inbox
        self._inbox = []
        if ledger is None:
            return
        effects = [effect for call in calls for effect in call(ledger)]
        effects += ledger.tick(self._world.moment)
        self._finish(ledger, effects)

    def _finish(self, ledger: Ledger, effects: list[Effect]) -> None:
        saves: list[Save] = [effect for effect in effects if isinstance(effect, SAVES)]
        sendings: list[Sending] = [effect for effect in effects if not isinstance(effect, SAVES)]
        dies = self._world.chance(self._world.weather.broker_dies * 0.1)
        point = self._world.rng.randrange(len(sendings) + 2) - 1 if dies else None
        if point == -1:
            self.die()
            return
        self.store.apply(saves)
        ledger.persisted()
        self._promises.decided(effects, self.store, ledger)
        for sending in sendings[:point]:
            self._send(sending)
        if dies:
            self.die()
        else:
            self._set_tick()

    def _set_tick(self) -> None:
        ledger = self.ledger
        if ledger is not None and (deadline := ledger.next_deadline) is not None:
            self._world.after(max(0.0, deadline - self._world.now), lambda: self._tick(ledger, deadline))

    def _tick(self, ledger: Ledger, deadline: float) -> None:
        if ledger is self.ledger and ledger.next_deadline == deadline:
            self._turn()

    def _send(self, sending: Sending) -> None:
        self._promises.sent(sending, self.store)
        match sending:
            case Publish():
                pass
            case Order(identity=identity, message=order):
                for peer in self.peers:
                    self._world.carry(partial(peer.ordered, identity, order))
            case TellDepot(message=Discard() as discard):
                self._world.carry(lambda: self.depot.told(discard))
            case TellDepot(message=Keep() as keep):
                self.depot.told(keep)
            case AdmitUpload() | AdmitDownload():
                token = sign(sending.claims, sending.purpose, SECRET)
                self._deliver(sending.peer, sending.ref, sending.message(token, None))
            case Reply(peer=to, ref=ref, message=message) | Tell(peer=to, ref=ref, message=message):
                self._deliver(to, ref, message)

    def _deliver(self, to: bytes, ref: str, message: Message) -> None:
        for peer in self.peers:
            if peer.connection == to:
                self._world.carry(partial(self._arrive, peer, to, ref, message))
                return

    @staticmethod
    def _arrive(peer: Peer, to: bytes, ref: str, message: Message) -> None:
        if peer.connection == to:
            peer.hear(ref, message)

    def _receipt(self, message: WorkerSays) -> Claims | None:
        if isinstance(message, AttemptFinished | AttemptCancelled) and message.receipt is not None:
            try:
                return verify(message.receipt, "receipt", SECRET, 0.0)
            except LabelferryError:
                return None
        return None
