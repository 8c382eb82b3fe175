"""What a broker is told when it starts."""

from dataclasses import dataclass
from pathlib import Path

from labelferry_protocol.endpoints import Endpoint
from labelferry_protocol.errors import Code, Refusal

HIGHEST_PORT = 65535


@dataclass(frozen=True)
class BrokerSettings:
    """One broker. `keys` None is an open door, which only a local endpoint may have; `until_eof` ends it with its owner."""

    listen: Endpoint
    state: Path
    keys: Path | None = None
    until_eof: bool = False
    log_level: str = "info"
    metrics_port: int | None = None
    """Where the broker's numbers are served, on loopback; None nowhere."""
    keep_days: float = 30.0
    keep_bytes: int = 50 * 10**9
    """How old bundles may become, and how much of the disk all of them may take, before the oldest go."""

    def check(self) -> None:
        """Raise `Refusal(USAGE)` for a broker that others could reach and that could not tell who they are, and for a port that is none."""
        if self.keys is None and not self.listen.local:
            raise Refusal(
                Code.USAGE,
                f"{self.listen} can be reached from other machines: name a keys directory with --keys"
                " (`labelferry keys` makes one), or listen on ipc:// or a loopback address",
            )
        if self.metrics_port is not None and not 0 <= self.metrics_port <= HIGHEST_PORT:
            raise Refusal(
                Code.USAGE,
                f"--metrics-port {self.metrics_port} is no port: choose one from 1 to {HIGHEST_PORT}, or 0 for any that is free",
            )
