"""One attempt on this worker, as one literal table. Pure.

An attempt has a child while it is running, stopping, packing or dying; a staging directory until it is cleared; and a last
word to say to the broker, unless it was taken away (fenced), for then nobody wants to hear of it. A pair without a row is
something that comes too late, and changes nothing.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from labelferry_protocol.work import (
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    CancelOrder,
    Holding,
    Lease,
    ProgressFrame,
)
from labelferry_workers.reports import Moved, Packed

LastWord = AttemptFinished | AttemptFailed | AttemptCancelled


class Step(StrEnum):
    """Where an attempt is on this worker."""

    RUNNING = "running"
    """A child has the lease, begun or not."""
    STOPPING = "stopping"
    """The child was told to stop."""
    PACKING = "packing"
    """The child has stopped and packs the finished part."""
    DYING = "dying"
    """The child was killed; its end is awaited."""
    ASKING = "asking"
    """The bundle is ready; the broker is asked whether it may be brought."""
    BRINGING = "bringing"
    """The bundle is on its way to the depot."""
    CLEARING = "clearing"
    """The staging directory is being removed."""
    REPORTING = "reporting"
    """Nothing is left here; the last word is repeated until it is answered."""


class Move(StrEnum):
    """What can happen to an attempt."""

    STOP = "stop"
    PACK = "pack"
    BUNDLE = "bundle"
    END = "end"
    KILL = "kill"
    DIE = "die"
    GRANT = "grant"
    RENEW = "renew"
    CLEAR = "clear"


WAYS: dict[tuple[Step, Move], Step] = {
    (Step.RUNNING, Move.STOP): Step.STOPPING,
    (Step.RUNNING, Move.BUNDLE): Step.ASKING,
    (Step.RUNNING, Move.END): Step.CLEARING,
    (Step.RUNNING, Move.KILL): Step.DYING,
    (Step.RUNNING, Move.DIE): Step.CLEARING,
    (Step.STOPPING, Move.PACK): Step.PACKING,
    (Step.STOPPING, Move.BUNDLE): Step.ASKING,
    (Step.STOPPING, Move.END): Step.CLEARING,
    (Step.STOPPING, Move.KILL): Step.DYING,
    (Step.STOPPING, Move.DIE): Step.CLEARING,
    (Step.PACKING, Move.BUNDLE): Step.ASKING,
    (Step.PACKING, Move.END): Step.CLEARING,
    (Step.PACKING, Move.KILL): Step.DYING,
    (Step.PACKING, Move.DIE): Step.CLEARING,
    (Step.DYING, Move.DIE): Step.CLEARING,
    (Step.ASKING, Move.GRANT): Step.BRINGING,
    (Step.ASKING, Move.END): Step.CLEARING,
    (Step.BRINGING, Move.RENEW): Step.ASKING,
    (Step.BRINGING, Move.END): Step.CLEARING,
    (Step.CLEARING, Move.CLEAR): Step.REPORTING,
}

WITH_CHILD = frozenset({Step.RUNNING, Step.STOPPING, Step.PACKING, Step.DYING})
AT_WORK = frozenset({Step.RUNNING, Step.ASKING, Step.BRINGING})
"""Where an attempt goes on by itself, without a cancel."""
FENCED_IN_TIME = frozenset({Step.RUNNING, Step.STOPPING, Step.PACKING, Step.ASKING, Step.BRINGING})
"""Where an attempt must not be any more when its lease ends. What is done and cleared may still say so."""


@dataclass
class Attempt:
    """All that the crew knows of one attempt. Times are of a steady clock, in seconds."""

    lease: Lease
    leased_until: float
    step: Step = Step.RUNNING
    kill_at: float | None = None
    """When the child that was told to stop is killed."""
    order: CancelOrder | None = None
    """The cancel it is under."""
    forced: bool = False
    packed: Packed | None = None
    word: LastWord | None = None
    """What will be said when it is cleared, or is being said."""
    taken_away: bool = False
    """Whether the lease has ended: then nobody wants to hear of it."""
    clear_again_at: float | None = None
    clear_until: float = 0.0
    watch_at: float | None = None
    """When orders about it are listened to on the control lane; None when they are."""
    moved: Moved | None = None
    frame: ProgressFrame | None = None
    """The progress that was shown last: shown again when the broker has the beginning, and with each renewal, for a frame may be lost."""
    moved_at: float = 0.0
    stall_seconds: float = 0.0
    """After so long without a move people are told: again after twice as long, and so on."""
    asked: int = 0
    wait_shown_at: float | None = None
    """When people are told that the bundle waits for the depot; None when they were, or there is nothing to wait for."""
    place: str | None = None
    """Where the bundle may be put by hand."""
    children: int = 1
    """How many have been given it."""
    begun: bool = False
    """Whether a child has said that it has begun."""
    begun_at: float | None = None
    """When it is said that the child has begun; None before it has, and when that is said."""
    key: Holding = field(init=False)

    def __post_init__(self) -> None:
        self.key = Holding(job_id=self.lease.job_id, attempt=self.lease.attempt)

    @property
    def ends_job(self) -> bool:
        """Whether the job has no other attempt after this one, as far as this worker knows: it is cancelled, done, or cannot be done."""
        if self.order is not None or isinstance(self.word, AttemptFinished):
            return True
        return isinstance(self.word, AttemptFailed) and not self.word.retryable

    def can(self, move: Move) -> bool:
        """Return whether `move` has a way from here."""
        return (self.step, move) in WAYS

    def take(self, move: Move) -> None:
        """Go the way of `move`; one that `can` denies is a fault of the caller's."""
        self.step = WAYS[self.step, move]
