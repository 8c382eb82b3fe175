"""What can go wrong on this side of the wire; what the other side refuses is a `Refusal`, re-exported here."""

from labelferry_protocol.errors import (
    EXIT_CANCELLED,
    EXIT_FAILED,
    EXIT_UNREACHABLE,
    Code,
    LabelferryError,
    Malformed,
    Refusal,
)

__all__ = ["Code", "Interrupted", "LabelferryError", "Malformed", "Refusal", "Unconfirmed", "Unreachable"]


class Unreachable(LabelferryError):
    """No broker answers. A wrong or unknown key looks the same from here, so the sentence says both."""

    exit_code = EXIT_UNREACHABLE

    def __init__(self, message: str, job_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.job_id = job_id
        """The job that goes on without us, where there is one."""


class Unconfirmed(LabelferryError):
    """A cancel was taken on, durably, but its job had not ended when the time to wait was over."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, job_id: str) -> None:
        super().__init__(message)
        self.message = message
        self.job_id = job_id


class Interrupted(LabelferryError):
    """An export was cancelled before there was a job, so that there is no event to say it."""

    exit_code = EXIT_CANCELLED


def not_utf8(error: UnicodeEncodeError) -> str:
    """Return the sentence on a text, of a file's name most likely, that cannot be sent."""
    return f"{error.object!r} is not UTF-8, which all text that is sent must be: give it another name, or a link to it"
