"""What can go wrong between two ends, as codes that travel and the exceptions that carry them.

A code is for programs and never changes; the message beside it is for people: what, where, what to do.
"""

from enum import StrEnum


class Code(StrEnum):
    """The codes a refusal or a failed job may carry. A reader takes an unknown code as `INTERNAL`."""

    # the wire
    MALFORMED = "malformed"
    UNKNOWN_VERB = "unknown-verb"
    PROTOCOL = "protocol"
    REGISTER = "register"
    """Who you are is not known here (any more): register or open again, then repeat."""
    # access and limits
    ACCESS = "access"
    QUOTA = "quota"
    BUSY = "busy"
    # things
    NO_SUCH_JOB = "no-such-job"
    NO_SUCH_TEMPLATE = "no-such-template"
    NOT_COMPLETED = "not-completed"
    FENCED = "fenced"
    """The attempt you speak of is no longer yours."""
    GONE = "gone"
    """The bundle was taken by retention, or is not what the token names."""
    # jobs
    USAGE = "usage"
    """An option or its value is wrong."""
    SOURCE = "source"
    """The project cannot be read, or holds something that cannot be exported."""
    ITEM = "item"
    """One image or object cannot be exported, and `on_error` is `fail`."""
    OUTPUT = "output"
    """The result cannot be written where it was asked for."""
    DISK_FULL = "disk-full"
    WORKER_LOST = "worker-lost"
    """The worker, or the process that did the work, died, as often as the job may be tried."""
    STORE = "store"
    """The broker's ledger or depot cannot take it."""
    INTERNAL = "internal"

    @classmethod
    def _missing_(cls, _value: object) -> "Code":
        """Take a code of a newer version as `INTERNAL`; a job that failed with it has failed."""
        return cls.INTERNAL


EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CANCELLED = 3
EXIT_REFUSED = 4
EXIT_UNREACHABLE = 5
EXIT_INTERRUPTED = 130
"""Of a command that only looked on, or waited, when Ctrl-C came: what it looked at goes on."""

EXIT_CODES: dict[Code, int] = {
    Code.USAGE: EXIT_USAGE,
    Code.PROTOCOL: EXIT_UNREACHABLE,
    Code.ACCESS: EXIT_REFUSED,
    Code.QUOTA: EXIT_REFUSED,
    Code.BUSY: EXIT_REFUSED,
    Code.NO_SUCH_JOB: EXIT_FAILED,
}
"""Which exit code a refusal or failure ends the command line with; `EXIT_FAILED` where there is no row."""


class LabelferryError(Exception):
    """The root of every error labelferry raises on purpose; its text is a sentence for a person."""


class Malformed(LabelferryError):
    """Bytes that are not a message of this lane: wrong frames, too large, too deep, or of the wrong types."""


class Refusal(LabelferryError):
    """The other end said no. `code` is for programs, the text for people, `retry_after` (s) says when asking again may help."""

    def __init__(self, code: Code, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def exit_code(self) -> int:
        """What a command that ends with this refusal exits with."""
        return EXIT_CODES.get(self.code, EXIT_FAILED)


def unusable(error: OSError) -> str:
    """Return the sentence on a file or folder that the system does not let us use."""
    place = f" {error.filename}" if error.filename else ""
    return f"cannot use{place}: {error.strerror}"
