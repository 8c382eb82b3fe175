"""The attempts that a worker holds, and what becomes of each: the larger half of the crew. How they end is `endings`. Pure."""

from collections.abc import Iterable

from labelferry_protocol import work
from labelferry_protocol.errors import Code
from labelferry_protocol.work import CancelOrder, CancelSeen, Holding, Holdings, Jobs, Lease
from labelferry_workers import words
from labelferry_workers.attempt import AT_WORK, FENCED_IN_TIME, WITH_CHILD, Attempt, Move, Step
from labelferry_workers.endings import Endings, Instructions
from labelferry_workers.errands import SHOWN_BYTES
from labelferry_workers.instructions import (
    Begin,
    Bring,
    Forget,
    Send,
    Show,
    Stop,
    Watch,
)
from labelferry_workers.kept import Kept
from labelferry_workers.membership import Identity
from labelferry_workers.outbox import Outbox
from labelferry_workers.reports import Begun, Broke, Moved, Packed, Packing, Report, Stopped, Warm
from labelferry_workers.settings import CrewSettings

MAX_GRACE_SECONDS = 60.0
WATCH_SECONDS = 0.25
"""An attempt that is here for longer is watched on the control lane too; what ends at once has its cancels from the work lane alone."""
BEGUN_SECONDS = 0.01
"""For so long it is not said that a child has begun: what is over by then says it with its last word."""
BROUGHT_SECONDS = 0.1
"""The same for a bundle on its way: one that has not arrived by then is no short job's."""
MOST_CHILDREN = 3
"""So many are given an attempt that none before has begun."""
WAIT_SECONDS = 3.0
"""When the broker has not answered by then whether a bundle may be brought, its depot is not there: people are told."""
MAX_ASKS = 3
"""How often it is asked whether a bundle may be brought, when the depot turns the token down."""


class Attempts(Endings):
    """The attempts of one worker. Each method's instructions are made while they are read: read them all, at once."""

    def __init__(self, identity: Identity, settings: CrewSettings, outbox: Outbox, kept: Kept) -> None:
        super().__init__(identity.worker_id, settings, outbox, kept)
        self._bundles = identity.bundles

    @property
    def holding(self) -> Holdings:
        """What is held, as the broker is told."""
        return tuple(self._held)

    @property
    def busy(self) -> int:
        """How many attempts take a slot: all but those that only wait for an answer, and as many bundles on their way as may be."""
        held = [attempt for attempt in self._held.values() if attempt.step is not Step.REPORTING]
        bundles = sum(attempt.packed is not None for attempt in held)
        return len(held) - min(bundles, self._bundles)

    def get(self, key: Holding) -> Attempt | None:
        """Return an attempt that is held; None for any other."""
        return self._held.get(key)

    def next_at(self, fence_margin: float) -> float | None:
        """When `tick` has something to do next."""
        moments: list[float | None] = []
        for attempt in self._held.values():
            moments += [attempt.kill_at, attempt.clear_again_at, attempt.watch_at]
            if attempt.step in FENCED_IN_TIME:
                moments.append(attempt.leased_until - fence_margin)
            if attempt.step in AT_WORK:
                moments.append(attempt.begun_at)
            if attempt.step is Step.ASKING:
                moments.append(attempt.wait_shown_at)
            if attempt.step is Step.RUNNING:
                moments.append(attempt.moved_at + attempt.stall_seconds)
                if self._settings.stall_kill is not None:
                    moments.append(attempt.moved_at + self._settings.stall_kill)
        return min((moment for moment in moments if moment is not None), default=None)

    # leases

    def begin(self, lease: Lease, leased_until: float, now: float) -> Instructions:
        """Take a lease up, unless it is known, or was ended before it came."""
        key = Holding(job_id=lease.job_id, attempt=lease.attempt)
        if key in self._held or key in self._ended:
            return
        self._held[key] = Attempt(
            lease,
            leased_until,
            moved_at=now,
            stall_seconds=self._settings.stall_seconds,
            watch_at=now + WATCH_SECONDS,
        )
        yield Begin(lease)

    def prolong(self, holding: Holdings, leased_until: float) -> None:
        """Take note that the leases of what was held when the broker was told run on."""
        for key in holding:
            if key in self._held:
                self._held[key].leased_until = leased_until

    def fence(self, key: Holding, now: float) -> Instructions:
        """Take away an attempt: what it made is removed, and no word is said of it."""
        attempt = self._held.get(key)
        self._outbox.drop(key)
        if attempt is None:
            return
        attempt.taken_away = True
        if attempt.step is Step.REPORTING:
            yield from self._forget(attempt)
        else:
            yield from self._kill(attempt, None, now)

    def shut_down(self, now: float) -> Instructions:
        """End whatever has not ended by itself, and give it back to the broker."""
        for attempt in list(self._held.values()):
            sentence = "the worker was shut down before the export had ended"
            word = words.failed(self._worker_id, attempt.key, Code.WORKER_LOST, sentence, retryable=True)
            yield from self._kill(attempt, word, now)

    def cancel(self, order: CancelOrder, now: float) -> Instructions:
        """Stop an attempt. One that is not here is confirmed at once: nothing of it is left, and nothing will be begun."""
        key = Holding(job_id=order.job_id, attempt=order.attempt)
        attempt = self._held.get(key)
        if attempt is None:
            if self._kept.drop(key.job_id):
                yield Forget(key.job_id, key.attempt)
            elif not self._outbox.holds(key):
                self._confirm(key, clean=self._ended.get(key, True), now=now)
            return
        yield Send(CancelSeen(worker_id=self._worker_id, job_id=key.job_id, attempt=key.attempt))
        repeated = attempt.order is not None and attempt.order.keep_partial == order.keep_partial
        attempt.order = order
        if not repeated:
            yield from self._obey(attempt, order, now)

    def _obey(self, attempt: Attempt, order: CancelOrder, now: float) -> Instructions:
        match attempt.step:
            case Step.RUNNING:
                attempt.take(Move.STOP)
                attempt.kill_at = now + min(order.grace, MAX_GRACE_SECONDS)
                yield Stop(order)
            case Step.STOPPING:
                yield Stop(order)
            case Step.PACKING if not order.keep_partial:
                yield from self._kill(attempt, words.cancelled(self._worker_id, attempt.key), now)
            case Step.ASKING if order.keep_partial:
                # It was asked as a whole bundle, which the cancel has overtaken.
                self._outbox.drop(attempt.key)
                self._ask(attempt, now)
            case Step.ASKING | Step.BRINGING if not order.keep_partial:
                yield from self._end(attempt, words.cancelled(self._worker_id, attempt.key), now)
            case Step.REPORTING:
                # The cancel came first in the ledger, or there would be no order: the word that waits will not be heard.
                self._outbox.drop(attempt.key)
                if self._kept.drop(attempt.key.job_id):
                    yield Forget(attempt.key.job_id, attempt.key.attempt)
                else:
                    self._speak(attempt, clean=self._ended.get(attempt.key, True), now=now)

    def ended(self, jobs: Jobs) -> Instructions:
        """Take the broker's word that these jobs have ended: nothing is kept of them, unless one is held here that it does not know of yet."""
        held = {key.job_id for key in self._held}
        for job_id in jobs:
            if job_id not in held and self._kept.drop(job_id):
                yield Forget(job_id)

    # the child

    def report(self, report: Report, now: float) -> Instructions:
        """Take a child's report; one that comes too late changes nothing."""
        attempt = None if isinstance(report, Warm) else self._held.get(report.key)
        if attempt is None or attempt.step not in WITH_CHILD:
            return
        match report:
            case Begun():
                attempt.begun, attempt.begun_at = True, now + BEGUN_SECONDS
            case Moved():
                self._say_begun(attempt, now)
                attempt.moved, attempt.moved_at, attempt.stall_seconds = report, now, self._settings.stall_seconds
                if attempt.step is Step.RUNNING:
                    yield self._show(attempt, words.frame_of(self._worker_id, report))
            case Packing() if attempt.can(Move.PACK):
                attempt.take(Move.PACK)
                attempt.kill_at = now + self._settings.partial_seconds
            case Packed() if attempt.can(Move.BUNDLE):
                yield from self._packed(attempt, report, now)
            case Stopped(key=key):
                yield from self._end(attempt, words.cancelled(self._worker_id, key), now)
            case Broke():
                yield from self._end(attempt, words.broken(self._worker_id, report), now)

    def answered(self, key: Holding, message: work.WorkerSays) -> Instructions:
        """Take the broker's answer to a word about an attempt; what was shown before it had the beginning, it did not take."""
        yield from super().answered(key, message)
        if isinstance(message, work.AttemptStarted):
            yield from self.show_again([key])

    def show_again(self, holding: Iterable[Holding]) -> Instructions:
        """Show how far these attempts are once more, as far as they are at work and have moved."""
        for key in holding:
            attempt = self._held.get(key)
            if attempt is not None and attempt.step in AT_WORK and attempt.frame is not None:
                yield Show(attempt.frame)

    @staticmethod
    def _show(attempt: Attempt, frame: work.ProgressFrame) -> Show:
        attempt.frame = frame
        return Show(frame)

    def _say_begun(self, attempt: Attempt, now: float) -> None:
        if attempt.begun_at is not None:
            attempt.begun_at = None
            key = attempt.key
            begun = work.AttemptStarted(worker_id=self._worker_id, job_id=key.job_id, attempt=key.attempt)
            self._outbox.put(begun, key, now)

    def died(self, key: Holding, how: str, now: float) -> Instructions:
        """Take the end of a child that was at work on an attempt; `how` is a clause: `was killed by signal 9`.

        One that had not begun, for it was dying when it was given the lease, costs no attempt: another child is given it.
        """
        attempt = self._held.get(key)
        if attempt is None or not attempt.can(Move.DIE):
            return
        if attempt.step is Step.RUNNING and not attempt.begun and attempt.children < MOST_CHILDREN:
            attempt.children += 1
            yield Begin(attempt.lease)
            return
        if attempt.step is not Step.DYING:
            sentence = f"the export process {how}"
            attempt.word = words.failed(self._worker_id, key, Code.WORKER_LOST, sentence, retryable=True)
        attempt.take(Move.DIE)
        yield from self._clear(attempt, now)

    def _packed(self, attempt: Attempt, report: Packed, now: float) -> Instructions:
        attempt.packed = report
        if attempt.order is not None and not attempt.order.keep_partial:
            yield from self._end(attempt, words.cancelled(self._worker_id, attempt.key), now)
            return
        attempt.take(Move.BUNDLE)
        attempt.kill_at = None
        if report.size >= SHOWN_BYTES:
            self._say_begun(attempt, now)
        elif attempt.begun_at is not None:
            attempt.begun_at = now + BROUGHT_SECONDS
        self._ask(attempt, now)

    # publishing

    def grant(self, key: Holding, token: bytes, place: str | None) -> Instructions:
        """Take the broker's leave to bring a bundle."""
        attempt = self._held.get(key)
        if attempt is None or not attempt.can(Move.GRANT) or attempt.packed is None:
            return
        attempt.take(Move.GRANT)
        attempt.place = place
        yield Bring(key, token, attempt.packed.size, place)
        yield from self.bringing(key, 0, None)

    def bringing(self, key: Holding, sent: int, seconds_left: float | None, waiting: str = "") -> Instructions:
        """Take how much of a bundle has left for the depot, in bytes, and why nothing leaves, if that is so."""
        attempt = self._held.get(key)
        if attempt is None or attempt.step is not Step.BRINGING or attempt.packed is None:
            return
        size = attempt.packed.size
        if waiting or size >= SHOWN_BYTES:
            yield self._show(attempt, words.bringing_frame(self._worker_id, key, sent, size, seconds_left, waiting))

    def brought(self, key: Holding, receipt: bytes, now: float) -> Instructions:
        """Take the depot's receipt."""
        attempt = self._held.get(key)
        if attempt is None or attempt.step is not Step.BRINGING or attempt.packed is None:
            return
        attempt.take(Move.END)
        attempt.word = words.finished(self._worker_id, attempt.packed, receipt)
        yield from self._clear(attempt, now)

    def not_brought(self, key: Holding, code: Code, message: str, now: float) -> Instructions:
        """Take a refusal of the broker's or the depot's; a token that the depot does not take is asked for anew."""
        attempt = self._held.get(key)
        if attempt is None or attempt.step not in (Step.ASKING, Step.BRINGING):
            return
        if attempt.can(Move.RENEW) and code is Code.ACCESS and attempt.asked < MAX_ASKS:
            attempt.take(Move.RENEW)
            self._ask(attempt, now)
            return
        sentence = f"the bundle could not be published: {message}"
        retryable = code not in (Code.DISK_FULL, Code.ACCESS)
        word = words.failed(self._worker_id, key, code, sentence, retryable=retryable)
        yield from self._end(attempt, word, now)

    def _ask(self, attempt: Attempt, now: float) -> None:
        assert attempt.packed is not None  # noqa: S101 - the table leads to ASKING only with a bundle
        attempt.asked += 1
        attempt.wait_shown_at = now + WAIT_SECONDS
        partial = attempt.packed.partial or attempt.order is not None
        question = words.publish_request(self._worker_id, attempt.packed, partial=partial)
        self._outbox.put(question, attempt.key, now)

    # time

    def tick(self, fence_margin: float, now: float) -> Instructions:
        """Do what is due by now: end leases before the broker does, kill what does not stop, clear again."""
        for attempt in list(self._held.values()):
            if attempt.step in FENCED_IN_TIME and now >= attempt.leased_until - fence_margin:
                yield from self.fence(attempt.key, now)
            elif attempt.kill_at is not None and now >= attempt.kill_at:
                late = "packing the finished part took too long" if attempt.step is Step.PACKING else ""
                yield from self._kill(attempt, words.cancelled(self._worker_id, attempt.key, late), now)
            elif attempt.clear_again_at is not None and now >= attempt.clear_again_at:
                attempt.clear_again_at = None
                yield from self._clear_once(attempt)
            elif attempt.step is Step.RUNNING:
                yield from self._watch_for_stall(attempt, now)
            elif attempt.step is Step.ASKING and attempt.wait_shown_at is not None and now >= attempt.wait_shown_at:
                yield self._show_waiting(attempt)
            if attempt.step in AT_WORK and attempt.begun_at is not None and now >= attempt.begun_at:
                self._say_begun(attempt, now)
            if attempt.watch_at is not None and now >= attempt.watch_at:
                attempt.watch_at = None
                yield Watch(attempt.key.job_id)

    def _show_waiting(self, attempt: Attempt) -> Show:
        assert attempt.packed is not None  # noqa: S101 - the table leads to ASKING only with a bundle
        attempt.wait_shown_at = None
        size, why = attempt.packed.size, "waiting for the depot"
        return self._show(attempt, words.bringing_frame(self._worker_id, attempt.key, 0, size, None, why))

    def _watch_for_stall(self, attempt: Attempt, now: float) -> Instructions:
        still, kill = now - attempt.moved_at, self._settings.stall_kill
        if kill is not None and still >= kill:
            sentence = f"nothing had moved for {kill:.0f} s, so the export process was killed"
            word = words.failed(self._worker_id, attempt.key, Code.WORKER_LOST, sentence, retryable=True)
            yield from self._kill(attempt, word, now)
        elif still >= attempt.stall_seconds:
            attempt.stall_seconds = 2 * still
            yield self._show(attempt, words.stalled_frame(self._worker_id, attempt.key, attempt.moved, still))
