"""How attempts end on a worker, whatever ends them: the base of `attempts`, which knows what does. Pure.

The order is always the same: the child is at work on it no more, then what it wrote is removed, then the last word is said, then it
is forgotten.
"""

from collections.abc import Iterator

import msgspec

from labelferry_protocol import work
from labelferry_protocol.newest import keep_newest
from labelferry_protocol.work import Holding
from labelferry_workers import words
from labelferry_workers.attempt import Attempt, LastWord, Move, Step
from labelferry_workers.instructions import Abandon, Clear, Instruction, Kill, Unwatch
from labelferry_workers.kept import Kept
from labelferry_workers.outbox import Outbox
from labelferry_workers.settings import CrewSettings

Instructions = Iterator[Instruction]

MAX_ENDED = 1024
"""Attempts remembered after their end, so that a late lease does not begin one again."""


class Endings:
    """The attempts that are held, and the last moments of each."""

    def __init__(self, worker_id: str, settings: CrewSettings, outbox: Outbox, kept: Kept) -> None:
        self._worker_id = worker_id
        self._settings = settings
        self._outbox = outbox
        self._kept = kept
        self._held: dict[Holding, Attempt] = {}
        self._ended: dict[Holding, bool] = {}
        """Attempts that ended with a word to the broker: whether they were cleared."""

    def cleared(self, key: Holding, *, clean: bool, now: float) -> Instructions:
        """Take what came of a `Clear`: whether nothing of the attempt is left."""
        attempt = self._held.get(key)
        if attempt is None or not attempt.can(Move.CLEAR):
            return
        if not clean and now < attempt.clear_until:
            attempt.clear_again_at = now + self._settings.clear_pause
            return
        attempt.clear_again_at = None
        attempt.take(Move.CLEAR)
        if attempt.taken_away:
            yield from self._forget(attempt)
        else:
            self._speak(attempt, clean=clean, now=now)

    def answered(self, key: Holding, message: work.WorkerSays) -> Instructions:
        """Take the broker's answer to a word about an attempt: after the last one, it is forgotten."""
        attempt = self._held.get(key)
        if attempt is not None and attempt.step is Step.REPORTING and message is attempt.word:
            yield from self._forget(attempt)

    def forgotten(self, key: Holding, *, clean: bool, now: float) -> None:
        """Confirm a cancel whose job has nothing kept here any more, or cannot be rid of it."""
        attempt = self._held.get(key)
        clean = clean and self._ended.get(key, True)
        if attempt is None:
            self._outbox.drop(key)
            self._confirm(key, clean=clean, now=now)
        elif attempt.step is Step.REPORTING:
            self._speak(attempt, clean=clean, now=now)

    def _kill(self, attempt: Attempt, word: LastWord | None, now: float) -> Instructions:
        if attempt.can(Move.KILL):
            attempt.take(Move.KILL)
            attempt.kill_at = None
            attempt.forced = True
            attempt.word = word
            self._outbox.drop(attempt.key)
            yield Kill(attempt.key)
        else:
            yield from self._end(attempt, word, now)

    def _end(self, attempt: Attempt, word: LastWord | None, now: float) -> Instructions:
        if not attempt.can(Move.END):
            return
        if attempt.step is Step.BRINGING:
            yield Abandon(attempt.key, attempt.place)
        self._outbox.drop(attempt.key)
        attempt.take(Move.END)
        attempt.word = word
        yield from self._clear(attempt, now)

    def _clear(self, attempt: Attempt, now: float) -> Instructions:
        attempt.kill_at = None
        attempt.clear_until = now + self._settings.clear_seconds
        yield from self._clear_once(attempt)

    def _clear_once(self, attempt: Attempt) -> Instructions:
        if attempt.ends_job:
            self._kept.drop(attempt.key.job_id)
        yield Clear(attempt.key, for_good=attempt.ends_job)

    def _speak(self, attempt: Attempt, *, clean: bool, now: float) -> None:
        attempt.word = words.last_word(self._worker_id, attempt, clean=clean, kept=attempt.key.job_id in self._kept)
        self._remember(attempt.key, clean=clean)
        self._outbox.put(attempt.word, attempt.key, now)

    def _confirm(self, key: Holding, *, clean: bool, now: float) -> None:
        """Say that an attempt which is not here is cancelled."""
        self._remember(key, clean=clean)
        word = words.cancelled(self._worker_id, key)
        self._outbox.put(msgspec.structs.replace(word, cleanup_completed=clean), key, now)

    def _forget(self, attempt: Attempt) -> Instructions:
        key = attempt.key
        del self._held[key]
        self._outbox.drop(key)
        if not any(other.job_id == key.job_id for other in self._held):
            yield Unwatch(key.job_id)

    def _remember(self, key: Holding, *, clean: bool) -> None:
        self._ended[key] = clean
        keep_newest(self._ended, MAX_ENDED)
