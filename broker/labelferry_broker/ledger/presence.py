"""Workers: which are here, since when nothing was heard of them, and which of their connections is the right one."""

from contextlib import suppress

from labelferry_broker.ledger.alarms import Purpose
from labelferry_broker.ledger.book import Book
from labelferry_broker.ledger.cancels import Cancels
from labelferry_broker.ledger.crew import Worker
from labelferry_broker.ledger.effects import Tell
from labelferry_broker.ledger.leases import Leases
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.words import State
from labelferry_protocol.work import Acknowledged, CancelOrder, Fenced, Jobs, Register, Registered, Renew, Renewed


class Presence:
    """Registers workers, hears that they live, and notes that they have gone."""

    def __init__(self, book: Book, cancels: Cancels, leases: Leases) -> None:
        self._book = book
        self._cancels = cancels
        self._leases = leases

    def known(self, peer: bytes, worker_id: str) -> Worker:
        """Return the worker that speaks; `Refusal(REGISTER)` when this connection is not that worker's (any more)."""
        worker = self._book.crew.of_peer(peer)
        if worker is None or worker.worker_id != worker_id:
            raise Refusal(Code.REGISTER, "this connection is not registered here: register, then repeat")
        worker.seen = self._book.now.steady
        return worker

    def register(self, peer: bytes, ref: str, user: str, message: Register) -> None:
        """Let a worker in; of what it says it holds, it keeps what is its own still."""
        book = self._book
        known = book.crew.workers.get(message.worker_id)
        held_by = {job.row.worker_user for job in book.crew.held_by(message.worker_id)}
        if (known is not None and known.user != user) or held_by - {user}:
            raise Refusal(Code.ACCESS, "that worker id is another user's: start the worker again, for a new one")
        self._tell_apart(message)
        known = book.crew.workers.get(message.worker_id)
        worker = Worker(
            worker_id=message.worker_id,
            user=user,
            peer=peer,
            host=message.host,
            slots=message.slots,
            seen=book.now.steady,
            draining=known is not None and known.draining,
            paused=message.paused,
            software=message.software,
            keeping=set(message.keeping),
            bundles=message.bundles,
            process=message.process,
        )
        other = book.crew.of_peer(peer)
        if other is not None:
            book.crew.leave(other.worker_id)
        if known is None:
            book.find_again(worker.host, None if message.here_for is None else book.now.wall - message.here_for)
        book.crew.enter(worker)
        book.alarms.drop(Purpose.RETURN, worker.worker_id)
        book.alarms.set(book.now.steady + book.settings.lease_seconds, Purpose.SILENCE, worker.worker_id)
        registered = Registered(
            epoch=book.epoch,
            lease_seconds=book.settings.lease_seconds,
            renew_seconds=book.settings.renew_seconds,
            abandon=self._leases.renew(worker, message.holding),
            cancels=self._cancels_of(worker),
            ended=self._ended_of(message.keeping),
        )
        book.emit(Tell(peer, ref, registered))
        self._leases.remind(worker, message.holding)

    def _tell_apart(self, message: Register) -> None:
        """Of two processes with one worker id let the later one stand: the other is told to stop, loses what it holds, and stays out."""
        book = self._book
        if book.crew.was_replaced(message.worker_id, message.process):
            raise Refusal(
                Code.ACCESS, "another process has come with this worker's id: start this one again, for a new id"
            )
        replaced = book.crew.replaced_by(message.worker_id, message.process)
        if replaced is None:
            return
        for job in book.crew.held_by(replaced.worker_id):
            book.emit(Tell(replaced.peer, "", Fenced(job_id=job.row.job_id, attempt=job.row.attempt)))
        book.crew.replace(replaced)
        self._leases.lapse_all(replaced.worker_id, "another process came with the worker's id")

    def renew(self, worker: Worker, ref: str, message: Renew) -> None:
        """Let a worker's leases run on."""
        if not worker.connected:
            raise Refusal(Code.REGISTER, "this connection was seen to go: register, then renew")
        worker.paused = message.paused
        worker.keeping = set(message.keeping)
        renewed = Renewed(
            epoch=self._book.epoch,
            abandon=self._leases.renew(worker, message.holding),
            cancels=self._cancels_of(worker),
            ended=self._ended_of(message.keeping),
        )
        self._book.emit(Tell(worker.peer, ref, renewed))
        self._leases.remind(worker, message.holding)

    def drain(self, worker: Worker, ref: str) -> None:
        """Give a worker no more."""
        worker.draining = True
        self._book.emit(Tell(worker.peer, ref, Acknowledged()))

    def drop(self, peer: bytes, *, watched: bool) -> None:
        """Note that a connection has gone: its worker has a short grace to come back with another, or, if its process is watched, as long as that lives."""
        worker = self._book.crew.of_peer(peer)
        if worker is not None and worker.connected:
            worker.connected = False
            if not watched:
                at = self._book.now.steady + self._book.settings.return_grace_seconds
                self._book.alarms.set(at, Purpose.RETURN, worker.worker_id)

    def end(self, peer: bytes) -> None:
        """Note that the process behind a connection that went has ended: its worker never comes back."""
        worker = self._book.crew.of_peer(peer)
        if worker is not None and not worker.connected:
            self._leases.lapse_all(worker.worker_id, "the worker was lost: its process ended")

    def miss(self, worker_id: str) -> None:
        """Forget a worker of which nothing was heard for a lease's time: by then it has ended what it held."""
        worker = self._book.crew.workers.get(worker_id)
        until = worker.seen + self._book.settings.lease_seconds if worker is not None else 0.0
        if until > self._book.now.steady:
            self._book.alarms.set(until, Purpose.SILENCE, worker_id)
        else:
            self._leases.lapse_all(worker_id, "the worker was lost: nothing was heard of it")

    def _ended_of(self, keeping: Jobs) -> Jobs:
        """Return the jobs that have ended. One that this ledger does not know is another broker's to speak of."""
        ended = []
        for job_id in keeping:
            if job_id not in self._book.live:
                # It can be told with the next renewal; the leases must not wait for it.
                with suppress(Refusal):
                    ended += [job_id] if self._book.archive.job(job_id) is not None else []
        return tuple(ended)

    def _cancels_of(self, worker: Worker) -> tuple[CancelOrder, ...]:
        held = self._book.crew.held_by(worker.worker_id)
        orders = [self._cancels.order(job) for job in held if job.row.state is State.CANCELLING]
        return (*orders, *self._cancels.ask_keeper(worker))
