"""Who may hear what: each new subscription of events and control is granted here or passed over. That none else hears anything is the fan-out's care."""

from collections.abc import Callable

from labelferry_broker.fanout import Fanout
from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.settings import Asker, Moment
from labelferry_protocol import codec
from labelferry_protocol.errors import Refusal
from labelferry_protocol.events import Beat
from labelferry_protocol.topics import BEAT, identity_of
from labelferry_protocol.words import Role
from labelferry_transport.logs import Log

AT_ONCE = 200
"""Subscriptions of one lane decided in one turn."""

log = Log("dispatcher")


class Admission:
    """Grants subscriptions; lives in the dispatcher's loop. `beat_of` makes the beat that a newcomer gets first."""

    def __init__(self, events: Fanout, control: Fanout, beat_of: Callable[[Moment], Beat]) -> None:
        self._events = events
        self._control = control
        self._beat_of = beat_of

    def watchers(self, ledger: Ledger, now: Moment) -> None:
        """Decide the new subscriptions of events: a beat for everybody, a job for who may see it, its snapshot first."""
        for wish in self._events.wishes(AT_ONCE):
            if wish.topic == BEAT:
                self._events.grant(BEAT, codec.pack(self._beat_of(now)))
                continue
            job_id = identity_of(wish.topic)
            asker = Asker(wish.speaker.user, wish.speaker.role is Role.ADMIN)
            try:
                snapshot = ledger.subscribed(asker, job_id, now) if job_id and wish.speaker.may_ask else None
            except Refusal as refusal:
                log.error("snapshot not read", job=job_id, reason=refusal.message)
                snapshot = None
            if snapshot is None:
                log.info("subscription denied", user=wish.speaker.user, job=job_id)
            else:
                self._events.grant(wish.topic, codec.pack(snapshot))

    def listeners(self) -> None:
        """Decide the new subscriptions of control: workers, one exact job or worker at a time (ids cannot be guessed)."""
        for wish in self._control.wishes(AT_ONCE):
            if wish.speaker.may_work and identity_of(wish.topic) is not None:
                self._control.grant(wish.topic)
