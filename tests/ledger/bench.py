"""A ledger on a bench: a real one over the store's twin, each call a whole turn, and short words for what is said to it."""

import itertools
from typing import Any, TypeVar

from labelferry_broker.ledger.effects import SAVES, Effect, Order, Publish, Reply, Sending, Tell
from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.settings import Asker, LedgerSettings, Moment
from labelferry_broker.store.memory import MemoryStore
from labelferry_protocol.events import Event, ExportCounts, Snapshot, StageProgress
from labelferry_protocol.message import Message
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.requests import ClientSays, GetSnapshot, Submit, Submitted
from labelferry_protocol.tokens import Claims
from labelferry_protocol.words import Stage
from labelferry_protocol.work import (
    AttemptFinished,
    AttemptStarted,
    Holding,
    Lease,
    ProgressFrame,
    Register,
    Renew,
    RequestPublish,
    WorkerSays,
)

M = TypeVar("M", bound=Message)
E = TypeVar("E", bound=Event)

ADA, BO, ROOT = Asker("ada"), Asker("bo"), Asker("root", admin=True)
W1, W2 = "1" * 32, "2" * 32
SHA = "a" * 64


class Bench:
    """One broker process after another, on one store. `said` is all that was sent so far."""

    def __init__(self, settings: LedgerSettings | None = None) -> None:
        self.settings = settings or LedgerSettings(software="test")
        self.store = MemoryStore()
        self.now = 100.0
        self.wall = 1_000_000.0
        self.said: list[Sending] = []
        self._ids = itertools.count(1)
        self.ledger = self._start()

    def restart(self) -> None:
        """Kill the broker and begin another."""
        self.store.begin_epoch()
        self.ledger = self._start()

    def ask(self, message: ClientSays, asker: Asker = ADA, peer: bytes = b"c", ref: str = "r") -> list[Message]:
        """Let a client say something; return what it is answered, tokens apart."""
        effects = self._turn(self.ledger.client_said(peer, ref, asker, message, self.moment))
        return [effect.message for effect in effects if isinstance(effect, Reply) and effect.peer == peer]

    def tell(
        self, message: WorkerSays, user: str = "crew", receipt: Claims | None = None, peer: bytes | None = None
    ) -> list[Message]:
        """Let a worker say something; return what it is told."""
        peer = peer or message.worker_id.encode()
        effects = self._turn(self.ledger.worker_said(peer, "w", user, message, self.moment, receipt))
        return [effect.message for effect in effects if isinstance(effect, Tell) and effect.peer == peer]

    def do(self, effects: list[Effect]) -> list[Sending]:
        """Do what any other call of the ledger has decided."""
        return self._turn(effects)

    def wait(self, seconds: float) -> list[Sending]:
        """Let time pass, with every deadline met in its time."""
        until, said = self.now + seconds, []
        while (deadline := self.ledger.next_deadline) is not None and deadline <= until:
            self.wall += max(0.0, deadline - self.now)
            self.now = max(self.now, deadline)
            said += self._turn(self.ledger.tick(self.moment))
        self.wall += until - self.now
        self.now = until
        return said

    @property
    def moment(self) -> Moment:
        """Now."""
        return Moment(self.now, self.wall)

    def submit(self, key: str = "k", asker: Asker = ADA, **options: Any) -> str:
        """Submit a job; return its id."""
        message = Submit(idempotency_key=key, source=Source(location="/data/nuclei"), options=ExportOptions(**options))
        (answer,) = self.ask(message, asker)
        assert isinstance(answer, Submitted), answer
        return answer.job_id

    def register(
        self,
        worker_id: str = W1,
        *holding: Holding,
        slots: int = 1,
        user: str = "crew",
        peer: bytes | None = None,
        keeping: tuple[str, ...] = (),
    ) -> list[Message]:
        """Let a worker register."""
        message = Register(worker_id=worker_id, host="host", slots=slots, holding=holding, keeping=keeping)
        return self.tell(message, user, peer=peer)

    def renew(self, worker_id: str = W1, *holding: Holding, keeping: tuple[str, ...] = ()) -> list[Message]:
        """Let a worker renew."""
        return self.tell(Renew(worker_id=worker_id, holding=holding, keeping=keeping))

    def start(self, job_id: str, attempt: int = 1, worker_id: str = W1) -> list[Message]:
        """Let a worker say that an attempt has begun."""
        return self.tell(AttemptStarted(worker_id=worker_id, job_id=job_id, attempt=attempt))

    def running(self, **options: Any) -> str:
        """Return a job that runs at the worker W1."""
        self.register()
        job_id = self.submit(**options)
        self.start(job_id)
        return job_id

    def publish(self, job_id: str, attempt: int = 1, worker_id: str = W1, *, partial: bool = False) -> list[Message]:
        """Let a worker ask to publish."""
        return self.tell(
            RequestPublish(worker_id=worker_id, job_id=job_id, attempt=attempt, size=10, sha256=SHA, partial=partial)
        )

    def finish(self, job_id: str, attempt: int = 1, worker_id: str = W1) -> list[Message]:
        """Let a worker say that it has finished, with a receipt."""
        message = AttemptFinished(
            worker_id=worker_id, job_id=job_id, attempt=attempt, receipt=b"t", counts=ExportCounts(images=3)
        )
        return self.tell(message, receipt=receipt(job_id, attempt))

    def progress(
        self,
        job_id: str,
        progress: float,
        attempt: int = 1,
        worker_id: str = W1,
        user: str = "crew",
        *,
        stalled: bool = False,
    ) -> list[Sending]:
        """Let a progress frame come in."""
        frame = ProgressFrame(
            worker_id=worker_id,
            job_id=job_id,
            attempt=attempt,
            progress=progress,
            stage=Stage.IMAGES,
            message=f"Copying images: {progress}",
            stage_progress=StageProgress(current=1, total=2),
            stalled=stalled,
        )
        return self._turn(self.ledger.progress_said(user, frame, self.moment))

    def snapshot(self, job_id: str) -> Snapshot:
        """Return what is known of a job."""
        (snapshot,) = self.ask(GetSnapshot(job_id=job_id), ROOT)
        assert isinstance(snapshot, Snapshot), snapshot
        return snapshot

    def events(self, job_id: str) -> list[Event]:
        """Return what subscribers were told of a job."""
        return [each.event for each in self.said if isinstance(each, Publish) and each.event.job_id == job_id]

    def leases(self, job_id: str) -> list[Lease]:
        """Return the leases that were told of a job."""
        told = [each.message for each in self.said if isinstance(each, Tell)]
        return [lease for lease in told if isinstance(lease, Lease) and lease.job_id == job_id]

    def sent(self, kind: type[Any]) -> list[Sending]:
        """Return what was sent that is, or carries, something of a class."""
        return [each for each in self.said if isinstance(getattr(each, "message", each), kind)]

    def _start(self) -> Ledger:
        return Ledger(
            self.settings,
            self.store.epoch,
            self.store,
            self.store.load(),
            self.moment,
            lambda: f"{next(self._ids):032x}",
        )

    def _turn(self, effects: list[Effect]) -> list[Sending]:
        self.store.apply([effect for effect in effects if isinstance(effect, SAVES)])
        self.ledger.persisted()
        sendings: list[Sending] = [effect for effect in effects if not isinstance(effect, SAVES)]
        self.said += sendings
        return sendings


def holding(job_id: str, attempt: int = 1) -> Holding:
    """Return an attempt that a worker lists."""
    return Holding(job_id=job_id, attempt=attempt)


def receipt(job_id: str, attempt: int = 1) -> Claims:
    """Return the claims of a depot's receipt."""
    return Claims(job_id=job_id, attempt=attempt, size=10, sha256=SHA, user="crew", expires_at=2e9)


def only(messages: list[Any], kind: type[M]) -> M:
    """Return the one message, which is of this class."""
    (message,) = messages
    assert isinstance(message, kind), message
    return message


def orders(said: list[Sending]) -> list[Order]:
    """Return the control frames among what was sent."""
    return [each for each in said if isinstance(each, Order)]
