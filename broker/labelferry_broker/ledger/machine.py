"""The ledger: messages and time in, effects out. It decides everything about jobs, and performs nothing.

One turn of its owner: tell it what came in (any number of calls), gather the effects; apply every `Save` among them in ONE
transaction; call `persisted()`; then send the rest in the order given. If the transaction fails nothing may be sent and
this object is wrong from then on: make a new `Ledger` from what the store has, under a new epoch, as after a restart.
"""

from collections.abc import Callable

from labelferry_broker.ledger.archive import Archive
from labelferry_broker.ledger.effects import Effect
from labelferry_broker.ledger.rows import Loaded
from labelferry_broker.ledger.settings import Asker, LedgerSettings, Moment
from labelferry_protocol.depot import DepotToBroker
from labelferry_protocol.events import Snapshot
from labelferry_protocol.requests import ClientSays
from labelferry_protocol.tokens import Claims
from labelferry_protocol.work import ProgressFrame, WorkerSays


class Ledger:
    """Every job that has not ended, and who works on it."""

    def __init__(
        self,
        settings: LedgerSettings,
        epoch: int,
        archive: Archive,
        loaded: Loaded,
        now: Moment,
        new_id: Callable[[], str],
    ) -> None:
        """Take up the jobs in `loaded`; what ran is given `lease_seconds` for its worker to come back.

        `new_id` makes 32 hexadecimal characters. `epoch` is this incarnation of the broker, higher than any before.
        """
        raise NotImplementedError

    def client_said(self, peer: bytes, ref: str, asker: Asker, message: ClientSays, now: Moment) -> list[Effect]:
        """Take a request (any but `Hello`, which is the Dispatcher's own) of the connection `peer`."""
        raise NotImplementedError

    def worker_said(
        self, peer: bytes, ref: str, user: str, message: WorkerSays, now: Moment, receipt: Claims | None = None
    ) -> list[Effect]:
        """Take a worker's word. `user` is the connection's name, which may work.

        `receipt` holds the claims of the message's receipt token, verified by the caller; None when there is none, or a bad one.
        """
        raise NotImplementedError

    def worker_dropped(self, peer: bytes, now: Moment) -> list[Effect]:
        """Take note that the connection of a worker has gone; a peer that is no worker's is ignored."""
        raise NotImplementedError

    def progress_said(self, user: str, frame: ProgressFrame, now: Moment) -> list[Effect]:
        """Take a progress frame from a connection of `user`; what is stale, or not from the attempt's holder, is dropped."""
        raise NotImplementedError

    def subscribed(self, asker: Asker, job_id: str, now: Moment) -> Snapshot | None:
        """Return the snapshot that a new subscriber is sent first; None when the asker may not see that job, or there is none.

        It may tell of what this turn has decided: send it after the turn's transaction.
        """
        raise NotImplementedError

    def depot_said(self, message: DepotToBroker, now: Moment) -> list[Effect]:
        """Take the depot's word on the inner lane."""
        raise NotImplementedError

    def depot_lost(self) -> None:
        """Take note that the depot's process has gone; its next `DepotReady` ends that."""
        raise NotImplementedError

    def tick(self, now: Moment) -> list[Effect]:
        """Do what is due by now: leases that ran out, retries, timeouts, repeated orders, progress to be saved."""
        raise NotImplementedError

    @property
    def next_deadline(self) -> float | None:
        """The steady time of the next `tick` that would do something; None when nothing waits for time."""
        raise NotImplementedError

    def persisted(self) -> None:
        """Take note that every `Save` handed out so far is durable, so that the archive can be read for it."""
        raise NotImplementedError

    def stop_leasing(self) -> None:
        """Give out no lease from now on: the broker is going."""
        raise NotImplementedError
