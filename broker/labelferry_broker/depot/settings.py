"""What the depot's process is told by the broker that starts it."""

from dataclasses import dataclass
from pathlib import Path

from labelferry_protocol.tokens import Claims

SECRET_BYTES = 32
LINKED_BYTES = 1024 * 1024
"""A smaller bundle is sent, also on one machine: that is one chunk."""


@dataclass(frozen=True)
class DepotSettings:
    """Where to listen (`endpoint`: bound as it is), where the bundles lie, who may come (`keys`; None: an open door), and the broker's inner lane."""

    endpoint: str
    state: Path
    inner: str
    keys: Path | None = None


def part_path(state: Path, claims: Claims) -> Path:
    """Return where what is here of a bundle lies until it is whole and checked."""
    return state / "incoming" / f"{claims.job_id}.{claims.attempt}.{claims.sha256[:16]}.part"


def bundle_path(state: Path, job_id: str, attempt: int) -> Path:
    """Return where a bundle lies when it is whole and checked."""
    return bundles_folder(state) / f"{job_id}.{attempt}.zip"


def bundles_folder(state: Path) -> Path:
    """Return where all bundles lie that are whole and checked."""
    return state / "bundles"


def secret_path(state: Path) -> Path:
    """Return where the secret that broker and depot share lies."""
    return state / "secret"
