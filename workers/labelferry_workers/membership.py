"""How a worker stays known to its broker: registering, renewing, and noticing that answers stay away. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from labelferry_protocol import limits
from labelferry_protocol.newest import keep_newest
from labelferry_protocol.work import Holdings, Register, Registered, Renew
from labelferry_workers.instructions import Reconnect, Send, StillOut
from labelferry_workers.kept import Kept

REPEAT_SECONDS = 1.0
"""Between two tries while a register or renew is not answered."""
OUT_SECONDS = 5.0
"""After so long without being registered it is said that this worker is out."""
OUT_AGAIN_SECONDS = 60.0
"""Before it is said again."""
MAX_ASKED = 16


@dataclass(frozen=True)
class Identity:
    """Who a worker says it is."""

    worker_id: str
    host: str
    slots: int
    software: str = ""
    process: str = ""
    """Its process, as `process_mark` names it."""
    bundles: int = 0
    """How many attempts that bring their bundle take no slot."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A register or renew on its way: when it was sent, and what was said to be held."""

    sent_at: float
    holding: Holdings


class Membership:
    """One worker's standing with its broker.

    A lease runs from the moment the renewal was SENT: the broker counts from when it came, which is later, so this side's
    figure is never the longer one.
    """

    def __init__(self, identity: Identity, kept: Kept, new_ref: Callable[[], str]) -> None:
        self._identity = identity
        self._kept = kept
        self._new_ref = new_ref
        self._asked: dict[str, Asked] = {}
        self._online = False
        self._next_at = 0.0
        self._answered_at = 0.0
        self._welcomed_at: float | None = None
        self._out_since: float | None = None
        self._tell_out_at = 0.0
        self.registered = False
        self.paused = False
        self.lease_from = 0.0
        """A moment after which every lease told from now on was given: when the last answered word was sent."""
        self.lease_seconds = limits.LEASE_SECONDS
        self.renew_seconds = limits.RENEW_SECONDS

    def connected(self, now: float) -> None:
        """Take note of a new connection: the broker does not know who is on it."""
        self._online = True
        self._answered_at = now
        # What was asked on the old connection will not be answered on this one.
        self._asked.clear()
        self.must_register(now)

    def disconnected(self) -> None:
        """Take note that nothing can be said for now."""
        self._online = False
        self.registered = False

    def must_register(self, now: float) -> None:
        """Register before anything else is said. What is asked already keeps its next try, so no two ends can drive each other."""
        if self.registered or not self._asked:
            self._next_at = now
        self.registered = False

    def registered_as(self, ref: str, message: Registered, now: float) -> Asked | None:
        """Take the broker's welcome; return what the register had said, None when nobody waits for it."""
        asked = self._asked.pop(ref, None)
        if asked is not None:
            self.lease_seconds, self.renew_seconds = message.lease_seconds, message.renew_seconds
            self.registered = True
            self._out_since = None
            self._welcomed_at = now if self._welcomed_at is None else self._welcomed_at
            self._answered(asked, now)
        return asked

    def renewed(self, ref: str, now: float) -> Asked | None:
        """Take a renewal; return what the renew had said, None when nobody waits for it."""
        asked = self._asked.pop(ref, None)
        if asked is not None:
            self._answered(asked, now)
        return asked

    def refused(self, ref: str) -> bool:
        """Return whether a refusal with this correlation id is about a register or renew, and wait for it no more."""
        return self._asked.pop(ref, None) is not None

    def pause(self, now: float, *, paused: bool) -> None:
        """Ask for no more jobs, or for jobs again: said at once."""
        if paused is not self.paused:
            self.paused = paused
            self._next_at = now

    def hurry(self, now: float) -> None:
        """Renew at once: there is something to learn."""
        self._next_at = now

    def due(self, holding: Holdings, now: float) -> list[Send | Reconnect | StillOut]:
        """Return what is to be said now to be and stay known, and to whoever reads the log where this worker is not."""
        return [*self._out(now), *self._say(holding, now)]

    @property
    def next_at(self) -> float | None:
        """When `due` has something next; None before it was asked the first time, and there was no connection."""
        moments = [self._next_at] if self._online else []
        if self._out_since is not None:
            moments.append(self._tell_out_at)
        return min(moments, default=None)

    def _out(self, now: float) -> list[StillOut]:
        if self.registered:
            return []
        if self._out_since is None:
            self._out_since, self._tell_out_at = now, now + OUT_SECONDS
        if now < self._tell_out_at:
            return []
        self._tell_out_at = now + OUT_AGAIN_SECONDS
        return [StillOut(now - self._out_since)]

    def _say(self, holding: Holdings, now: float) -> list[Send | Reconnect]:
        if not self._online:
            return []
        silent = now - self._answered_at
        if silent > self.lease_seconds:
            self.disconnected()
            return [Reconnect()]
        if self.registered and silent > 2 * self.renew_seconds:
            self.must_register(now)
        if now < self._next_at:
            return []
        self._next_at = now + min(REPEAT_SECONDS, self.renew_seconds)
        return [self._ask(holding, now)]

    def _ask(self, holding: Holdings, now: float) -> Send:
        ref = self._new_ref()
        self._asked[ref] = Asked(now, holding)
        keep_newest(self._asked, MAX_ASKED)
        who = self._identity
        if self.registered:
            renew = Renew(worker_id=who.worker_id, holding=holding, paused=self.paused, keeping=self._kept.told)
            return Send(renew, ref)
        return Send(
            Register(
                worker_id=who.worker_id,
                host=who.host,
                slots=who.slots,
                software=who.software,
                holding=holding,
                paused=self.paused,
                process=who.process,
                keeping=self._kept.told,
                bundles=who.bundles,
                here_for=None if self._welcomed_at is None else max(0.0, now - self._welcomed_at),
            ),
            ref,
        )

    def _answered(self, asked: Asked, now: float) -> None:
        self._answered_at = now
        self.lease_from = asked.sent_at
        self._next_at = max(now, asked.sent_at + self.renew_seconds)
