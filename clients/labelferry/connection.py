"""Which broker a client talks to, with which key, and how patiently; and what to advise a person when nobody answers there."""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labelferry.flow import check_seconds
from labelferry.session import Session
from labelferry_protocol.endpoints import Endpoint, parse_endpoint
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.software import software
from labelferry_transport.keys import load_key
from labelferry_transport.sockets import ClientKeys

BROKER_VARIABLE = "LABELFERRY_BROKER"
KEY_VARIABLE = "LABELFERRY_KEY"


@dataclass(frozen=True)
class Connection:
    """A broker's base endpoint, the keys for it (None: an open door on this machine), and patience in seconds."""

    endpoint: Endpoint
    keys: ClientKeys | None
    key_path: Path | None
    timeout: float
    patience: float

    @property
    def advice(self) -> str:
        """What to look at when no broker answers; with CURVE, a key that the broker does not know, or that expects another broker, looks like silence."""
        if self.key_path is not None:
            return f"is it running, does it know the key {self.key_path}, and is that key file of this broker's making?"
        if self.endpoint.scheme == "ipc":
            return "is it running? (`labelferry up` starts one on this machine)"
        return "is it running, and does it serve without keys? (`labelferry up` starts one on this machine)"

    def session(self) -> Session:
        """Return a session that has not begun."""
        return Session(
            self.endpoint,
            new_id,
            timeout=self.timeout,
            patience=self.patience,
            advice=self.advice,
            software=software(),
        )


def new_id() -> str:
    """Return 32 hexadecimal characters that nobody else has."""
    return uuid.uuid4().hex


def resolve_connection(
    broker: str | None,
    key: Path | None,
    *,
    timeout: float,
    patience: float,
    environment: Mapping[str, str] = os.environ,
) -> Connection:
    """Return the connection that arguments and environment name; raise `Refusal(USAGE)` when they name none, one that needs a key, or no time."""
    check_seconds("timeout", timeout)
    check_seconds("patience", patience)
    text = broker or environment.get(BROKER_VARIABLE, "")
    if not text:
        raise Refusal(
            Code.USAGE,
            f"no broker is named: give its endpoint, or set {BROKER_VARIABLE} (tcp://HOST:PORT or ipc://DIRECTORY)",
        )
    endpoint = parse_endpoint(text)
    if key is None and environment.get(KEY_VARIABLE):
        key = Path(environment[KEY_VARIABLE])
    if key is None and not endpoint.local:
        raise Refusal(
            Code.USAGE, f"{endpoint} is not on this machine and needs a key: give a key file, or set {KEY_VARIABLE}"
        )
    keys = None if key is None else load_key(key).as_client()
    return Connection(endpoint, keys, key, timeout, patience)
