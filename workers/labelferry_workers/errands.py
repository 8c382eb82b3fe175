"""What the supervisor and its uploader say to each other, inside one process."""

from typing import Annotated

from msgspec import Meta

from labelferry_protocol.errors import Code
from labelferry_protocol.message import Count, Message, Path, Seconds, Text
from labelferry_protocol.requests import Token
from labelferry_protocol.work import Holding

SHOWN_BYTES = 1024 * 1024
"""A smaller bundle has come before anybody could read that it is on its way."""


class Connect(Message, frozen=True, kw_only=True):
    """supervisor -> uploader: the depot is there; begin anew with a new socket."""

    endpoint: Annotated[str, Meta(min_length=1)]


class Carry(Message, frozen=True, kw_only=True):
    """supervisor -> uploader: bring this file to the depot. Under way already: go on under this token."""

    key: Holding
    token: Token
    path: Path
    size: Count


class Drop(Message, frozen=True, kw_only=True):
    """supervisor -> uploader: bring it no more, and have the depot forget it."""

    key: Holding


class Finish(Message, frozen=True, kw_only=True):
    """supervisor -> uploader: end."""


class Carrying(Message, frozen=True, kw_only=True):
    """uploader -> supervisor: so many bytes have left; `waiting` is why none leave now."""

    key: Holding
    sent: Count
    seconds_left: Seconds | None = None
    waiting: Text = ""


class Carried(Message, frozen=True, kw_only=True):
    """uploader -> supervisor: the depot has it."""

    key: Holding
    receipt: Token


class NotCarried(Message, frozen=True, kw_only=True):
    """uploader -> supervisor: the depot will not have it."""

    key: Holding
    code: Code
    message: Text


ToUploader = Connect | Carry | Drop | Finish
FromUploader = Carrying | Carried | NotCarried
