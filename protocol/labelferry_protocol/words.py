"""The closed vocabularies of the wire: one word a thing, the same in code, messages, logs and command line."""

from enum import StrEnum


class State(StrEnum):
    """Where a job is in its life (see `life.py` for the ways between)."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """Which half of the way a progress figure speaks of: making the bundle, or bringing it."""

    PROCESSING = "processing"
    DOWNLOADING = "downloading"


class Stage(StrEnum):
    """What a worker does while it processes, in this order."""

    IMAGES = "images"
    VISUALIZATIONS = "visualizations"
    ANNOTATIONS = "annotations"
    METRICS = "metrics"
    COMPRESSION = "compression"


class Role(StrEnum):
    """What a connection may do; an admin may do what a user may, on everybody's jobs."""

    USER = "user"
    WORKER = "worker"
    ADMIN = "admin"


class CancelledBy(StrEnum):
    """What kind of hand ended a job."""

    USER = "user"
    SYSTEM = "system"
    TIMEOUT = "timeout"


class Border(StrEnum):
    """What becomes of objects that touch the border of their image."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    ONLY = "only"


class OnError(StrEnum):
    """What an export does with an item that cannot be exported."""

    FAIL = "fail"
    SKIP = "skip"


class TransferState(StrEnum):
    """How a download stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
