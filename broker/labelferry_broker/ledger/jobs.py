"""A job that has not ended, in memory: its row, and beside it what a crash may forget."""

from dataclasses import dataclass, field

from labelferry_broker.ledger.rows import JobRow
from labelferry_protocol.requests import Submit
from labelferry_protocol.words import State
from labelferry_protocol.work import ProgressFrame

HELD = (State.RUNNING, State.CANCELLING)
"""The states in which a worker has the job."""


@dataclass(slots=True, eq=False)
class Job:
    """One live job. `row` is what the store has, or will have after this turn, but for the newest progress."""

    row: JobRow
    seq: int
    """The number of the last event."""
    submitted_at: float | None = None
    """When it was submitted, by the steady clock; None where an earlier broker was told. So are the next two."""
    begun_at: float | None = None
    """When the current attempt began."""
    cancelled_at: float | None = None
    """When its cancel was asked for."""
    told_at: float = 0.0
    """When the lease was told last, by the steady clock."""
    tellings: int = 0
    """How often the lease was told."""
    granted: bool = False
    """Whether the depot may have something of the current attempt."""
    adopted: bool = False
    """Whether the current attempt was leased by an earlier broker."""
    bringing: bool = False
    """Whether the current attempt's worker has asked to bring its bundle: no child works on it any more."""
    order_gap: float = 0.0
    """Seconds until the cancel order is repeated; 0 when it needs no repeating."""
    waiters: dict[tuple[bytes, str], None] = field(default_factory=dict)
    """Who asked for a cancel and waits for the end: peer and correlation id, in the order of asking."""
    doubted_until: float = 0.0
    """Steady time until which a worker that was given up may not have noticed, and run an older attempt still."""
    floor: float = 0.0
    """What was told of progress before the current attempt: it counts from there, whatever its worker says."""
    early: list[ProgressFrame] = field(default_factory=list)
    """What the current attempt's worker has said of progress before it was known to have begun, in order."""
    tried: set[str] = field(default_factory=set)
    """Workers at which an attempt ended badly: others are asked first."""

    clearing: set[str] = field(default_factory=set)
    """Workers that have still to say, after a cancel, that nothing of the job is kept with them."""
    left_at: set[str] = field(default_factory=set)
    """Hosts whose worker was lost with it: what lies on their disk nobody can say until a worker is there again."""
    cleared: bool = True
    """Whether all that have said so could remove it."""

    @property
    def held(self) -> bool:
        """Whether a worker has it."""
        return self.row.state in HELD

    @property
    def stalled(self) -> bool:
        """Whether the current attempt's last word was that nothing has moved for long."""
        last = self.row.progress
        return (
            self.row.state is State.RUNNING and last is not None and last.stalled and last.attempt == self.row.attempt
        )

    @property
    def begun(self) -> bool:
        """Whether the worker said that the current attempt has begun."""
        return self.row.started is not None and self.row.started.attempt == self.row.attempt


def project_name(message: Submit) -> str:
    """Return what a submitted project is called: its option, or the last part of where it is."""
    if message.options.name:
        return message.options.name
    place = message.source.location.split("?")[0].replace("\\", "/").rstrip("/")
    return place.rpartition("/")[2][:255] or "project"


def bundle_name(project: str) -> str:
    """Return the file name that a project's bundle is offered under: safe in any directory, ending in `.zip`."""
    safe = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in project)
    return (safe.strip(". ")[:100] or "export") + ".zip"
