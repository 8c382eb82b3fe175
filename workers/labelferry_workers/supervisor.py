"""The supervisor: the worker process's actor. Owns the sockets, the children, the uploader's pair and the staging directory.

One turn: time first (a lease that has run out must not be worked on), then orders, then the broker, then children, then the
uploader. The crew decides; `_do` performs.
"""

import secrets
import socket as host_names
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import zmq

from labelferry_protocol import codec
from labelferry_protocol.endpoints import Lane, reached
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.requests import Refused
from labelferry_protocol.work import CancelOrder, Holding
from labelferry_transport.lifeline import Lifeline
from labelferry_transport.logs import Log
from labelferry_transport.notice import Notice
from labelferry_transport.process_mark import own_mark
from labelferry_workers import instructions as do
from labelferry_workers.checkpoints import Checkpoints
from labelferry_workers.crew import Crew
from labelferry_workers.errands import Carried, Carry, Carrying, Connect, Drop, FromUploader, NotCarried
from labelferry_workers.kept_child import Death
from labelferry_workers.link import Link
from labelferry_workers.membership import Identity
from labelferry_workers.pool import Pool, child_options
from labelferry_workers.settings import WorkerSettings
from labelferry_workers.staging import BUNDLE, Staging, put_beside, take_back
from labelferry_workers.uploader_thread import UploaderThread

LONGEST_PATIENCE_SECONDS = 1.0

log = Log("supervisor")


def steady_clock() -> float:
    """Return seconds that never jump, and that go on while the machine sleeps, as the leases do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Supervisor:
    """One worker. All state is here; `run` serves until it is told to go."""

    def __init__(
        self,
        settings: WorkerSettings,
        context: zmq.Context[zmq.Socket[bytes]],
        say_ready: Callable[[str], None],
        *,
        software: str = "",
        log_level: str = "info",
        notice: Notice | None = None,
        clock: Callable[[], float] = steady_clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._say_ready = say_ready
        self._notice = notice or Notice()
        self._clock = clock
        self._wall = wall
        self._worker_id = secrets.token_hex(16)
        self._staging = Staging(settings.staging, self._worker_id)
        self._checkpoints = Checkpoints(settings.staging)
        host = host_names.gethostname()[:255]
        bundles = settings.slots * settings.crew.bundles_per_slot
        identity = Identity(self._worker_id, host, settings.slots, software, own_mark(), bundles)
        self._crew = Crew(identity, settings.crew)
        self._link = Link(context, settings.broker, settings.keys, self._worker_id, software)
        options = child_options(self._staging.place, settings, log_level)
        self._pool = Pool(settings.pool, settings.slots, options)
        self._lifeline = Lifeline(until_eof=settings.until_eof)
        self._uploader = UploaderThread(context, settings.keys)
        self._poller = zmq.Poller()
        self._polled: dict[zmq.Socket[bytes] | int, int] = {}
        self._going = False
        self._left = False
        self._reached = False

    def run(self) -> None:
        """Serve; raise `Refusal` when the broker will not have this worker, or cannot be reached in the time given."""
        try:
            self._staging.sweep()
            self._sweep_checkpoints()
            self._crew.found(self._checkpoints.jobs)
            self._give_up_at = self._clock() + (self._settings.connect_timeout or 0.0)
            while not self._left:
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        self._listen()
        ready = {place for place, _ in self._poller.poll(self._patience())}
        now = self._clock()
        self._notice.alive(now)
        if self._crew.out_of_room:
            self._do(self._crew.measured(self._staging.free_bytes(), now))
        self._do(self._crew.tick(now))
        # Only where something came; everywhere when the turn comes for another reason.
        if not ready or ready.intersection(self._lifeline.descriptors):
            self._from_system()
        if not ready or self._link.control in ready:
            self._from_control()
        if not ready or self._link.requests in ready or ready.intersection(self._link.monitors):
            self._from_link(now)
        if not ready or self._link.work in ready:
            self._from_work()
        self._from_children(ready)
        if self._uploader.pair in ready:
            self._from_uploader()
        self._uploader.check()
        self._link.mend(now)
        self._link.greet(now)
        self._pool.fill(now)
        self._staging.clear_again(now)

    def _from_system(self) -> None:
        if self._lifeline.owner_gone():
            log.info("the owner is gone")
            self._left = True
        for _ in range(self._lifeline.requests()):
            if self._going:
                log.info("told to go twice: leaving at once")
                self._left = True
            else:
                log.info("told to go: taking no more", drain_seconds=self._settings.crew.drain_seconds)
                self._going = True
                self._notice.stopping()
                self._do(self._crew.drain(self._clock()))

    def _from_link(self, now: float) -> None:
        for connected in self._link.connections(now):
            log.info("connected to the broker" if connected else "lost the connection to the broker")
            if connected:
                self._do(self._crew.connected(now))
            else:
                self._crew.disconnected()
        welcome = self._link.welcomed(now)
        if welcome is not None:
            self._reached = True
            log.info("welcomed", user=welcome.user, role=welcome.role, epoch=welcome.epoch)
            place = reached(welcome.endpoints[Lane.DEPOT], self._settings.broker)
            self._uploader.tell(Connect(endpoint=place))
        if not self._reached and self._settings.connect_timeout is not None and now >= self._give_up_at:
            raise Refusal(Code.PROTOCOL, f"no broker answers at {self._settings.broker}: is it running?")

    def _from_control(self) -> None:
        for order in self._link.from_control():
            if isinstance(order, CancelOrder):
                _log_order(order)
            self._do(self._crew.ordered(order, self._clock()))

    def _from_work(self) -> None:
        for ref, message in self._link.from_work():
            key = self._crew.about(ref)
            about = {} if key is None else {"job": key.job_id, "attempt": key.attempt}
            if isinstance(message, Refused):
                log.info("the broker refused", code=message.code, reason=message.message, **about)
            elif isinstance(message, CancelOrder):
                _log_order(message)
            else:
                log.debug("the broker said", kind=codec.kind(message), ref=ref, **about)
            self._do(self._crew.broker_said(ref, message, self._clock()))

    def _from_children(self, ready: set[zmq.Socket[bytes] | int]) -> None:
        for child in list(self._pool.children):
            if child.channel.fileno() in ready:
                for report in self._pool.hear(child):
                    self._do(self._crew.child_said(report, self._clock()))
            if child.sentinel is None or child.sentinel in ready:
                end = self._pool.reap(child, self._clock())
                if isinstance(end, Death):
                    log.info("a child ended", job=end.key.job_id, attempt=end.key.attempt, how=end.how)
                    self._do(self._crew.child_died(end.key, end.how, self._clock()))
                elif end is not None:
                    self._do(self._crew.child_said(end, self._clock()))

    def _from_uploader(self) -> None:
        while self._uploader.pair.poll(0):
            word = codec.unpack(self._uploader.pair.recv(), FromUploader)
            match word:
                case Carrying(key=key, sent=sent, seconds_left=left, waiting=waiting):
                    self._do(self._crew.bringing(key, sent, left, waiting))
                case Carried(key=key, receipt=receipt):
                    self._do(self._crew.brought(key, receipt, self._clock()))
                case NotCarried(key=key, code=code, message=message):
                    self._do(self._crew.not_brought(key, code, message, self._clock()))

    def _do(self, decided: Iterable[do.Instruction]) -> None:
        waiting: deque[Iterable[do.Instruction]] = deque([list(decided)])
        while waiting:
            for each in waiting.popleft():
                follows = self._perform(each)
                if follows is not None:
                    waiting.append(list(follows))

    def _perform(self, each: do.Instruction) -> Iterable[do.Instruction] | None:
        match each:
            case do.Send(message=message, ref=ref):
                self._link.say(message, ref)
            case do.Show(frame=frame):
                self._link.publish(msgspec.structs.replace(frame, timestamp=self._wall()))
            case do.Begin():
                return self._begin(each)
            case do.Stop(order=order):
                self._pool.stop(order)
            case do.Kill(key=key):
                return self._kill(key)
            case do.Clear(key=key):
                clean = self._staging.clear(key)
                clean = (not each.for_good or self._checkpoints.remove(key.job_id)) and clean
                kept = not each.for_good and self._checkpoints.has(key.job_id)
                log.info("cleared", job=key.job_id, attempt=key.attempt, clean=clean, kept=kept)
                return self._crew.cleared(key, clean=clean, now=self._clock(), kept=kept)
            case do.Forget(job_id=job_id, attempt=attempt):
                clean = self._checkpoints.remove(job_id)
                if attempt is not None:
                    return self._crew.forgotten(Holding(job_id=job_id, attempt=attempt), clean=clean, now=self._clock())
            case do.Bring(key=key, token=token, size=size, place=place):
                path = self._staging.path(key) / BUNDLE
                if place is not None and put_beside(path, Path(place)):
                    log.debug("put the bundle in the depot's folder", job=key.job_id, attempt=key.attempt)
                self._uploader.tell(Carry(key=key, token=token, path=str(path), size=size))
            case do.Abandon(key=key, place=place):
                if place is not None:
                    take_back(self._staging.path(key) / BUNDLE, Path(place))
                self._uploader.tell(Drop(key=key))
            case do.Watch(job_id=job_id):
                self._link.watch(job_id)
            case do.Unwatch(job_id=job_id):
                self._link.unwatch(job_id)
            case do.Announce():
                self._say_ready(self._worker_id)
                self._notice.ready()
            case do.Reconnect():
                log.warning("the broker does not answer: connecting anew")
                self._link.renew(self._clock())
            case do.StillOut(seconds=seconds):
                log.warning(
                    "no broker has let this worker in",
                    broker=self._settings.broker,
                    seconds=round(seconds),
                    advice=_advice(self._settings),
                )
            case do.GiveUp(code=code, message=message):
                raise Refusal(code, message)
            case do.Leave():
                self._left = True
        return None

    def _begin(self, each: do.Begin) -> Iterable[do.Instruction] | None:
        lease = each.lease
        key = Holding(job_id=lease.job_id, attempt=lease.attempt)
        self._sweep_checkpoints()
        log.info("leased", job=key.job_id, attempt=key.attempt, project=lease.project)
        try:
            self._staging.make(key)
        except OSError as error:
            how = f"could not be started: no staging directory: {error.strerror}"
            return self._crew.child_died(key, how, self._clock())
        how_not = self._pool.begin(lease)
        return None if how_not is None else self._crew.child_died(key, how_not, self._clock())

    def _sweep_checkpoints(self) -> None:
        self._checkpoints.sweep(self._wall(), {key.job_id for key in self._crew.holding})

    def _kill(self, key: Holding) -> Iterable[do.Instruction] | None:
        log.info("killing", job=key.job_id, attempt=key.attempt)
        if self._pool.kill(key):
            return None
        return self._crew.child_died(key, "was gone already", self._clock())

    def _listen(self) -> None:
        """Poll exactly what is there now; children and connections come and go."""
        wanted: dict[zmq.Socket[bytes] | int, int] = dict.fromkeys(
            [*self._link.sockets, self._uploader.pair], zmq.POLLIN
        )
        wanted.update(dict.fromkeys(self._lifeline.descriptors, zmq.POLLIN))
        for child in self._pool.children:
            wanted.update(dict.fromkeys(child.descriptors, zmq.POLLIN))
            if child.channel.backlog and not child.broken:
                wanted[child.channel.fileno()] = zmq.POLLIN | zmq.POLLOUT
        for place in self._polled.keys() - wanted.keys():
            self._poller.unregister(place)
        for place, events in wanted.items():
            if self._polled.get(place) != events:
                self._poller.register(place, events)
        self._polled = wanted

    def _patience(self) -> int:
        now = self._clock()
        moments = [self._crew.next_at, self._link.next_at, self._pool.next_at]
        soonest = min([now + LONGEST_PATIENCE_SECONDS, *(moment for moment in moments if moment is not None)])
        return max(0, int((soonest - now) * 1000) + 1) if soonest > now else 0

    def _close(self) -> None:
        self._pool.close()
        self._uploader.close()
        self._link.close()
        self._lifeline.close()
        if not self._staging.close():
            log.error("something is left in the staging directory", place=self._staging.place)


def _advice(settings: WorkerSettings) -> str:
    if settings.keys is None:
        return "is it running there? if it has keys, this worker needs one: --key FILE"
    return f"is it running there, and does it know the key {settings.key_name}?"


def _log_order(order: CancelOrder) -> None:
    log.info("cancel ordered", job=order.job_id, attempt=order.attempt, keep_partial=order.keep_partial)
