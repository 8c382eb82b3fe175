"""A pretended depot: it takes bundles that a token names, gives receipts, and throws away what it is told to."""

from collections.abc import Callable

from tests.sim.world import World

from labelferry_protocol.depot import AskKeep, BundleStored, Discard, Keep
from labelferry_protocol.errors import LabelferryError
from labelferry_protocol.tokens import Claims, sign, verify
from labelferry_protocol.work import Holding

SECRET = b"a secret of the simulation"


class Depot:
    """Bundles by job and attempt. It does not die, but its messages are lost like any."""

    def __init__(self, world: World, tell_broker: Callable[[AskKeep], None]) -> None:
        self._world = world
        self._tell_broker = tell_broker
        self.stored: dict[tuple[str, int], Claims] = {}
        self._asked: frozenset[tuple[str, int]] = frozenset()

    def offer(self, token: bytes, answer: Callable[[BundleStored], None]) -> None:
        """Take an offered bundle; bringing it takes a while."""
        try:
            claims = verify(token, "upload", SECRET, self._world.moment.wall)
        except LabelferryError:
            return
        self._world.after(self._world.rng.uniform(0.01, 1.0), lambda: self._store(claims, answer))

    def told(self, message: Keep | Discard) -> None:
        """Take the broker's word: throw away one thing, or all that was asked for and is not to be kept."""
        if isinstance(message, Discard):
            self.stored.pop((message.job_id, message.attempt), None)
            return
        for unwanted in self._asked - {(held.job_id, held.attempt) for held in message.holding}:
            self.stored.pop(unwanted, None)
        self._asked = frozenset()

    def broker_died(self) -> None:
        """Expect no answer any more."""
        self._asked = frozenset()

    def sweep(self) -> None:
        """Ask what is wanted of what lies here; one question at a time, for an answer does not say which it answers."""
        if self.stored and not self._asked:
            self._asked = frozenset(self.stored)
            self._tell_broker(AskKeep(holding=tuple(Holding(job_id=job, attempt=n) for job, n in self.stored)))

    def _store(self, claims: Claims, answer: Callable[[BundleStored], None]) -> None:
        self.stored[claims.job_id, claims.attempt] = claims
        receipt = sign(claims, "receipt", SECRET)
        stored = BundleStored(job_id=claims.job_id, attempt=claims.attempt, receipt=receipt)
        self._world.carry(lambda: answer(stored))
