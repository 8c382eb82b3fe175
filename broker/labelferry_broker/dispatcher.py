"""The dispatcher: the broker's actor. Owns every lane but the depot's, and performs what the ledger decides; decides nothing of jobs itself.

One turn: drain what came, the weighty before the light -> the ledger -> one transaction -> send and publish. Nobody is told
of what could still be forgotten. When the transaction is refused, or the ledger fails, nothing of the turn is sent: a new
ledger is made from the store, under a new epoch, as after a restart.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from labelferry_broker.admission import Admission
from labelferry_broker.connections import Connections
from labelferry_broker.delivery import Delivery
from labelferry_broker.depot_post import DepotPost
from labelferry_broker.doorman import Doorman
from labelferry_broker.fanout import Fanout
from labelferry_broker.gauges import Gauges
from labelferry_broker.intake import Parts, drain, within
from labelferry_broker.lanes import DISPATCHED, Lanes
from labelferry_broker.ledger.effects import SAVES, AddJob, Effect, EndAttempt, Save, UpdateJob
from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.rows import JobRow
from labelferry_broker.ledger.settings import LedgerSettings, Moment
from labelferry_broker.nearby import Nearby
from labelferry_broker.neighbours import Neighbours
from labelferry_broker.reception import LedgerFault, Reception
from labelferry_broker.store.diverged import Diverged
from labelferry_broker.store.store import Store
from labelferry_broker.tenure import Tenure
from labelferry_protocol import codec, limits, version
from labelferry_protocol.depot import DepotReady
from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import Beat, Cancelled
from labelferry_protocol.requests import Hello, Welcome
from labelferry_protocol.topics import BEAT
from labelferry_transport.lifeline import Lifeline
from labelferry_transport.logs import Log
from labelferry_transport.notice import Notice
from labelferry_transport.speaker import Speaker

BATCH = 200
"""Messages of one lane taken in one turn."""
LIGHT_SECONDS = 0.02
"""No further message is taken in a turn from a lane that anybody may fill when those before it took so long. Each connection's next
message comes in its turn, so what one of them asks, however much, keeps nobody's cancel waiting for longer than a turn or two."""
LONGEST_PATIENCE_SECONDS = 0.5
"""A turn at least so often: the depot and the doorman are looked at in each."""

log = Log("dispatcher")


def _read_clocks() -> Moment:
    return Moment(time.monotonic(), time.time())


@dataclass(frozen=True)
class DispatcherSettings:
    """What a dispatcher tells and signs: the lanes' endpoints as peers are told, the secret shared with the depot, the ledger's numbers; the state directory, if peers here are told of it."""

    endpoints: dict[str, str]
    secret: bytes
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    state: Path | None = None
    unix_only: bool = False
    """Whether every peer comes by a unix socket."""


class Dispatcher:
    """The broker's one loop. Everything it uses is handed in, opened; `run` serves until it is told to end."""

    def __init__(
        self,
        settings: DispatcherSettings,
        lanes: Lanes,
        store: Store,
        depot: DepotPost,
        doorman: Doorman | None = None,
        notice: Notice | None = None,
        gauges: Gauges | None = None,
        clock: Callable[[], Moment] = _read_clocks,
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._store = store
        self._depot = depot
        self._doorman = doorman
        self._notice = notice or Notice()
        self._gauges = gauges or Gauges()
        self._clock = clock
        self._began = clock().steady
        self._connections = {lane: Connections(lanes.socket(lane)) for lane in DISPATCHED}
        self._workers = self._connections[Lane.WORK]
        self._events = Fanout(lanes.events, self._connections[Lane.EVENTS], open_door=lanes.open_door)
        self._control = Fanout(lanes.control, self._connections[Lane.CONTROL], open_door=lanes.open_door)
        self._admission = Admission(self._events, self._control, self._beat_of)
        self._neighbours = Neighbours()
        nearby = Nearby(settings.state, self._neighbours, settings.unix_only)
        self._delivery = Delivery(lanes, self._events, self._control, depot, settings.secret, nearby)
        self._ready = False
        self._beat_at = -math.inf
        self._came: set[zmq.Socket[bytes] | int] = set()
        """Where something came before this turn; empty when a turn comes for another reason."""
        self._tenure = Tenure(store, settings.ledger, clock())
        self._reception = Reception(settings.secret, self._greet, self._neighbours, open_door=lanes.open_door)

    def run(self, lifeline: Lifeline, announce: Callable[[], None]) -> None:
        """Serve until the end is asked for; `announce` is called once, when the depot serves too. Raises `Refusal` when it cannot go on."""
        poller = self._poller(
            [self._depot.socket, self._workers.monitor, *map(self._lanes.socket, DISPATCHED)], lifeline
        )
        deaf, shut = self._poller([], lifeline), self._poller([self._lanes.requests], lifeline)
        announced = False
        try:
            while not (self._looks_at(*lifeline.descriptors) and lifeline.ended()):
                self._look_after()
                if not self._tenure.whole and self._tenure.restore(self._clock()):
                    self._depot.introduce()
                    self._came.clear()
                if self._tenure.whole:
                    self._turn()
                else:
                    self._turn_away()
                if self._ready and not announced:
                    announced = True
                    announce()
                    self._notice.ready()
                hears = poller if self._tenure.whole else deaf if self._tenure.fault is None else shut
                came = hears.poll(self._patience())
                self._came = {source for source, _ in came}
        finally:
            for connections in self._connections.values():
                connections.close()

    def _turn_away(self) -> None:
        """Say to whom it can be said without harm that there is no ledger to ask now."""
        if self._tenure.fault is None:
            return
        for parts in self._drain(Lane.REQUESTS):
            self._delivery.perform(self._reception.turn_away(parts, self._tenure.fault))

    def _turn(self) -> None:
        """Take one turn; whatever goes wrong in it is the end of this ledger, not of the broker."""
        now = self._clock()
        try:
            self._take_turn(now)
        except Diverged as error:
            raise Refusal(Code.STORE, f"the broker stops, for its ledger is not what it wrote: {error}") from error
        except LedgerFault as fault:
            log.fault("the ledger failed on a message")
            self._delivery.perform([fault.answer])
            self._tenure.fail(now)
        except Refusal as refusal:
            log.error("turn not written", reason=refusal.message)
            self._tenure.fail(now)
        except Exception:  # noqa: BLE001 - the shell: a fault in one turn must not take all workers down with it
            log.fault("turn failed")
            self._tenure.fail(now)

    def _take_turn(self, now: Moment) -> None:
        effects = self._hear(now)
        saves = [effect for effect in effects if isinstance(effect, SAVES)]
        self._store.apply(saves)
        self._ledger.persisted()
        _log_moves(saves)
        self._delivery.perform([effect for effect in effects if not isinstance(effect, SAVES)])
        if self._looks_at(self._lanes.events):
            self._admission.watchers(self._ledger, now)
        if self._looks_at(self._lanes.control):
            self._admission.listeners()
        self._beat(now)
        self._gauges.turns.add(self._clock().steady - now.steady)

    def _hear(self, now: Moment) -> list[Effect]:
        """Return the ledger's effects of all that came, and of the time."""
        effects: list[Effect] = []
        for _, peer in self._workers.gone() if self._looks_at(self._workers.monitor) else ():
            if peer is not None:
                effects += self._lose(peer, now)
        for peer in self._neighbours.ended():
            effects += self._ledger.worker_ended(peer, now)
        for said in self._depot.heard() if self._looks_at(self._depot.socket) else ():
            self._ready = self._ready or isinstance(said, DepotReady)
            effects += self._ledger.depot_said(said, now)
        for parts in drain(self._lanes.work, BATCH) if self._looks_at(self._lanes.work) else ():
            before = self._workers.seen(parts[-1], parts[0].bytes)
            if before is not None:
                effects += self._lose(before, now)
            effects += self._reception.from_worker(self._ledger, parts, now)
        for parts in self._drain(Lane.REQUESTS):
            effects += self._reception.from_client(self._ledger, parts, now)
        for parts in self._drain(Lane.PROGRESS):
            effects += self._reception.from_progress(self._ledger, parts, now)
        due = self._ledger.next_deadline
        if due is not None and due <= now.steady:
            effects += self._ledger.tick(now)
        return effects

    def _lose(self, peer: bytes, now: Moment) -> list[Effect]:
        """Take note that a worker's connection has gone."""
        watched = self._neighbours.left(peer, now.steady)
        log.info("the connection of a worker went", peer=peer.hex(), watched=watched)
        return self._ledger.worker_dropped(peer, now, watched=watched)

    @property
    def _ledger(self) -> Ledger:
        return self._tenure.ledger

    def _looks_at(self, *sources: zmq.Socket[bytes] | int) -> bool:
        """Whether one of these is looked at in this turn: where something came, or all when a turn comes for another reason."""
        return not self._came or not self._came.isdisjoint(sources)

    def _drain(self, lane: Lane) -> Iterator[Parts]:
        """Yield what came on a lane, and note on which connections, for `LIGHT_SECONDS`; who has gone from there is nobody's concern."""
        if not self._looks_at(self._lanes.socket(lane)):
            return
        connections = self._connections[lane]
        connections.gone()
        for parts in within(LIGHT_SECONDS, self._read_steady, drain(self._lanes.socket(lane), BATCH)):
            connections.seen(parts[-1], parts[0].bytes if lane is Lane.REQUESTS else b"")
            yield parts

    def _read_steady(self) -> float:
        return self._clock().steady

    def _greet(self, peer: bytes, ref: str, speaker: Speaker, hello: Hello) -> None:
        agreed = version.agree(hello.minimum_version, hello.maximum_version)
        welcome = Welcome(
            version=agreed,
            features=tuple(sorted(version.FEATURES)),
            epoch=self._store.epoch,
            user=speaker.user,
            role=speaker.role,
            endpoints=self._settings.endpoints,
            software=self._settings.ledger.software,
            timestamp=self._clock().wall,
        )
        self._delivery.answer(peer, ref, welcome)

    def _beat(self, now: Moment) -> None:
        if now.steady - self._beat_at < limits.BEAT_SECONDS:
            return
        self._beat_at = now.steady
        self._store.check_files()
        self._events.publish(BEAT, codec.pack(self._beat_of(now)))
        unsent = self._delivery.unsent()
        self._gauges.unsent += unsent
        self._ledger.doors_said(shut=self._gauges.full)
        self._gauges.show(self._ledger, self._events, self._store.epoch, now, uptime=now.steady - self._began)
        if unsent:
            log.warning("messages found nobody", count=unsent)

    def _beat_of(self, now: Moment) -> Beat:
        return Beat(epoch=self._store.epoch, timestamp=now.wall)

    def _look_after(self) -> None:
        """See that the depot's process and the doorman live, and say that this loop does."""
        self._notice.alive(self._clock().steady)
        if self._doorman is not None and not self._doorman.alive:
            raise Refusal(Code.INTERNAL, "the doorman has died, so the broker stops: start it again, and report this")
        if self._depot.watch():
            self._ledger.depot_lost()
        revoked = self._doorman.revoked() if self._doorman is not None else frozenset()
        if revoked:
            cuts = sum(connections.cut_named(revoked) for connections in self._connections.values())
            log.warning("keys taken back", names=",".join(sorted(revoked)), connections_cut=cuts)

    def _poller(self, sockets: Sequence[zmq.Socket[bytes]], lifeline: Lifeline) -> zmq.Poller:
        poller = zmq.Poller()
        for source in [*sockets, *lifeline.descriptors]:
            poller.register(source, zmq.POLLIN)
        return poller

    def _patience(self) -> int:
        """Return how long to wait for something to come, in milliseconds."""
        if not self._tenure.whole:
            return int(1000 * LONGEST_PATIENCE_SECONDS)
        now = self._clock().steady
        due = [self._beat_at + limits.BEAT_SECONDS, self._ledger.next_deadline, self._depot.due]
        due.append(self._neighbours.next_at(now))
        left = min(each for each in due if each is not None) - now
        return math.ceil(1000 * max(0.0, min(left, LONGEST_PATIENCE_SECONDS)))


def _log_moves(saves: Iterable[Save]) -> None:
    for save in saves:
        if isinstance(save, AddJob):
            log.info("job submitted", job=save.row.job_id, owner=save.row.owner)
        elif isinstance(save, UpdateJob) and save.previous is not save.row.state:
            row = save.row
            log.info(f"job {row.state}", job=row.job_id, attempt=row.attempt, worker=row.worker_id, **_whose_hand(row))
        elif isinstance(save, EndAttempt):
            facts = {"outcome": save.outcome, "reason": save.reason or None}
            log.info("attempt ended", job=save.job_id, attempt=save.attempt, **facts)


def _whose_hand(row: JobRow) -> dict[str, object]:
    """Return by whom a job is cancelled and why, and of one that is, whether all of it is gone from the workers."""
    facts: dict[str, object] = {}
    if row.cancel is not None:
        facts = {"by": row.cancel.by, "who": row.cancel.who or None, "reason": row.cancel.reason or None}
    if isinstance(row.terminal, Cancelled):
        facts["cleaned_up"] = row.terminal.cleanup_completed
    return facts
