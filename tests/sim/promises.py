"""What design.md promises, checked at every step of a simulated history against what was made durable and what was sent."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from msgspec.structs import replace
from tests.sim.world import BrokenPromise, World

from labelferry_broker.ledger.effects import (
    AddAttempt,
    AddJob,
    AdmitUpload,
    Effect,
    EndAttempt,
    Publish,
    Reply,
    Sending,
    Tell,
    TellDepot,
    UpdateJob,
)
from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.rows import JobRow
from labelferry_broker.store.memory import MemoryStore
from labelferry_protocol.depot import Keep
from labelferry_protocol.events import (
    TERMINAL_EVENTS,
    Cancelled,
    Completed,
    PhaseChanged,
    Progress,
    Started,
    Terminal,
)
from labelferry_protocol.life import LIFE, TERMINAL
from labelferry_protocol.requests import CancelAccepted, CancelSettled, Submitted
from labelferry_protocol.words import State
from labelferry_protocol.work import Lease

SPARE_SECONDS = 20.0
"""A bundle younger than this never goes."""
WAYS = {(before, after) for (before, _), after in LIFE.items()}


class Promises:
    """Sees everything the broker makes durable and sends, and raises `BrokenPromise`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.keepers: Callable[[str], Sequence[str]] = lambda _: ()
        self.holders: Callable[[str], Sequence[str]] = lambda _: ()
        """Who runs a child for a job now, as far as they can know: set by the history."""
        self.accepted: set[str] = set()
        self.ended: dict[str, Terminal] = {}
        self._state: dict[str, State] = {}
        self._rows: dict[str, JobRow] = {}
        self._ended_at: dict[str, float] = {}
        self.evictions = 0
        self._just_gone = ("", 0, 0.0)
        """The last bundle that went, and when: the depot may not have heard of it yet."""
        self._told: dict[str, list[Publish]] = defaultdict(list)
        self._current: dict[str, int] = {}
        self._passed: dict[str, dict[str, int]] = {}
        self._waiting: dict[str, set[str]] = {}
        self.epoch = 0

    def began(self, ledger: Ledger, store: MemoryStore) -> None:
        """Note that a broker has begun: the turns in its queue begin anew."""
        self._check(store.epoch > self.epoch, "an epoch is not above the one before")
        self.epoch = store.epoch
        self._passed.clear()
        self._waiting = _waiting(ledger)

    def decided(self, effects: Sequence[Effect], store: MemoryStore, ledger: Ledger) -> None:
        """Check what a turn has decided, in its order, now that it is durable."""
        leased: list[str] = []
        for effect in effects:
            match effect:
                case AddJob(row=row):
                    self.accepted.add(row.job_id)
                    self._state[row.job_id] = row.state
                case UpdateJob(row=row):
                    self._moved(row)
                case AddAttempt(row=attempt):
                    self._check(
                        attempt.job_id not in self._current, f"two attempts of job {attempt.job_id} are believed"
                    )
                    self._current[attempt.job_id] = attempt.attempt
                    leased.append(store.job(attempt.job_id).owner)  # type: ignore[union-attr] # it was added before
                case EndAttempt(job_id=job_id, attempt=number):
                    self._check(
                        self._current.pop(job_id, None) == number, f"attempt {number} of {job_id} was not current"
                    )
                case AdmitUpload(claims=claims):
                    self._check(self._current.get(claims.job_id) == claims.attempt, "a fenced worker may publish")
                case Tell(message=Lease() as lease):
                    self._check(
                        self._current.get(lease.job_id) == lease.attempt, "a lease was told that is not current"
                    )
                case Publish(event=Started() as event):
                    self._check(
                        self._current.get(event.job_id) == event.attempt, f"{event} is not of the current attempt"
                    )
        self._check_turns(leased, ledger)

    def sent(self, sending: Sending, store: MemoryStore) -> None:
        """Check what is sent, which comes after its turn was made durable."""
        match sending:
            case Publish():
                self._published(sending, store)
            case Reply(message=Submitted() as answer):
                self._check(store.job(answer.job_id) is not None, "a job was promised that is not durable")
            case Reply(message=CancelAccepted() as answer):
                row = store.job(answer.job_id)
                fine = row is not None and (row.cancel is not None or row.state in TERMINAL)
                self._check(fine, "a cancel was promised that is not durable")
            case Reply(message=CancelSettled() as answer):
                self._check(answer.outcome == self.ended.get(answer.job_id), "a cancel was told another outcome")
            case TellDepot(message=Keep(holding=holding)):
                jobs = [held.job_id for held in holding]
                self._check(len(jobs) == len(set(jobs)), "two bundles of one job are wanted")

    def at_rest(self, stored: set[tuple[str, int]], store: MemoryStore) -> None:
        """Check the end of a history: everything has ended, and the depot has what it should and nothing else."""
        for job_id in self.accepted:
            self._check(job_id in self.ended, f"job {job_id} never ended: it is {self._state[job_id]}")
        rows = [row for job_id in self.accepted if (row := store.job(job_id)) is not None]
        wanted = {(row.job_id, row.bundle_attempt) for row in rows if row.bundle_attempt is not None}
        job_id, attempt, gone_at = self._just_gone
        if self._world.now - gone_at < 0.1:
            stored = stored - {(job_id, attempt)}
        self._check(stored == wanted, f"the depot has {stored}, wanted are {wanted}")
        for row in rows:
            fine = (row.bundle is not None) == (isinstance(row.terminal, Completed) or _partial(row.terminal))
            self._check(fine, f"job {row.job_id} is {row.state} and its bundle is {row.bundle}")

    def _moved(self, row: JobRow) -> None:
        before = self._state[row.job_id]
        if row.job_id in self.ended:
            self._evicted(row)
            return
        self._check(row.job_id not in self.ended, f"job {row.job_id} changed after its end")
        self._check(
            before is row.state or (before, row.state) in WAYS, f"{row.job_id} went from {before} to {row.state}"
        )
        self._state[row.job_id] = row.state
        self._check(
            (row.state in TERMINAL) == (row.terminal is not None), f"{row.job_id} is {row.state}: {row.terminal}"
        )
        if row.terminal is not None:
            self.ended[row.job_id] = row.terminal
            self._rows[row.job_id] = row
            self._ended_at[row.job_id] = self._world.now

    def _evicted(self, row: JobRow) -> None:
        """Check what may still happen to a job that has ended: its bundle goes, once, not too soon; all else stays."""
        known = self._rows[row.job_id]
        self._check(known.bundle_attempt is not None, f"job {row.job_id} changed after its end")
        self._check(row == replace(known, bundle_attempt=None), f"more than the bundle of {row.job_id} went")
        young = self._ended_at[row.job_id] + SPARE_SECONDS > self._world.now
        self._check(not young or self._world.clock_turned, f"the bundle of {row.job_id} went too soon")
        self._rows[row.job_id] = row
        self.evictions += 1
        self._just_gone = (row.job_id, known.bundle_attempt or 0, self._world.now)

    def check_ended(self, job_id: str) -> None:
        """See that a job has ended, of which a worker was told so."""
        self._check(job_id in self.ended, f"job {job_id} goes on, yet a worker was told that it has ended")

    def _published(self, publish: Publish, store: MemoryStore) -> None:
        event, told = publish.event, self._told[publish.event.job_id]
        if told:
            last = told[-1].event
            self._check(not isinstance(last, TERMINAL_EVENTS), f"{event} came after the end of its job")
            follows = event.seq == last.seq + 1 if event.epoch == last.epoch else event.seq > last.seq
            self._check(follows, f"{event} does not follow {last}")
            self._check(event.attempt >= last.attempt, f"{event} is of an older attempt than {last}")
            if isinstance(event, Progress):
                # Across attempts too; a broker that was killed may have forgotten the last second of it.
                before = [
                    each.event for each in told if isinstance(each.event, Progress) and each.event.epoch == event.epoch
                ]
                self._check(not before or event.progress >= before[-1].progress, f"progress fell: {event}")
        row = store.job(event.job_id)
        reserved = row is not None and event.seq <= row.seq_reserved
        self._check(reserved, f"{event} has a number that is not durably reserved")
        if isinstance(event, Completed):
            kinds = [type(earlier.event) for earlier in told[-2:]]
            self._check(kinds == [Progress, PhaseChanged], f"completed came after {kinds}")
            self._check(self._hundred(told[-2]), "completed came without progress 100")
        if isinstance(event, TERMINAL_EVENTS):
            self._check(self.ended.get(event.job_id) == event, f"{event} is not what is durable")
        if isinstance(event, Cancelled) and event.cleanup_completed:
            holders = self.holders(event.job_id)
            self._check(not holders, f"job {event.job_id} is confirmed cancelled, yet {holders} hold it")
            keepers = self.keepers(event.job_id)
            self._check(
                not keepers, f"nothing of job {event.job_id} is left, it was said, yet {keepers} keep something"
            )
        told.append(publish)

    @staticmethod
    def _hundred(publish: Publish) -> bool:
        return isinstance(publish.event, Progress) and publish.event.progress == 100.0

    def _check_turns(self, leased: Sequence[str], ledger: Ledger) -> None:
        """Check that owners take turns: nobody is leased twice while another, one of whose jobs waits all the time, is not."""
        before, self._waiting = self._waiting, _waiting(ledger)
        waited = {owner for owner, jobs in before.items() if jobs & self._waiting.get(owner, set())}
        for owner in leased:
            self._passed.pop(owner, None)
            for other in waited - {owner}:
                passed = self._passed.setdefault(other, {})
                passed[owner] = passed.get(owner, 0) + 1
                self._check(passed[owner] <= 1, f"{owner} was leased {passed[owner]} times while {other} waited")
        for owner in set(self._passed) - waited:
            del self._passed[owner]

    def _check(self, promise: bool, sentence: str) -> None:
        if not promise:
            raise BrokenPromise(f"seed {self._world.seed}, at {self._world.now:.3f} s: {sentence}")


def _partial(terminal: Terminal | None) -> bool:
    return isinstance(terminal, Cancelled) and terminal.partial


def _waiting(ledger: Ledger) -> dict[str, set[str]]:
    lines = ledger._book.queue._lines
    return {owner: {job_id for _, job_id in line} for owner, line in lines.items()}
