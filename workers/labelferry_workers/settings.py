"""What a worker is told at its start: its frozen settings, in seconds unless said otherwise."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from labelferry_export.keeping.settings import CHECKPOINT_BYTES
from labelferry_protocol.endpoints import Endpoint
from labelferry_transport.sockets import ClientKeys


@dataclass(frozen=True)
class CrewSettings:
    """The numbers of the crew."""

    drain_seconds: float = 30.0
    bundles_per_slot: int = 4
    """So many bundles may be on their way to the depot for each slot, while the slot has the next job."""
    partial_seconds: float = 60.0
    """How long packing the finished part may take after a cancel that keeps it."""
    fence_margin: float = 2.0
    """How long before the end of its lease an attempt is killed; at most a fifth of the lease."""
    clear_seconds: float = 2.0
    """How long removing what an attempt wrote is tried, before it is said that it failed."""
    clear_pause: float = 0.02
    goodbye_seconds: float = 1.0
    """How long a worker that goes waits for the broker to answer its last words."""
    stall_seconds: float = 120.0
    """After so long without progress, people are told."""
    stall_kill: float | None = None
    """After so long without progress, the child is killed and the attempt fails; None never."""
    enough_free_bytes: int = 64 * 1024 * 1024
    """What must be free again in staging before a worker that ran out of room takes a job."""
    room_pause: float = 5.0
    """How long at least a worker that ran out of room takes none."""


@dataclass(frozen=True)
class PoolSettings:
    """The children: how one is started, and how long it is used."""

    command: tuple[str, ...] = (sys.executable, "-P", "-m", "labelferry_workers.child")
    """Starts a child; its own options are appended."""
    jobs_per_child: int = 10_000
    """After so many a child is replaced, whatever it says of itself; one that has grown says so, and is replaced at once."""
    restart_seconds: float = 0.1
    """Wait after a child that died before it was warm; doubles each time, up to `restart_ceiling_seconds`."""
    restart_ceiling_seconds: float = 5.0


@dataclass(frozen=True)
class KeepingSettings:
    """How many bytes may be kept: of one job for its next attempt, and of all exports for later ones. 0 keeps nothing."""

    checkpoint_bytes: int = CHECKPOINT_BYTES
    cache_bytes: int = 0


@dataclass(frozen=True)
class WorkerSettings:
    """One worker process."""

    broker: Endpoint
    staging: Path
    """Where worker processes make the directories that they work in."""
    roots: tuple[Path, ...]
    """Sources are read below these only."""
    slots: int = 1
    keys: ClientKeys | None = None
    key_name: str = ""
    """Whose these keys are, as the broker calls them."""
    until_eof: bool = False
    connect_timeout: float | None = None
    """Give up when the broker was not reached for so long at the start; None waits for ever."""
    crew: CrewSettings = field(default_factory=CrewSettings)
    pool: PoolSettings = field(default_factory=PoolSettings)
    keeping: KeepingSettings = field(default_factory=KeepingSettings)
