"""The client for asyncio: what `Client` does, with await and async iterators. Any number of tasks of one loop may share it."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from labelferry.async_wires import AsyncWires
from labelferry.connection import new_id
from labelferry.export import Order, export
from labelferry.flow import Flow, Intent, ask, cancel, check_job_id, watch
from labelferry.part_file import check_target
from labelferry.requests import cancel_message, history_message, submit_message, template_name
from labelferry.transfer import download
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


class AsyncEvents(AsyncIterator[JobEvent]):
    """The events of one job, in order, to its end. A cancelled task does not end it: iterating may go on."""

    def __init__(self, wires: AsyncWires, flow: Flow[None]) -> None:
        self._wires = wires
        self._flow = flow

    async def __anext__(self) -> JobEvent:
        event = await self._wires.advance(self._flow)
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Stop here; the job goes on, and what a download has brought stays for the next time."""
        await self._wires.finish_work(self._flow)
        self._flow.close()
        self._wires.flush()


class AsyncTransfer(AsyncEvents):
    """A download: yields `Progress` (phase downloading), then `Completed` with the local path, or `Cancelled` (phase downloading)."""

    def __init__(self, wires: AsyncWires, flow: Flow[None], intent: Intent, path: Path) -> None:
        super().__init__(wires, flow)
        self.path = path
        self._intent = intent

    def cancel(self) -> None:
        """Stop, remove what has come, and end with `Cancelled`; may be called from any thread or signal handler."""
        self._intent.cancel()


class AsyncExport(AsyncEvents):
    """A job and its download as one stream: started, progress, phase-changed, progress, completed (with the local path); or failed; or cancelled."""

    def __init__(self, wires: AsyncWires, flow: Flow[None], intent: Intent, order: Order) -> None:
        super().__init__(wires, flow)
        self.path = order.target
        self._intent = intent
        self._order = order

    @property
    def job_id(self) -> str | None:
        """The job's id; None until the broker has taken it."""
        return self._order.job_id

    def cancel(self) -> None:
        """Cancel whatever goes on now; go on iterating for the confirmation. See `Export.cancel`."""
        self._intent.cancel()


class AsyncClient:
    """A connection to a broker, to submit, watch, cancel and download exports without blocking the loop.

    Arguments and errors are those of `Client`. Connects when it is first used, in the loop that uses it.
    """

    def __init__(
        self, broker: str | None = None, *, key: Path | None = None, timeout: float = 5.0, patience: float = 60.0
    ) -> None:
        self._wires = AsyncWires(broker, key, timeout, patience)

    @property
    def silence(self) -> float:
        """For how long nothing was heard of the broker (s) while a job is watched or downloaded; 0 while none is. It is heard of each second."""
        return self._wires.session.silence

    async def submit(
        self, source: str | Path, options: ExportOptions = DEFAULT_OPTIONS, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Make a job; the same `idempotency_key` is the same job, whenever it is sent again."""
        return await self._ask(submit_message(source, options, idempotency_key, new_id), Submitted)

    def events(self, job_id: str) -> AsyncEvents:
        """Watch a job to its end: first what is known of it now, then each event once, in order of `seq`."""
        return AsyncEvents(self._wires, watch(self._wires.session, job_id))

    async def status(self, job_id: str) -> Snapshot:
        """Return all that is known of a job now."""
        check_job_id(job_id)
        return await self._ask(GetSnapshot(job_id=job_id), Snapshot)

    async def cancel(
        self,
        job_id: str,
        *,
        keep_partial: bool | None = None,
        attempt: int | None = None,
        timeout: float = 30.0,
        on_accepted: Callable[[CancelAccepted], None] | None = None,
    ) -> Cancelled | Completed | Failed:
        """Cancel a job (only `attempt` of it, if given) and return how it ended; raise `Unconfirmed` if that is not known in `timeout` seconds."""
        wish = cancel_message(job_id, keep_partial, attempt)
        return await self._wires.run(cancel(self._wires.session, wish, timeout, on_accepted))

    def download(self, job_id: str, target: Path, *, overwrite: bool = False) -> AsyncTransfer:
        """Bring a job's bundle to `target`, going on with what an earlier try has left beside it; checked by sha256 before it appears."""
        check_job_id(job_id)
        path = check_target(target, overwrite=overwrite)
        intent = Intent(self._wires.wake)
        flow = download(self._wires.session, intent, job_id, path, overwrite=overwrite, wall=time.time)
        return AsyncTransfer(self._wires, flow, intent, path)

    def export(
        self,
        source: str | Path,
        target: Path,
        options: ExportOptions = DEFAULT_OPTIONS,
        *,
        overwrite: bool = False,
        idempotency_key: str | None = None,
    ) -> AsyncExport:
        """Submit, watch and download as one stream; the target is checked before anything is submitted."""
        path = check_target(target, overwrite=overwrite)
        order = Order(submit_message(source, options, idempotency_key, new_id), path, overwrite, time.time)
        intent = Intent(self._wires.wake)
        return AsyncExport(self._wires, export(self._wires.session, intent, order), intent, order)

    async def history(self, limit: int = 20, before: str | None = None, *, everybody: bool = False) -> History:
        """Return the newest jobs, at most `limit` (up to 50), older than the job `before`; `everybody` is for admins."""
        return await self._ask(history_message(limit, before, everybody=everybody), History)

    async def transfers(self, job_id: str) -> Transfers:
        """Return who downloaded a job's bundle, when, how far."""
        check_job_id(job_id)
        return await self._ask(GetTransfers(job_id=job_id), Transfers)

    async def overview(self) -> Overview:
        """Return the state of the service."""
        return await self._ask(GetOverview(), Overview)

    async def save_template(self, name: str, options: ExportOptions) -> Template:
        """Keep these options under a name."""
        return await self._ask(SaveTemplate(name=template_name(name), options=options), Template)

    async def template(self, name: str) -> Template:
        """Return the options kept under a name."""
        return await self._ask(GetTemplate(name=template_name(name)), Template)

    async def templates(self) -> tuple[str, ...]:
        """Return the names of the templates, sorted."""
        return (await self._ask(ListTemplates(), Templates)).names

    async def delete_template(self, name: str) -> None:
        """Forget a template."""
        await self._ask(DeleteTemplate(name=template_name(name)), TemplateDeleted)

    async def close(self) -> None:
        """Close every socket; running jobs go on."""
        await self._wires.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, message: Message, expects: type[A]) -> A:
        return await self._wires.run(ask(self._wires.session, message, expects))
