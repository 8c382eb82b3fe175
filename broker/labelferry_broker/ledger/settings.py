"""What the ledger is told besides messages: its settings, the moment, and who asks."""

from dataclasses import dataclass
from typing import NamedTuple

from labelferry_protocol import limits


class Moment(NamedTuple):
    """One reading of two clocks, in seconds: `steady` for deadlines (never jumps), `wall` for timestamps (UTC, since 1970)."""

    steady: float
    wall: float


@dataclass(frozen=True)
class Asker:
    """Who asks, as the connection says: a user name, and whether it may see everybody's jobs."""

    user: str
    admin: bool = False

    def may_see(self, owner: str) -> bool:
        """Whether this asker may watch, cancel and download the jobs of `owner`."""
        return self.admin or self.user == owner


@dataclass(frozen=True)
class LedgerSettings:
    """The numbers of the ledger; seconds unless said otherwise."""

    software: str = ""
    """What an overview calls this broker, e.g. `labelferry 0.1.0`."""
    lease_seconds: float = limits.LEASE_SECONDS
    renew_seconds: float = limits.RENEW_SECONDS
    return_grace_seconds: float = limits.RETURN_GRACE_SECONDS
    cancel_grace_seconds: float = limits.CANCEL_GRACE_SECONDS
    max_attempts: int = limits.MAX_ATTEMPTS
    lease_repeat_seconds: float = 1.0
    """A lease that a worker does not list is told again when it is older than this."""
    lease_tellings: int = 4
    """A lease that a worker still does not list after so many tellings is left to run out."""
    order_repeat_seconds: float = 1.0
    """A cancel order is repeated until it is seen: first after a tenth of this, then at doubling intervals up to this."""
    clearing_seconds: float = 2.0
    """How long the confirmation of a cancel waits for workers that keep finished work of a job that none of them has."""
    retry_seconds: float = 0.5
    """Wait before the second attempt of a job whose first failed (there is none when its process was lost); doubles with each attempt."""
    retry_ceiling_seconds: float = 30.0
    progress_save_seconds: float = 1.0
    """Progress is made durable once in this time."""
    token_seconds: float = 24 * 3600.0
    queued_per_user: int = 10_000
    """Jobs of one user that may wait at a time; over it a submit is refused."""
    queued_in_all: int = 200_000
    """Jobs of everybody that may wait at a time."""
    quota_retry_seconds: float = 5.0
    seq_block: int = 1024
    """Event numbers reserved durably at a time; after a restart a job goes on above its reserve."""
    waiters_per_job: int = 256
    """Cancels of one job that may wait for its end."""
    keep_seconds: float = 30 * 86400.0
    """Age at which a bundle goes."""
    keep_bytes: int = 50 * 10**9
    """What all bundles together may take; over it the oldest go."""
    spare_seconds: float = 3600.0
    """A bundle younger than this never goes."""
    download_seconds: float = 60.0
    """How long a bundle is taken for being downloaded after a word of who downloads it."""
    download_grace_seconds: float = 86400.0
    """How much longer than others a bundle may stay that is being downloaded."""
    sweep_seconds: float = 60.0
    """Between two looks for bundles that are to go."""
    templates_per_user: int = 200
    options_bytes: int = 48 * 1024
    """The largest source and options of a job together, packed: they travel in one lease."""
