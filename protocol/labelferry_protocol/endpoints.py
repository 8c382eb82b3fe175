"""Where the lanes are: one base endpoint, the others derived from it; and which endpoints are local enough to go without keys."""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum

from labelferry_protocol.errors import Code, Refusal

DEFAULT_PORT = 5570
MAX_IPC_PATH = 100
"""Bytes of a unix socket path that every system takes (Linux: 107, macOS: 103)."""


class Lane(StrEnum):
    """The broker's sockets, in the order of their ports above the base port."""

    REQUESTS = "requests"
    EVENTS = "events"
    WORK = "work"
    PROGRESS = "progress"
    CONTROL = "control"
    DEPOT = "depot"


@dataclass(frozen=True)
class Endpoint:
    """`tcp://HOST:PORT` (the port of the requests lane; the others follow it) or `ipc://DIRECTORY` (a socket file a lane)."""

    scheme: str
    place: str
    port: int = 0

    def lane(self, lane: Lane) -> str:
        """Return the ZeroMQ endpoint of one lane."""
        if self.scheme == "ipc":
            return f"ipc://{self.place}/{lane}"
        return f"tcp://{self.place}:{self.port + list(Lane).index(lane)}"

    @property
    def local(self) -> bool:
        """Whether nothing but this machine can reach it: ipc, or tcp on a loopback address."""
        if self.scheme == "ipc":
            return True
        host = self.place.strip("[]")
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"ipc://{self.place}" if self.scheme == "ipc" else f"tcp://{self.place}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Return the endpoint in `tcp://HOST[:PORT]` or `ipc://DIRECTORY`; raise `Refusal(USAGE)` with what is wrong."""
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in ("tcp", "ipc") or not rest:
        raise Refusal(Code.USAGE, f"{text!r} is not an endpoint: write tcp://HOST:PORT or ipc://DIRECTORY")
    if scheme == "ipc":
        if len(rest.encode()) + 10 > MAX_IPC_PATH:
            raise Refusal(
                Code.USAGE,
                f"{text!r}: the path is too long for a unix socket (over {MAX_IPC_PATH - 10} bytes): choose a shorter directory",
            )
        return Endpoint("ipc", rest.rstrip("/") or "/")
    host, colon, port_text = rest.rpartition(":")
    if rest.startswith("[") and rest.endswith("]"):
        host, colon, port_text = rest, "", ""
    if not colon:
        host, port_text = host or rest, str(DEFAULT_PORT)
    if not host or not port_text.isdecimal() or not 0 < int(port_text) <= 65535 - len(Lane):
        raise Refusal(Code.USAGE, f"{text!r} is not an endpoint: the port is a number from 1 to {65535 - len(Lane)}")
    return Endpoint("tcp", host, int(port_text))


def reached(told: str, base: Endpoint) -> str:
    """Return an endpoint of a `welcome` as this side must connect to it: `*` becomes the host the broker was reached at."""
    return told.replace("://*", f"://{base.place}", 1) if told.startswith("tcp://*") else told
