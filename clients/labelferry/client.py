"""The client for programs that block: one `Client` for one thread. What it does is in the flows, its sockets in `wires.py`."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from labelferry.connection import new_id
from labelferry.export import Order, export
from labelferry.flow import Flow, Intent, ask, cancel, check_job_id, watch
from labelferry.part_file import check_target
from labelferry.requests import cancel_message, history_message, submit_message, template_name
from labelferry.transfer import download
from labelferry.wires import Wires
from labelferry_protocol.events import Cancelled, Completed, Failed, JobEvent, Snapshot
from labelferry_protocol.message import Message
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.requests import (
    CancelAccepted,
    DeleteTemplate,
    GetOverview,
    GetSnapshot,
    GetTemplate,
    GetTransfers,
    History,
    ListTemplates,
    Overview,
    SaveTemplate,
    Submitted,
    Template,
    TemplateDeleted,
    Templates,
    Transfers,
)

A = TypeVar("A", bound=Message)

DEFAULT_OPTIONS = ExportOptions()


class Events(Iterator[JobEvent]):
    """The events of one job, in order, to its end. A KeyboardInterrupt out of `next` does not end it: `next` goes on."""

    def __init__(self, wires: Wires, flow: Flow[None]) -> None:
        self._wires = wires
        self._flow = flow

    def __next__(self) -> JobEvent:
        event = self._wires.advance(self._flow)
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """Stop watching; the job goes on."""
        self._flow.close()
        self._wires.flush()


class Transfer(Events):
    """A download: yields `Progress` (phase downloading), then `Completed` with the local path, or `Cancelled` (phase downloading)."""

    def __init__(self, wires: Wires, flow: Flow[None], intent: Intent, path: Path) -> None:
        super().__init__(wires, flow)
        self.path = path
        self._intent = intent

    def cancel(self) -> None:
        """Stop, remove what has come, and end with `Cancelled`; may be called from a signal handler or another thread."""
        self._intent.cancel()

    def close(self) -> None:
        """Leave it; what has come stays beside the target for the next time."""
        super().close()


class Export(Events):
    """A job and its download as one stream: started, progress, phase-changed, progress, completed (with the local path); or failed; or cancelled."""

    def __init__(self, wires: Wires, flow: Flow[None], intent: Intent, order: Order) -> None:
        super().__init__(wires, flow)
        self.path = order.target
        self._intent = intent
        self._order = order

    @property
    def job_id(self) -> str | None:
        """The job's id; None until the broker has taken it."""
        return self._order.job_id

    def cancel(self) -> None:
        """Cancel whatever goes on now: queueing, processing, publishing or the download; go on iterating for the confirmation.

        May be called from a signal handler or another thread, more than once. Before the job is submitted the iteration
        ends with `Interrupted`, for then there is nothing to confirm.
        """
        self._intent.cancel()

    def close(self) -> None:
        """Leave it; the job goes on."""
        super().close()


class Client:
    """A connection to a broker, to submit, watch, cancel and download exports.

    `broker` is `tcp://HOST:PORT` or `ipc://DIRECTORY` (else LABELFERRY_BROKER), `key` a key file (else LABELFERRY_KEY; needed
    unless the broker is on this machine). Connects when it is first used. Every question is answered within `timeout`
    seconds or raises `Unreachable`; streams bear a broker that is away for up to `patience` seconds.
    `environment` is where the two variables are looked for. `vigil` is called before each wait, at least twice a second; what
    it raises ends the wait (for whoever knows better that the broker has died).
    One Client belongs to one thread; several iterators of one Client may be used in turn. Whatever the broker refuses is
    raised as `Refusal`.
    """

    def __init__(
        self,
        broker: str | None = None,
        *,
        key: Path | None = None,
        timeout: float = 5.0,
        patience: float = 60.0,
        environment: Mapping[str, str] = os.environ,
        vigil: Callable[[], None] | None = None,
    ) -> None:
        self._wires = Wires(broker, key, timeout, patience, vigil, environment)

    @property
    def silence(self) -> float:
        """For how long nothing was heard of the broker (s) while a job is watched or downloaded; 0 while none is. It is heard of each second."""
        return self._wires.session.silence

    def submit(
        self, source: str | Path, options: ExportOptions = DEFAULT_OPTIONS, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Make a job; the same `idempotency_key` is the same job, whenever it is sent again."""
        return self._ask(submit_message(source, options, idempotency_key, new_id), Submitted)

    def events(self, job_id: str) -> Events:
        """Watch a job to its end: first what is known of it now, then each event once, in order of `seq`."""
        return Events(self._wires, watch(self._wires.session, job_id))

    def status(self, job_id: str) -> Snapshot:
        """Return all that is known of a job now."""
        check_job_id(job_id)
        return self._ask(GetSnapshot(job_id=job_id), Snapshot)

    def cancel(
        self,
        job_id: str,
        *,
        keep_partial: bool | None = None,
        attempt: int | None = None,
        timeout: float = 30.0,
        on_accepted: Callable[[CancelAccepted], None] | None = None,
    ) -> Cancelled | Completed | Failed:
        """Cancel a job (only `attempt` of it, if given) and return how it ended; raise `Unconfirmed` if that is not known in `timeout` seconds.

        `on_accepted` is called when the wish is durable, before the job has ended.
        """
        wish = cancel_message(job_id, keep_partial, attempt)
        return self._wires.run(cancel(self._wires.session, wish, timeout, on_accepted))

    def download(self, job_id: str, target: Path, *, overwrite: bool = False) -> Transfer:
        """Bring a job's bundle to `target`, going on with what an earlier try has left beside it; checked by sha256 before it appears."""
        check_job_id(job_id)
        path = check_target(target, overwrite=overwrite)
        intent = Intent(self._wires.wake)
        flow = download(self._wires.session, intent, job_id, path, overwrite=overwrite, wall=time.time)
        return Transfer(self._wires, flow, intent, path)

    def export(
        self,
        source: str | Path,
        target: Path,
        options: ExportOptions = DEFAULT_OPTIONS,
        *,
        overwrite: bool = False,
        idempotency_key: str | None = None,
    ) -> Export:
        """Submit, watch and download as one stream; the target is checked before anything is submitted."""
        path = check_target(target, overwrite=overwrite)
        order = Order(submit_message(source, options, idempotency_key, new_id), path, overwrite, time.time)
        intent = Intent(self._wires.wake)
        return Export(self._wires, export(self._wires.session, intent, order), intent, order)

    def history(self, limit: int = 20, before: str | None = None, *, everybody: bool = False) -> History:
        """Return the newest jobs, at most `limit` (up to 50), older than the job `before`; `everybody` is for admins."""
        return self._ask(history_message(limit, before, everybody=everybody), History)

    def transfers(self, job_id: str) -> Transfers:
        """Return who downloaded a job's bundle, when, how far."""
        check_job_id(job_id)
        return self._ask(GetTransfers(job_id=job_id), Transfers)

    def overview(self) -> Overview:
        """Return the state of the service."""
        return self._ask(GetOverview(), Overview)

    def save_template(self, name: str, options: ExportOptions) -> Template:
        """Keep these options under a name."""
        return self._ask(SaveTemplate(name=template_name(name), options=options), Template)

    def template(self, name: str) -> Template:
        """Return the options kept under a name."""
        return self._ask(GetTemplate(name=template_name(name)), Template)

    def templates(self) -> tuple[str, ...]:
        """Return the names of the templates, sorted."""
        return self._ask(ListTemplates(), Templates).names

    def delete_template(self, name: str) -> None:
        """Forget a template."""
        self._ask(DeleteTemplate(name=template_name(name)), TemplateDeleted)

    def close(self) -> None:
        """Close every socket; running jobs go on."""
        self._wires.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, message: Message, expects: type[A]) -> A:
        return self._wires.run(ask(self._wires.session, message, expects))
