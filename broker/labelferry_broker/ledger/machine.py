"""The ledger: messages and time in, effects out. It decides everything about jobs, and performs nothing.

One turn of its owner: tell it what came in (any number of calls), gather the effects; apply every `Save` among them in ONE
transaction; call `persisted()`; then send the rest in the order given. If the transaction fails nothing may be sent and
this object is wrong from then on: make a new `Ledger` from what the store has, under a new epoch, as after a restart.
"""

from collections.abc import Callable
from typing import Any

from labelferry_broker.ledger import intake, listings, progress, retention, templates, transfers
from labelferry_broker.ledger.alarms import Alarm, Purpose
from labelferry_broker.ledger.archive import Archive
from labelferry_broker.ledger.attempts import Attempts
from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.cancels import Cancels
from labelferry_broker.ledger.effects import Effect, Reply, Tell, TellDepot
from labelferry_broker.ledger.figures import Figures
from labelferry_broker.ledger.leases import Leases
from labelferry_broker.ledger.presence import Presence
from labelferry_broker.ledger.rows import Loaded
from labelferry_broker.ledger.settings import Asker, LedgerSettings, Moment
from labelferry_broker.ledger.snapshots import find, snapshot_of
from labelferry_protocol import requests
from labelferry_protocol.depot import AskKeep, DepotReady, DepotToBroker, Keep
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import Snapshot
from labelferry_protocol.requests import ClientSays, Refused
from labelferry_protocol.tokens import Claims
from labelferry_protocol.words import State
from labelferry_protocol.work import Drain, Holding, ProgressFrame, Register, Renew, WorkerSays

FIRST_SWEEP_SECONDS = 5.0
"""After a start: workers and clients come back first."""


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
        self._began = now.steady
        self._book = book = Book(settings, epoch, archive, loaded, now, new_id)
        self._cancels = Cancels(book)
        self._leases = Leases(book, self._cancels)
        self._presence = Presence(book, self._cancels, self._leases)
        self._attempts = Attempts(book, self._cancels, self._leases)
        for kept in loaded.bundles:
            book.shelf.add(kept.job_id, kept.size, now.steady - max(0.0, now.wall - kept.finished_at))
        book.alarms.set(now.steady + min(FIRST_SWEEP_SECONDS, settings.sweep_seconds), Purpose.RETENTION)
        for row in sorted(loaded.jobs, key=lambda row: row.number):
            job = book.enter(row)
            if row.reasons:
                job.doubted_until = now.steady + settings.lease_seconds
                book.leave_behind(job)
            intake.set_timeout(book, job)
            if job.held:
                self._leases.adopt(job)
            elif row.cancel is not None:
                self._cancels.clear_again(job)
            else:
                self._leases.take_up(job)
            if row.state is State.CANCELLING:
                self._cancels.take_up(job)

    def client_said(self, peer: bytes, ref: str, asker: Asker, message: ClientSays, now: Moment) -> list[Effect]:
        """Take a request (any but `Hello`, which is the Dispatcher's own) of the connection `peer`."""
        self._book.now = now
        try:
            self._serve(peer, ref, asker, message)
        except Refusal as refusal:
            self._book.emit(Reply(peer, ref, _refused(refusal)))
        return self._end_call()

    def worker_said(
        self, peer: bytes, ref: str, user: str, message: WorkerSays, now: Moment, receipt: Claims | None = None
    ) -> list[Effect]:
        """Take a worker's word. `user` is the connection's name, which may work.

        `receipt` holds the claims of the message's receipt token, verified by the caller; None when there is none, or a bad one.
        """
        self._book.now = now
        try:
            self._hear(peer, ref, user, message, receipt)
        except Refusal as refusal:
            self._book.emit(Tell(peer, ref, _refused(refusal)))
        return self._end_call()

    def worker_dropped(self, peer: bytes, now: Moment, *, watched: bool = False) -> list[Effect]:
        """Take note that the connection of a worker has gone; a peer that is no worker's is ignored.

        `watched`: the worker's process can be seen from here, and `worker_ended` follows when it ends.
        """
        self._book.now = now
        self._presence.drop(peer, watched=watched)
        return self._end_call()

    def worker_ended(self, peer: bytes, now: Moment) -> list[Effect]:
        """Take note that the process of a worker whose connection went was seen to have ended."""
        self._book.now = now
        self._presence.end(peer)
        return self._end_call()

    def progress_said(self, user: str, frame: ProgressFrame, now: Moment) -> list[Effect]:
        """Take a progress frame from a connection of `user`; what is stale, or not from the attempt's holder, is dropped."""
        self._book.now = now
        progress.take(self._book, user, frame)
        return self._book.take_effects()

    def subscribed(self, asker: Asker, job_id: str, now: Moment) -> Snapshot | None:
        """Return the snapshot that a new subscriber is sent first; None when the asker may not see that job, or there is none.

        It may tell of what this turn has decided: send it after the turn's transaction.
        """
        self._book.now = now
        try:
            return snapshot_of(self._book, find(self._book, asker, job_id))
        except Refusal:
            return None

    def depot_said(self, message: DepotToBroker, now: Moment) -> list[Effect]:
        """Take the depot's word on the inner lane. Raises `Refusal(STORE)` when what it asks cannot be looked up now."""
        self._book.now = now
        match message:
            case DepotReady():
                self._book.depot_ready = True
            case AskKeep(holding=holding):
                kept = tuple(held for held in holding if self._wanted(held))
                self._book.emit(TellDepot(Keep(holding=kept)))
        return self._book.take_effects()

    def depot_lost(self) -> None:
        """Take note that the depot's process has gone; its next `DepotReady` ends that."""
        self._book.depot_ready = False

    def doors_said(self, *, shut: bool) -> None:
        """Take note whether newcomers are kept out now, for who asks how the service is."""
        self._book.full = shut

    def tick(self, now: Moment) -> list[Effect]:
        """Do what is due by now: leases that ran out, retries, timeouts, repeated orders, progress to be saved."""
        self._book.now = now
        for alarm in self._book.alarms.due(now.steady):
            self._ring(alarm)
        return self._end_call()

    @property
    def next_deadline(self) -> float | None:
        """The steady time of the next `tick` that would do something; None when nothing waits for time."""
        return self._book.alarms.next

    def figures(self, now: Moment) -> Figures:
        """Return what there is to say of this ledger in numbers."""
        self._book.now = now
        return listings.figures_of(self._book)

    def persisted(self) -> None:
        """Take note that every `Save` handed out so far is durable, so that the archive can be read for it."""
        self._book.archive.forget()

    def stop_leasing(self) -> None:
        """Give out no lease from now on: the broker is going."""
        self._book.leasing = False

    def _end_call(self) -> list[Effect]:
        self._leases.assign()
        return self._book.take_effects()

    def _serve(self, peer: bytes, ref: str, asker: Asker, message: ClientSays) -> None:
        book = self._book
        match message:
            case requests.Submit():
                intake.submit(book, peer, ref, asker, message)
            case requests.Cancel():
                self._cancels.ask(peer, ref, asker.user, find(book, asker, message.job_id), message)
            case requests.GetSnapshot():
                book.emit(Reply(peer, ref, snapshot_of(book, find(book, asker, message.job_id))))
            case requests.GetOverview():
                listings.tell_overview(book, peer, ref, asker, self._began)
            case _ if type(message) in ASKED:
                ASKED[type(message)](book, peer, ref, asker, message)
            case _:
                raise Refusal(Code.UNKNOWN_VERB, "that is not a question for the ledger")

    def _hear(self, peer: bytes, ref: str, user: str, message: WorkerSays, receipt: Claims | None) -> None:
        if isinstance(message, Register):
            self._presence.register(peer, ref, user, message)
            return
        worker = self._presence.known(peer, message.worker_id)
        match message:
            case Renew():
                self._presence.renew(worker, ref, message)
            case Drain():
                self._presence.drain(worker, ref)
            case _:
                self._attempts.hear(worker, ref, message, receipt)

    def _ring(self, alarm: Alarm) -> None:
        job = self._book.live.get(alarm.identity)
        match alarm.purpose:
            case Purpose.PROGRESS:
                self._book.save_progress()
            case Purpose.RETENTION:
                retention.sweep(self._book)
            case Purpose.SILENCE:
                self._presence.miss(alarm.identity)
            case Purpose.RETURN:
                self._leases.lapse_all(alarm.identity, "the worker was lost: its connection went and did not come back")
            case Purpose.LEASE if job is not None:
                self._leases.lapse(job, "the worker was lost: it did not renew its lease in time")
            case Purpose.RETRY if job is not None:
                self._leases.queue(job)
            case Purpose.CLEARING if job is not None:
                self._cancels.confirm_waiting(job)
            case Purpose.TIMEOUT if job is not None:
                self._cancels.time_out(job)
            case Purpose.ORDER if job is not None:
                self._cancels.repeat(job)

    def _wanted(self, held: Holding) -> bool:
        """Whether the depot is to keep an attempt: a job's bundle, or what may become one."""
        job = self._book.live.get(held.job_id)
        if job is not None:
            return job.held and job.row.attempt == held.attempt
        row = self._book.archive.job(held.job_id)
        return row is not None and row.bundle_attempt == held.attempt


ASKED: dict[type, Callable[[Book, bytes, str, Asker, Any], None]] = {
    requests.GetHistory: listings.tell_history,
    requests.OpenDownload: transfers.open_download,
    requests.ReportDownload: transfers.report,
    requests.GetTransfers: transfers.list_transfers,
    requests.SaveTemplate: templates.save,
    requests.GetTemplate: templates.get,
    requests.DeleteTemplate: templates.delete,
    requests.ListTemplates: templates.list_names,
}
"""Who answers the requests that need nothing but the book."""


def _refused(refusal: Refusal) -> Refused:
    return Refused(code=refusal.code, message=refusal.message[:1024], retry_after=refusal.retry_after)
