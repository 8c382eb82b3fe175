"""What a job child and its supervisor say to each other over their channel. Orders are messages of the wire; reports are these."""

from typing import Annotated

from msgspec import Meta

from labelferry_protocol.errors import Code
from labelferry_protocol.events import ExportCounts, StageProgress, WarningSummary
from labelferry_protocol.message import Count, Message, Name, Percent, Seconds, Sha256, Text
from labelferry_protocol.words import Stage
from labelferry_protocol.work import CancelOrder, Holding, Lease


class Warm(Message, frozen=True, kw_only=True):
    """child -> supervisor: everything is imported; the next lease begins at once."""


class Begun(Message, frozen=True, kw_only=True):
    """child -> supervisor: the export has begun."""

    key: Holding


class Moved(Message, frozen=True, kw_only=True):
    """child -> supervisor: how far it is. Latest wins, but for full points and changes of stage."""

    key: Holding
    progress: Percent
    stage: Stage
    message: Text
    stage_progress: StageProgress
    estimated_time_remaining: Seconds | None = None


class Packing(Message, frozen=True, kw_only=True):
    """child -> supervisor: stopped; the finished part is being packed."""

    key: Holding


class Packed(Message, frozen=True, kw_only=True):
    """child -> supervisor: the bundle lies in the staging directory. `fit`: this process may run another job."""

    key: Holding
    size: Count
    sha256: Sha256
    counts: ExportCounts
    warnings: Annotated[tuple[WarningSummary, ...], Meta(max_length=32)] = ()
    partial: bool = False
    fit: bool = True


class Stopped(Message, frozen=True, kw_only=True):
    """child -> supervisor: stopped as told, and there is no bundle."""

    key: Holding
    fit: bool = True


class Broke(Message, frozen=True, kw_only=True):
    """child -> supervisor: the export cannot go on. `retryable`: another try may help. Not `fit`: nobody knows what state the process is in."""

    key: Holding
    code: Code
    message: Text
    stage: Stage | None = None
    item: Name | None = None
    retryable: bool = False
    fit: bool = True


Order = Lease | CancelOrder
"""supervisor -> child. The end of the channel means: die."""
Report = Warm | Begun | Moved | Packing | Packed | Stopped | Broke
Ending = Packed | Stopped | Broke
ENDINGS = (Packed, Stopped, Broke)
