"""The client for programs that block: one `Client` for one thread. Sockets and the turning of them live here; what to do does not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from labelferry_protocol.events import Cancelled, Completed, Failed, JobEvent, Snapshot
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.requests import CancelAccepted, History, Overview, Submitted, Template, Transfers


class Events(Iterator[JobEvent]):
    """The events of one job, in order, to its end. An exception out of `next` (a KeyboardInterrupt, say) does not end it."""

    def __next__(self) -> JobEvent:
        raise NotImplementedError

    def close(self) -> None:
        """Stop watching; the job goes on."""
        raise NotImplementedError


class Transfer(Iterator[JobEvent]):
    """A download: yields `Progress` (phase downloading), then `Completed` with the local path, or `Cancelled` (phase downloading)."""

    path: Path

    def __next__(self) -> JobEvent:
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop, remove what has come, and end with `Cancelled`; may be called from a signal handler or another thread."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave it; what has come stays beside the target for the next time."""
        raise NotImplementedError


class Export(Iterator[JobEvent]):
    """A job and its download as one stream: started, progress, phase-changed, progress, completed (with the local path); or failed; or cancelled."""

    job_id: str | None
    """None until the broker has taken the job."""
    path: Path

    def __next__(self) -> JobEvent:
        raise NotImplementedError

    def cancel(self) -> None:
        """Cancel whatever goes on now: queueing, processing, publishing or the download; go on iterating for the confirmation.

        May be called from a signal handler or another thread, more than once. Before the job is submitted the iteration
        ends with `Interrupted`, for then there is nothing to confirm.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Leave it; the job goes on."""
        raise NotImplementedError


class Client:
    """A connection to a broker, to submit, watch, cancel and download exports.

    `broker` is `tcp://HOST:PORT` or `ipc://DIRECTORY` (else LABELFERRY_BROKER), `key` a key file (else LABELFERRY_KEY; needed
    unless the broker is on this machine). Connects when it is first used. Every question is answered within `timeout`
    seconds or raises `Unreachable`; streams bear a broker that is away for up to `patience` seconds.
    One Client belongs to one thread; several iterators of one Client may be used in turn.
    """

    def __init__(
        self, broker: str | None = None, *, key: Path | None = None, timeout: float = 5.0, patience: float = 60.0
    ) -> None:
        raise NotImplementedError

    def submit(
        self, source: str | Path, options: ExportOptions = ExportOptions(), *, idempotency_key: str | None = None
    ) -> Submitted:
        """Make a job; the same `idempotency_key` is the same job, whenever it is sent again."""
        raise NotImplementedError

    def events(self, job_id: str) -> Events:
        """Watch a job to its end: first what is known of it now, then each event once, in order of `seq`."""
        raise NotImplementedError

    def status(self, job_id: str) -> Snapshot:
        """Return all that is known of a job now."""
        raise NotImplementedError

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
        raise NotImplementedError

    def download(self, job_id: str, target: Path, *, overwrite: bool = False) -> Transfer:
        """Bring a job's bundle to `target`, going on with what an earlier try has left beside it; checked by sha256 before it appears."""
        raise NotImplementedError

    def export(
        self,
        source: str | Path,
        target: Path,
        options: ExportOptions = ExportOptions(),
        *,
        overwrite: bool = False,
        idempotency_key: str | None = None,
    ) -> Export:
        """Submit, watch and download as one stream; the target is checked before anything is submitted."""
        raise NotImplementedError

    def history(self, limit: int = 20, before: str | None = None, *, everybody: bool = False) -> History:
        """Return the newest jobs, at most `limit` (up to 50), older than the job `before`; `everybody` is for admins."""
        raise NotImplementedError

    def transfers(self, job_id: str) -> Transfers:
        """Return who downloaded a job's bundle, when, how far."""
        raise NotImplementedError

    def overview(self) -> Overview:
        """Return the state of the service."""
        raise NotImplementedError

    def save_template(self, name: str, options: ExportOptions) -> Template:
        """Keep these options under a name."""
        raise NotImplementedError

    def template(self, name: str) -> Template:
        """Return the options kept under a name."""
        raise NotImplementedError

    def templates(self) -> tuple[str, ...]:
        """Return the names of the templates, sorted."""
        raise NotImplementedError

    def delete_template(self, name: str) -> None:
        """Forget a template."""
        raise NotImplementedError

    def close(self) -> None:
        """Close every socket; running jobs go on."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
