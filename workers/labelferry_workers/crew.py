"""What a worker does: the broker's messages, the children's reports and time in; instructions out. Pure.

The supervisor performs each instruction in the order given, and tells what came of it. What becomes of one attempt is
`attempts`, how the worker stays known `membership`, what waits for an answer `outbox`, when it may go `departure`.
"""

import itertools
from collections.abc import Iterable

from labelferry_protocol import requests, work
from labelferry_protocol.errors import Code
from labelferry_protocol.work import CancelOrder, DrainOrder, Holding, Holdings, Lease, RequestPublish
from labelferry_workers.attempts import Attempts
from labelferry_workers.departure import Departure
from labelferry_workers.endings import Instructions
from labelferry_workers.instructions import Announce, GiveUp
from labelferry_workers.kept import Kept
from labelferry_workers.membership import Asked, Identity, Membership
from labelferry_workers.outbox import Outbox
from labelferry_workers.reports import Broke, Report
from labelferry_workers.room import Room
from labelferry_workers.settings import CrewSettings

LEAST_MARGIN_SHARE = 0.2
BUSY_SECONDS = 1.0


class Crew:
    """All jobs of one worker, and its standing with the broker. `now` is a steady clock, in seconds.

    Every method returns what is to be done. The instructions are made while they are read: read them all, at once.
    """

    def __init__(self, identity: Identity, settings: CrewSettings) -> None:
        numbers = itertools.count(1)
        self._identity = identity
        self._settings = settings
        self._kept = Kept()
        self._membership = Membership(identity, self._kept, lambda: f"{next(numbers):x}")
        self._outbox = Outbox(lambda: f"{next(numbers):x}")
        self._departure = Departure(settings.drain_seconds, settings.goodbye_seconds)
        self._attempts = Attempts(identity, settings, self._outbox, self._kept)
        self._room = Room(settings.enough_free_bytes, settings.room_pause)
        self._announced = False

    @property
    def holding(self) -> Holdings:
        """What this worker holds, as it tells the broker."""
        return self._attempts.holding

    @property
    def next_at(self) -> float | None:
        """When `tick` has something to do next; None when nothing waits for time."""
        moments = [
            self._membership.next_at,
            self._departure.next_at,
            self._room.measure_at,
            self._attempts.next_at(self._margin),
            self._outbox.next_at if self._membership.registered else None,
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def about(self, ref: str) -> Holding | None:
        """Return the attempt about which something was said under this correlation id; None for all else."""
        return self._outbox.about(ref)

    def found(self, jobs: Iterable[str]) -> None:
        """Take note of jobs of which workers before this one have kept something here."""
        self._kept.add(jobs)

    def connected(self, now: float) -> Instructions:
        """Take note of a new connection to the broker."""
        self._membership.connected(now)
        yield from self._say(now)

    def disconnected(self) -> None:
        """Take note that there is none; work goes on until its leases are near their end."""
        self._membership.disconnected()

    def broker_said(self, ref: str, message: work.BrokerTellsWorker, now: float) -> Instructions:
        """Take a message of the work lane."""
        match message:
            case work.Registered():
                asked = self._membership.registered_as(ref, message, now)
                yield from self._renewed(asked, message, now)
                yield from self._begin_anew(asked, now)
            case work.Renewed():
                yield from self._renewed(self._membership.renewed(ref, now), message, now)
            case work.Lease():
                yield from self._leased(message, now)
            case work.PublishGranted():
                self._outbox.take(ref)
                key = Holding(job_id=message.job_id, attempt=message.attempt)
                yield from self._attempts.grant(key, message.token, message.place)
            case work.Acknowledged():
                yield from self._acknowledged(ref, now)
            case work.Fenced():
                yield from self._attempts.fence(Holding(job_id=message.job_id, attempt=message.attempt), now)
            case work.CancelOrder():
                self._outbox.take(ref)
                yield from self._attempts.cancel(message, now)
            case requests.Refused():
                yield from self._refused(ref, message, now)
        yield from self._settle(now)

    def ordered(self, order: CancelOrder | DrainOrder, now: float) -> Instructions:
        """Take an order of the control lane."""
        if isinstance(order, CancelOrder):
            yield from self._attempts.cancel(order, now)
        elif order.worker_id == self._identity.worker_id:
            yield from self.drain(now)
        yield from self._settle(now)

    def child_said(self, report: Report, now: float) -> Instructions:
        """Take a child's report."""
        if isinstance(report, Broke) and report.code is Code.DISK_FULL:
            self._room.ran_out(now)
            self._membership.pause(now, paused=True)
            # Said before the failure is: whoever waits is then leased to others first.
            yield from self._membership.due(self._attempts.holding, now)
        yield from self._attempts.report(report, now)
        yield from self._settle(now)

    def child_died(self, key: Holding, how: str, now: float) -> Instructions:
        """Take the end of the child that was at work on an attempt; `how` is a clause: `was killed by signal 9`."""
        yield from self._attempts.died(key, how, now)
        yield from self._settle(now)

    def cleared(self, key: Holding, *, clean: bool, now: float, kept: bool = False) -> Instructions:
        """Take what came of a `Clear`: whether nothing of the attempt is left, and whether something is kept for another one."""
        if kept:
            self._kept.add([key.job_id])
        yield from self._attempts.cleared(key, clean=clean, now=now)
        yield from self._settle(now)

    def forgotten(self, key: Holding, *, clean: bool, now: float) -> Instructions:
        """Take what came of a `Forget` that a cancel waits for: whether nothing is kept of the job any more."""
        self._attempts.forgotten(key, clean=clean, now=now)
        yield from self._settle(now)

    def bringing(self, key: Holding, sent: int, seconds_left: float | None, waiting: str = "") -> Instructions:
        """Take how much of a bundle has left for the depot, in bytes, and why nothing leaves, if that is so."""
        yield from self._attempts.bringing(key, sent, seconds_left, waiting)

    def brought(self, key: Holding, receipt: bytes, now: float) -> Instructions:
        """Take the depot's receipt for a bundle."""
        yield from self._attempts.brought(key, receipt, now)
        yield from self._settle(now)

    def not_brought(self, key: Holding, code: Code, message: str, now: float) -> Instructions:
        """Take the depot's refusal of a bundle."""
        yield from self._attempts.not_brought(key, code, message, now)
        yield from self._settle(now)

    def measured(self, free: int, now: float) -> Instructions:
        """Take how many bytes are free in staging."""
        self._room.measured(free, now)
        self._membership.pause(now, paused=self._room.out)
        yield from self._settle(now)

    @property
    def out_of_room(self) -> bool:
        """Whether what is free in staging should be measured."""
        return self._room.out

    def drain(self, now: float) -> Instructions:
        """Take no more, finish what is held within the drain time, then leave."""
        if self._departure.begin(now):
            self._outbox.put(work.Drain(worker_id=self._identity.worker_id), None, now)
            if self._kept.told:
                # Which of the jobs have ended: the answer comes before the drain's, so nothing of them is left behind.
                self._membership.hurry(now)
        yield from self._settle(now)

    def tick(self, now: float) -> Instructions:
        """Do what is due by now."""
        yield from self._attempts.tick(self._margin, now)
        if self._departure.out_of_time(now):
            yield from self._attempts.shut_down(now)
        yield from self._settle(now)

    @property
    def _margin(self) -> float:
        return min(self._settings.fence_margin, self._membership.lease_seconds * LEAST_MARGIN_SHARE)

    def _settle(self, now: float) -> Instructions:
        yield from self._say(now)
        yield from self._departure.look(now, busy=bool(self._attempts.holding))

    def _say(self, now: float) -> Instructions:
        yield from self._membership.due(self._attempts.holding, now)
        if self._membership.registered:
            yield from self._outbox.due(now)

    def _renewed(self, asked: Asked | None, message: work.Registered | work.Renewed, now: float) -> Instructions:
        if asked is None:
            return
        self._attempts.prolong(asked.holding, asked.sent_at + self._membership.lease_seconds)
        yield from self._attempts.show_again(asked.holding)
        for key in message.abandon:
            yield from self._attempts.fence(key, now)
        for order in message.cancels:
            yield from self._attempts.cancel(order, now)
        yield from self._attempts.ended(message.ended)

    def _begin_anew(self, asked: Asked | None, now: float) -> Instructions:
        if asked is None:
            return
        self._outbox.hurry(now)
        if not self._announced:
            self._announced = True
            yield Announce()

    def _leased(self, lease: Lease, now: float) -> Instructions:
        # After the broker has acknowledged the drain no lease is on its way; one before that is still ours to run.
        if self._attempts.busy < self._identity.slots and not self._departure.acknowledged:
            yield from self._attempts.begin(lease, self._membership.lease_from + self._membership.lease_seconds, now)

    def _acknowledged(self, ref: str, now: float) -> Instructions:
        entry = self._outbox.take(ref)
        if entry is None:
            return
        if entry.key is not None:
            yield from self._attempts.answered(entry.key, entry.message)
            if isinstance(entry.message, work.AttemptFailed) and entry.message.kept:
                # Whether it was the last attempt that the job may have.
                self._membership.hurry(now)
        else:
            self._departure.acknowledged = True

    def _refused(self, ref: str, message: requests.Refused, now: float) -> Instructions:
        about_membership = self._membership.refused(ref)
        wait = BUSY_SECONDS if message.code is Code.BUSY else message.retry_after
        if message.code is Code.REGISTER:
            self._membership.must_register(now)
        elif about_membership:
            if wait is None:
                yield GiveUp(message.code, message.message)
        elif wait is not None:
            self._outbox.put_off(ref, now + wait)
        else:
            entry = self._outbox.take(ref)
            if entry is None or entry.key is None:
                return
            if isinstance(entry.message, RequestPublish):
                yield from self._attempts.not_brought(entry.key, message.code, message.message, now)
            else:
                yield from self._attempts.answered(entry.key, entry.message)
