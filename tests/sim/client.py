"""A pretended client: it submits (and repeats itself), cancels (rightly, twice, wrongly), looks, and may die at any moment."""

from collections.abc import Callable

from tests.sim.broker import Broker
from tests.sim.world import BrokenPromise, World

from labelferry_broker.ledger.settings import Asker
from labelferry_protocol.errors import Code
from labelferry_protocol.events import Snapshot
from labelferry_protocol.message import Message
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.requests import Cancel, CancelSettled, ClientSays, GetSnapshot, Refused, Submit, Submitted
from labelferry_protocol.work import ControlLane

REPEAT = 1.5
Heard = Callable[[Message], bool]
"""Takes an answer; returns whether the question is settled."""


class Client:
    """One connection of a user. Everything it asks it repeats until it is settled."""

    def __init__(self, world: World, broker: Broker, asker: Asker, patience: float) -> None:
        self._world = world
        self._broker = broker
        self._asker = asker
        self._patience = patience
        self.connection = world.new_id().encode()
        self.alive = True
        self._refs = 0
        self._open: dict[str, Heard] = {}
        self.job_of_key: dict[str, str] = {}
        broker.peers.append(self)

    def die(self) -> None:
        """Be killed; the broker is not told."""
        self.alive = False
        self._broker.peers.remove(self)

    def submit(self, key: str, options: ExportOptions) -> None:
        """Ask for a job; the same key must always be the same job."""

        def heard(answer: Message) -> bool:
            if isinstance(answer, Submitted):
                known = self.job_of_key.setdefault(key, answer.job_id)
                if known != answer.job_id:
                    raise BrokenPromise(f"seed {self._world.seed}: key {key} made {known} and {answer.job_id}")
            return isinstance(answer, Submitted | Refused)

        self._ask(Submit(idempotency_key=key, source=Source(location="/data/set"), options=options), heard)

    def cancel(self, job_id: str, attempt: int | None, *, keep_partial: bool | None, mine: bool) -> None:
        """Ask for the end of a job."""

        def heard(answer: Message) -> bool:
            if not mine and not (isinstance(answer, Refused) and answer.code is Code.NO_SUCH_JOB):
                raise BrokenPromise(f"seed {self._world.seed}: a stranger was answered {answer}")
            return isinstance(answer, CancelSettled | Refused)

        self._ask(Cancel(job_id=job_id, attempt=attempt, keep_partial=keep_partial), heard)

    def look(self, job_id: str) -> None:
        """Ask for a snapshot."""
        self._ask(GetSnapshot(job_id=job_id), lambda answer: isinstance(answer, Snapshot | Refused))

    def hear(self, ref: str, message: Message) -> None:
        """Take an answer."""
        heard = self._open.get(ref)
        if self.alive and heard is not None and heard(message):
            self._open.pop(ref, None)

    def ordered(self, identity: str, message: ControlLane) -> None:
        """Take no control frame: a client does not subscribe to any."""

    def _ask(self, question: ClientSays, heard: Heard) -> None:
        self._refs += 1
        ref = str(self._refs)
        self._open[ref] = heard
        self._repeat(ref, question)

    def _repeat(self, ref: str, question: ClientSays) -> None:
        if self.alive and ref in self._open:
            self._world.carry(lambda: self._broker.from_client(self.connection, ref, self._asker, question))
            self._world.after(REPEAT * self._patience, lambda: self._repeat(ref, question))
