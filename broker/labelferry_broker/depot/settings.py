"""What the depot's process is told by the broker that starts it."""

from dataclasses import dataclass
from pathlib import Path

SECRET_BYTES = 32


@dataclass(frozen=True)
class DepotSettings:
    """Where to listen (`endpoint`: bound as it is), where the bundles lie, who may come (`keys`; None: an open door), and the broker's inner lane."""

    endpoint: str
    state: Path
    inner: str
    keys: Path | None = None


def secret_path(state: Path) -> Path:
    """Return where the secret that broker and depot share lies."""
    return state / "secret"
