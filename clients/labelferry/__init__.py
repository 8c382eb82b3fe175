"""labelferry for programs: `Client` and `AsyncClient`, the events they yield, the options they take, the errors they raise.

Names are imported when they are first used, so that the command line starts fast.
"""

TYPE_CHECKING = False  # as type checkers know it; `typing` itself takes longer to read than all that the start needs
if TYPE_CHECKING:
    from labelferry.async_client import AsyncClient, AsyncEvents, AsyncExport, AsyncTransfer
    from labelferry.client import Client, Events, Export, Transfer
    from labelferry.errors import Code, Interrupted, LabelferryError, Malformed, Refusal, Unconfirmed, Unreachable
    from labelferry_protocol.events import (
        BundleFacts,
        Cancelled,
        Completed,
        ExportCounts,
        Failed,
        JobEvent,
        PhaseChanged,
        Progress,
        Snapshot,
        StageProgress,
        Started,
        WarningSummary,
        overall,
    )
    from labelferry_protocol.options import ExportOptions, OverlayStyle
    from labelferry_protocol.requests import (
        CancelAccepted,
        History,
        JobSummary,
        Overview,
        Submitted,
        Template,
        Transfers,
        TransferSummary,
    )
    from labelferry_protocol.words import Border, CancelledBy, OnError, Phase, Stage, State, TransferState

_HOMES = {
    "labelferry.client": ("Client", "Events", "Export", "Transfer"),
    "labelferry.async_client": ("AsyncClient", "AsyncEvents", "AsyncExport", "AsyncTransfer"),
    "labelferry.errors": (
        "Code", "Interrupted", "LabelferryError", "Malformed", "Refusal", "Unconfirmed", "Unreachable",
    ),
    "labelferry_protocol.events": (
        "BundleFacts", "Cancelled", "Completed", "ExportCounts", "Failed", "JobEvent", "PhaseChanged", "Progress",
        "Snapshot", "StageProgress", "Started", "WarningSummary", "overall",
    ),
    "labelferry_protocol.options": ("ExportOptions", "OverlayStyle"),
    "labelferry_protocol.requests": (
        "CancelAccepted", "History", "JobSummary", "Overview", "Submitted", "Template", "Transfers", "TransferSummary",
    ),
    "labelferry_protocol.words": ("Border", "CancelledBy", "OnError", "Phase", "Stage", "State", "TransferState"),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AsyncClient",
    "AsyncEvents",
    "AsyncExport",
    "AsyncTransfer",
    "BundleFacts",
    "CancelAccepted",
    "Cancelled",
    "CancelledBy",
    "Client",
    "Code",
    "Completed",
    "Events",
    "Export",
    "ExportCounts",
    "ExportOptions",
    "Failed",
    "History",
    "Interrupted",
    "JobEvent",
    "JobSummary",
    "LabelferryError",
    "Malformed",
    "Border",
    "OnError",
    "OverlayStyle",
    "Overview",
    "Phase",
    "PhaseChanged",
    "Progress",
    "Refusal",
    "Snapshot",
    "Stage",
    "StageProgress",
    "Started",
    "State",
    "Submitted",
    "Template",
    "Transfer",
    "TransferState",
    "TransferSummary",
    "Transfers",
    "Unconfirmed",
    "Unreachable",
    "WarningSummary",
    "overall",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'labelferry' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
