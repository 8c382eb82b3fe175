"""A pretended worker: it keeps to the protocol as a supervisor must, on a bad network, and may die, stall or be cut off."""

from dataclasses import dataclass, field

from tests.sim.broker import SETTINGS, Broker
from tests.sim.world import World

from labelferry_protocol.depot import BundleStored
from labelferry_protocol.errors import Code
from labelferry_protocol.events import ExportCounts, StageProgress
from labelferry_protocol.message import Message
from labelferry_protocol.requests import Refused
from labelferry_protocol.words import Stage
from labelferry_protocol.work import (
    Acknowledged,
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    AttemptStarted,
    CancelOrder,
    CancelSeen,
    ControlLane,
    Drain,
    Fenced,
    Holding,
    Lease,
    ProgressFrame,
    PublishGranted,
    Register,
    Registered,
    Renew,
    Renewed,
    RequestPublish,
    WorkerSays,
)

COUNTS = ExportCounts(images=1)
LAST_WORDS = (AttemptFinished, AttemptFailed, AttemptCancelled)
MARGIN = 1.0
REPEAT = 2.0


@dataclass
class Held:
    """One attempt that the worker has: a child that runs, or a last word that is not answered yet."""

    holding: Holding
    running: bool = True
    order: CancelOrder | None = None
    progress: float = 0.0
    partial: bool = False
    silent: bool = False
    """Whether it is over before it would be said that it has begun: the next word says so."""
    says: dict[str, WorkerSays] = field(default_factory=dict)
    """What is repeated until it is answered, by correlation id."""


class Worker:
    """One supervisor process. `connection` changes with each reconnect; a worker that dies never comes back as itself."""

    def __init__(self, world: World, broker: Broker, name: str) -> None:
        self._world = world
        self._broker = broker
        self._user = name
        self.worker_id = world.new_id()
        self._slots = world.rng.choice((1, 1, 2))
        self._bundles = world.rng.choice((0, 2, 4))
        self.alive = True
        self.stalled = False
        self.cut_off = False
        self.connection = b""
        self._incarnation = 0
        self._connects = 0
        self._registered = False
        self._refs = 0
        self._asked_at: dict[str, float] = {}
        self._fence_from = world.now
        self._held: dict[str, Held] = {}
        self._seen: dict[str, int] = {}
        self._late: list[tuple[str, Message]] = []
        self._kept: set[str] = set()
        """Jobs of which finished work is kept here for another attempt."""
        broker.peers.append(self)
        self._connect()
        self._beat()
        self._repeat()

    @property
    def running(self) -> set[str]:
        """The jobs for which a child runs here."""
        return {job_id for job_id, held in self._held.items() if held.running}

    def die(self) -> None:
        """Be killed, children and all; the broker may see the connection go."""
        self.alive = False
        self._held.clear()
        self._broker.peers.remove(self)
        self._lose_connection()

    def stall(self, seconds: float) -> None:
        """Be stopped for a while; what comes in meanwhile is read afterwards."""
        self.stalled = True
        self._world.after(seconds, self._go_on)

    def cut(self, seconds: float) -> None:
        """Be cut off from the broker for a while; sometimes the broker sees it."""
        self.cut_off = True
        if self._world.chance(0.5):
            self._lose_connection()
        self._world.after(seconds, self._reconnect)

    def drain(self) -> None:
        """Take no more jobs."""
        self._say(self._ref(), Drain(worker_id=self.worker_id))

    def hear(self, ref: str, message: Message) -> None:
        """Take a message of the broker's."""
        if not self.alive or self.cut_off:
            return
        if self.stalled:
            self._late.append((ref, message))
            return
        self._check_fence()
        match message:
            case Registered() | Renewed():
                self._registered = True
                self._fence_from = max(self._fence_from, self._asked_at.get(ref, 0.0))
                for holding in message.abandon:
                    self._drop(holding.job_id, holding.attempt)
                for order in message.cancels:
                    self._obey(order)
                self._forget(message.ended)
            case Refused(code=Code.REGISTER):
                self._registered = False
                self._register()
            case Lease():
                self._take(message)
            case CancelOrder():
                self._obey(message, ref)
            case Fenced(job_id=job_id, attempt=attempt):
                self._drop(job_id, attempt)
            case Acknowledged():
                self._answered(ref)
            case PublishGranted(job_id=job_id, attempt=attempt, token=token):
                if self._pop(job_id, attempt, RequestPublish) is not None:
                    self._upload(job_id, attempt, token)

    def ordered(self, identity: str, message: ControlLane) -> None:
        """Take a control frame: only those of jobs that are held are subscribed to."""
        if identity in self._held and isinstance(message, CancelOrder):
            self.hear("", message)

    def _go_on(self) -> None:
        self.stalled = False
        if self.alive:
            self._check_fence()
            late, self._late = self._late, []
            for ref, message in late:
                self.hear(ref, message)

    def _lose_connection(self) -> None:
        gone, broker = self.connection, self._broker
        self._world.after(0.001, lambda: broker.dropped(gone))

    def _reconnect(self) -> None:
        self.cut_off = False
        if self.alive:
            self._connect()

    def _connect(self) -> None:
        self._connects += 1
        self._incarnation = self._broker.incarnation
        self.connection = f"{self.worker_id}.{self._connects}".encode()
        self._register()

    def _register(self) -> None:
        self._check_fence()
        ref = self._ref()
        self._asked_at[ref] = self._world.now
        holding = self._holding()
        me, slots = self.worker_id, self._slots
        register = Register(
            worker_id=me, host=self._user, slots=slots, holding=holding, bundles=self._bundles, keeping=self.keeping
        )
        self._say(ref, register)

    def _beat(self) -> None:
        """Renew now and then; a connection to a broker that died is made anew."""
        if not self.alive:
            return
        if not self.stalled:
            self._check_fence()
            if self._incarnation != self._broker.incarnation:
                self._connect()
            elif self._registered:
                ref = self._ref()
                self._asked_at[ref] = self._world.now
                self._say(ref, Renew(worker_id=self.worker_id, holding=self._holding(), keeping=self.keeping))
            else:
                self._register()
        self._world.after(SETTINGS.renew_seconds, self._beat)

    def _repeat(self) -> None:
        """Say again what was not answered."""
        if not self.alive:
            return
        if not self.stalled:
            self._check_fence()
            for held in list(self._held.values()):
                for ref, message in held.says.items():
                    self._say(ref, message)
        self._world.after(REPEAT, self._repeat)

    def _check_fence(self) -> None:
        """End everything before the broker may give it away."""
        if self._world.now - self._fence_from > SETTINGS.lease_seconds - MARGIN:
            self._held.clear()
            self._registered = False

    @property
    def keeping(self) -> tuple[str, ...]:
        """The jobs of which finished work is kept here."""
        return tuple(sorted(self._kept))

    def _forget(self, ended: tuple[str, ...]) -> None:
        """Remove what is kept of jobs of which the broker says that they have ended."""
        for job_id in ended:
            self._broker.check_ended(job_id)
        self._kept.difference_update(ended)

    def _holding(self) -> tuple[Holding, ...]:
        return tuple(held.holding for held in self._held.values())

    def _ref(self) -> str:
        self._refs += 1
        return str(self._refs)

    def _say(self, ref: str, message: WorkerSays) -> None:
        if self.alive and not self.cut_off:
            connection, user = self.connection, self._user
            self._world.carry(lambda: self._broker.from_worker(connection, ref, user, message))

    def _say_until_answered(self, held: Held, message: WorkerSays) -> None:
        ref = self._ref()
        held.says[ref] = message
        self._say(ref, message)

    def _take(self, lease: Lease) -> None:
        if self._seen.get(lease.job_id, 0) >= lease.attempt:
            return
        self._seen[lease.job_id] = lease.attempt
        held = Held(Holding(job_id=lease.job_id, attempt=lease.attempt))
        if self._world.chance(0.7):  # others know nothing of it, and begin at 0
            held.progress = lease.reached
        self._held[lease.job_id] = held
        held.silent = self._world.chance(0.3)
        if held.silent:
            self._world.after(self._world.rng.uniform(0.0, 0.01), lambda: self._end(held))
            return
        started = AttemptStarted(worker_id=self.worker_id, job_id=lease.job_id, attempt=lease.attempt)
        self._say_until_answered(held, started)
        self._world.after(self._world.rng.uniform(0.05, 2.0), lambda: self._work(held))

    def _work(self, held: Held) -> None:
        """Make some progress, or come to an end, unless the child was killed meanwhile."""
        if self._held.get(held.holding.job_id) is not held or not held.running or not self.alive:
            return
        rng = self._world.rng
        held.progress += rng.uniform(5, 60)
        if self.stalled or held.progress < 99:
            self._report(held)
            self._world.after(rng.uniform(0.1, 6.0), lambda: self._work(held))
        else:
            self._end(held)

    def _end(self, held: Held) -> None:
        """Come to an end by itself, unless the child was killed meanwhile."""
        if self._held.get(held.holding.job_id) is not held or not held.running or not self.alive:
            return
        if self.stalled:
            self._world.after(0.1, lambda: self._end(held))
        elif self._world.rng.random() < 0.2:
            self._fail(held)
        else:
            held.running = False
            self._ask_to_publish(held)

    def _report(self, held: Held) -> None:
        frame = ProgressFrame(
            worker_id=self.worker_id,
            job_id=held.holding.job_id,
            attempt=held.holding.attempt,
            progress=min(held.progress, 99.0),
            stage=Stage.IMAGES,
            message="",
            stage_progress=StageProgress(current=0, total=1),
        )
        if not self.cut_off and not self.stalled:
            self._world.carry(lambda: self._broker.from_progress(self._user, frame))

    def _fail(self, held: Held) -> None:
        held.running = False
        held.says.clear()
        retryable, kept = self._world.chance(0.6), self._world.chance(0.5)
        if retryable and kept:
            self._kept.add(held.holding.job_id)
        self._say_until_answered(
            held,
            AttemptFailed(
                worker_id=self.worker_id,
                job_id=held.holding.job_id,
                attempt=held.holding.attempt,
                code=Code.INTERNAL,
                message="it broke",
                retryable=retryable,
                kept=retryable and kept,
                begun=held.silent,
            ),
        )

    def _ask_to_publish(self, held: Held) -> None:
        request = RequestPublish(
            worker_id=self.worker_id,
            job_id=held.holding.job_id,
            attempt=held.holding.attempt,
            size=100,
            sha256="0" * 64,
            partial=held.partial,
        )
        self._say_until_answered(held, request)

    def _upload(self, job_id: str, attempt: int, token: bytes) -> None:
        """Bring the bundle, offering it again until its receipt comes."""
        held = self._held.get(job_id)
        if held is None or held.holding.attempt != attempt or not self.alive or self._has_spoken(held):
            return
        if not self.cut_off and not self.stalled:
            self._world.carry(lambda: self._broker.depot.offer(token, self._stored))
        self._world.after(REPEAT, lambda: self._upload(job_id, attempt, token))

    def _stored(self, stored: BundleStored) -> None:
        held = self._held.get(stored.job_id)
        if held is None or held.holding.attempt != stored.attempt or not self.alive or self.stalled:
            return
        if self._has_spoken(held) or (held.order is not None and not held.partial):
            return
        if held.partial:
            self._confirm(held, stored.receipt)
            return
        finished = AttemptFinished(
            worker_id=self.worker_id,
            job_id=stored.job_id,
            attempt=stored.attempt,
            receipt=stored.receipt,
            counts=COUNTS,
        )
        self._say_until_answered(held, finished)

    def _obey(self, order: CancelOrder, ref: str = "") -> None:
        kept = order.job_id in self._kept
        self._kept.discard(order.job_id)
        held = self._held.get(order.job_id)
        if held is None and kept:
            self._seen[order.job_id] = max(order.attempt, self._seen.get(order.job_id, 0))
            removing = Held(Holding(job_id=order.job_id, attempt=order.attempt), running=False)
            self._held[order.job_id] = removing
            self._world.after(self._world.rng.uniform(0.001, 0.5), lambda: self._confirm_kept(removing))
            return
        if held is None and self._seen.get(order.job_id, 0) < order.attempt:
            self._seen[order.job_id] = order.attempt  # its lease was lost: it will not begin here
            held = Held(Holding(job_id=order.job_id, attempt=order.attempt), running=False)
            self._held[order.job_id] = held
        if held is None or held.holding.attempt != order.attempt:
            return
        if isinstance(held.says.get(ref), AttemptStarted | RequestPublish | AttemptFinished):
            del held.says[ref]
        seen = CancelSeen(worker_id=self.worker_id, job_id=order.job_id, attempt=order.attempt)
        self._say("", seen)
        if held.order is None and not self._has_spoken(held):
            held.order = order
            self._world.after(self._world.rng.uniform(0.001, 0.5), lambda: self._stop(held))
        elif held.order is not None and not self._has_spoken(held):
            held.order = order
            if held.partial and not order.keep_partial:
                held.partial = False
                held.says.clear()
                self._confirm(held, None)

    def _stop(self, held: Held) -> None:
        if self._held.get(held.holding.job_id) is not held or self._has_spoken(held):
            return
        held.running = False
        held.says = {ref: said for ref, said in held.says.items() if isinstance(said, AttemptStarted)}
        if held.order is not None and held.order.keep_partial and self._world.chance(0.6):
            held.partial = True
            self._ask_to_publish(held)
        else:
            self._confirm(held, None)

    def _confirm_kept(self, held: Held) -> None:
        if self._held.get(held.holding.job_id) is held:
            self._confirm(held, None)

    def _confirm(self, held: Held, receipt: bytes | None) -> None:
        self._say_until_answered(
            held,
            AttemptCancelled(
                worker_id=self.worker_id,
                job_id=held.holding.job_id,
                attempt=held.holding.attempt,
                cleanup_completed=self._world.chance(0.95),
                receipt=receipt,
            ),
        )

    @staticmethod
    def _has_spoken(held: Held) -> bool:
        return any(isinstance(said, LAST_WORDS) for said in held.says.values())

    def _answered(self, ref: str) -> None:
        for job_id, held in list(self._held.items()):
            if isinstance(held.says.pop(ref, None), LAST_WORDS):
                del self._held[job_id]

    def _pop(self, job_id: str, attempt: int, kind: type[Message]) -> Message | None:
        held = self._held.get(job_id)
        if held is not None and held.holding.attempt == attempt:
            for ref, said in held.says.items():
                if isinstance(said, kind):
                    return held.says.pop(ref)
        return None

    def _drop(self, job_id: str, attempt: int) -> None:
        held = self._held.get(job_id)
        if held is not None and held.holding.attempt == attempt:
            del self._held[job_id]
