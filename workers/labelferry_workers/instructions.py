"""What the crew decides, to be done by the supervisor in the order given. Nothing here acts."""

from dataclasses import dataclass

from labelferry_protocol.errors import Code
from labelferry_protocol.work import CancelOrder, Holding, Lease, ProgressFrame, WorkerSays


@dataclass(frozen=True, slots=True)
class Send:
    """Send on work, with this correlation id."""

    message: WorkerSays
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Begin:
    """Make the attempt's staging directory and give the lease to a child."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell the attempt's child to stop between two units of work."""

    order: CancelOrder


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the attempt's child and all processes it started; its end is told by `child_died`."""

    key: Holding


@dataclass(frozen=True, slots=True)
class Clear:
    """Remove all that the attempt wrote; what came of it is told by `cleared`."""

    key: Holding
    for_good: bool = True
    """Whether that is also what is kept of the job for another attempt."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove what is kept of a job that has no other attempt; where an attempt is named, what came of it is told by `forgotten`."""

    job_id: str
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Bring:
    """Bring the attempt's bundle (`size` in bytes) to the depot; put it to `place` before, if that is told and can be done."""

    key: Holding
    token: bytes
    size: int
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop bringing the attempt's bundle, and have the depot forget what it has of it; what lies at `place` is removed at once."""

    key: Holding
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """Listen for orders about this job."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Listen for them no more."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Show:
    """Publish how far an attempt is; the sender stamps the time."""

    frame: ProgressFrame


@dataclass(frozen=True, slots=True)
class Announce:
    """The broker knows this worker, for the first time."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The broker does not answer: begin again with new sockets."""


@dataclass(frozen=True, slots=True)
class StillOut:
    """No broker has known this worker for so long: say so to whoever reads the log."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The broker will not have this worker: end with this reason."""

    code: Code
    message: str


@dataclass(frozen=True, slots=True)
class Leave:
    """All is said and done: end."""


Instruction = (
    Send
    | Begin
    | Stop
    | Kill
    | Clear
    | Forget
    | Bring
    | Abandon
    | Watch
    | Unwatch
    | Show
    | Announce
    | Reconnect
    | StillOut
    | GiveUp
    | Leave
)
