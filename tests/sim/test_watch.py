"""The proof that the watch over the histories is awake: ledgers that break one rule each, and are caught."""

from dataclasses import replace
from typing import Any

import pytest
from tests.sim.history import History
from tests.sim.world import BrokenPromise

from labelferry_broker.ledger.cancels import Cancels
from labelferry_broker.ledger.crew import Crew
from labelferry_broker.ledger.effects import Effect, TellDepot, UpdateJob
from labelferry_broker.ledger.jobs import HELD, Job
from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.queue import Queue
from labelferry_broker.ledger.rows import Outcome
from labelferry_broker.ledger.settings import Asker, Moment
from labelferry_broker.store.diverged import Diverged
from labelferry_protocol.depot import Discard
from labelferry_protocol.life import IllegalMove, Move
from labelferry_protocol.requests import Cancel, ClientSays

CAUGHT = (BrokenPromise, Diverged, IllegalMove)


class Unfenced(Ledger):
    """Believes any worker about any attempt."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        book = self._book

        class Gullible(Crew):
            def held_job(self, worker_id: str, job_id: str, attempt: int) -> Job | None:
                job = book.live.get(job_id)
                return job if job is not None and job.row.state in HELD else None

        book.crew = Gullible()
        for job in book.live.values():
            if job.row.state in HELD and job.row.worker_id is not None:
                book.crew.give(job.row.worker_id, job)


class Forgetful(Ledger):
    """Numbers events from the beginning again after a restart."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for job in self._book.live.values():
            job.seq = 0


class Hasty(Ledger):
    """Says that a cancel is accepted before it is durable."""

    def client_said(self, peer: bytes, ref: str, asker: Asker, message: ClientSays, now: Moment) -> list[Effect]:
        effects = super().client_said(peer, ref, asker, message, now)
        if isinstance(message, Cancel):
            return [effect for effect in effects if not isinstance(effect, UpdateJob)]
        return effects


class Overconfident(Ledger):
    """Confirms a cancel without waiting for the worker."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        book = self._book

        def confirm_at_once(cancels: Cancels, job: Job) -> None:
            book.end_attempt(job, Outcome.CANCELLED)
            cancels.confirm(job, Move.CONFIRM, cleanup_completed=True)

        self._cancels.repeat = lambda job: confirm_at_once(self._cancels, job)  # type: ignore[method-assign] # broken on purpose


class Unfair(Ledger):
    """Serves one owner as long as it has jobs."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)

        class Greedy(Queue):
            def take(self) -> str | None:
                owner = self._turns[0]
                job_id = super().take()
                if owner in self._lines:
                    self._turns.remove(owner)
                    self._turns.appendleft(owner)
                return job_id

        greedy = Greedy()
        for job in self._book.live.values():
            if job.row.state not in HELD:
                greedy.add(job.row.owner, job.row.number, job.row.job_id)
        self._book.queue = greedy


class Untidy(Ledger):
    """Keeps every bundle that was ever brought."""

    def worker_said(self, *args: Any) -> list[Effect]:
        effects = super().worker_said(*args)
        return [
            effect for effect in effects if not (isinstance(effect, TellDepot) and isinstance(effect.message, Discard))
        ]

    def tick(self, now: Moment) -> list[Effect]:
        effects = super().tick(now)
        return [
            effect for effect in effects if not (isinstance(effect, TellDepot) and isinstance(effect.message, Discard))
        ]

    def _wanted(self, held: Any) -> bool:
        return True


class Patient(Ledger):
    """Never takes a job back from a worker that has gone."""

    def tick(self, now: Moment) -> list[Effect]:
        self._leases.lapse = lambda job, reason: None  # type: ignore[method-assign] # broken on purpose
        return super().tick(now)


class Greedy(Ledger):
    """Takes bundles that are too young to go."""

    def tick(self, now: Moment) -> list[Effect]:
        self._book.settings = replace(self._book.settings, spare_seconds=0.0, keep_bytes=0)
        return super().tick(now)


class Trusting(Ledger):
    """Takes what workers keep of a cancelled job for removed."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._cancels._tell_keepers = lambda job: None  # type: ignore[method-assign] # broken on purpose


def play_all(kind: type[Ledger]) -> None:
    for seed in range(400):
        History(seed, kind).play()


@pytest.mark.parametrize("kind", [Unfenced, Forgetful, Hasty, Overconfident, Unfair, Untidy, Patient, Greedy, Trusting])
def test_a_ledger_that_breaks_a_rule_is_caught(kind: type[Ledger]) -> None:
    with pytest.raises(CAUGHT):
        play_all(kind)


def test_the_histories_are_rich() -> None:
    endings = [History(seed).play() for seed in range(100)]
    kinds = {type(terminal).__name__ for ending in endings for terminal in ending.ended.values()}
    assert kinds == {"Completed", "Failed", "Cancelled"}
    assert any(getattr(terminal, "partial", False) for ending in endings for terminal in ending.ended.values())
    assert sum(ending.epochs > 2 for ending in endings) > 10
    assert sum(ending.evictions > 0 for ending in endings) > 10


def test_a_seed_tells_the_same_history_again() -> None:
    assert History(7).play() == History(7).play()
