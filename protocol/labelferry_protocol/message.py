"""What every message is: a frozen struct whose class name gives its `kind` on the wire."""

import re
from typing import Annotated

from msgspec import Meta, Struct

from labelferry_protocol import limits


def kind_of(class_name: str) -> str:
    """Return the `kind` of a message class: its name in kebab case (`PhaseChanged` is `phase-changed`)."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", class_name).lower()


class Message(Struct, frozen=True, kw_only=True, tag=kind_of, tag_field="kind"):
    """A message: `kind` on the wire is the class name in kebab case; unknown fields are ignored; new fields have defaults."""


class Part(Struct, frozen=True, kw_only=True):
    """A named part of a message that is no message by itself."""


Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
JobId = Hex32
"""32 hexadecimal characters, made by the broker."""
WorkerId = Hex32
"""32 hexadecimal characters, made by a supervisor when it starts: a new process is a new worker."""
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Attempt = Annotated[int, Meta(ge=1, le=10_000)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Timestamp = float
"""Seconds since 1970-01-01 UTC, by the clock of the broker in events, of the sender elsewhere."""
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(max_length=255)]
Text = Annotated[str, Meta(max_length=1024)]
Path = Annotated[str, Meta(min_length=1, max_length=limits.MAX_STRING)]
