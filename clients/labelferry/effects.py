"""What a session wants done with sockets: small frozen orders that a shell performs, in their order."""

from dataclasses import dataclass
from typing import Any

from labelferry.conversation import Question
from labelferry.fetch import Fetch
from labelferry_protocol.endpoints import Lane


@dataclass(frozen=True)
class Open:
    """Connect a socket of this name to a lane; one of that name that exists is closed first."""

    name: str
    lane: Lane
    endpoint: str


@dataclass(frozen=True)
class Close:
    """Close a socket."""

    name: str


@dataclass(frozen=True)
class Send:
    """Send frames on a socket; tell the session `not_sent` when it has no connection."""

    name: str
    frames: tuple[bytes | memoryview, ...]
    ticket: Question[Any] | Fetch | None


@dataclass(frozen=True)
class Subscribe:
    """Subscribe the events socket to a topic."""

    topic: bytes


@dataclass(frozen=True)
class Unsubscribe:
    """Take a subscription of the events socket back."""

    topic: bytes


Effect = Open | Close | Send | Subscribe | Unsubscribe
