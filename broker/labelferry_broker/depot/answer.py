"""What the depot's halves hand to its carrier to be sent, and the speaker checks that they share."""

from typing import NamedTuple

from labelferry_protocol.depot import DepotSays
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.requests import Refused


class Answer(NamedTuple):
    """A message to the connection `peer`, with the correlation id of what it answers and the bytes behind it, if any."""

    peer: bytes
    ref: str
    message: DepotSays
    payload: bytes | None = None


def refused(peer: bytes, ref: str, refusal: Refusal) -> Answer:
    """Return a refusal as it is sent."""
    return Answer(peer, ref, Refused(code=refusal.code, message=refusal.message, retry_after=refusal.retry_after))


def check_bearer(named: str, user: str) -> None:
    """Raise `Refusal(ACCESS)` when a token was made for somebody else's connection."""
    if named != user:
        raise Refusal(Code.ACCESS, "that token was given to somebody else: ask the broker for one of your own")
