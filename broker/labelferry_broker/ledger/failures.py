"""Why an attempt ended badly, and what a person is told when it was the last."""

from dataclasses import dataclass, replace

from labelferry_protocol.errors import Code
from labelferry_protocol.words import Stage

LONGEST_MESSAGE = 1024


@dataclass(frozen=True)
class Failure:
    """Code and sentence of a failed attempt; `wait` asks for a pause before the next, `retryable` says that a new submit may do better."""

    code: Code
    message: str
    stage: Stage | None = None
    item: str | None = None
    wait: bool = False
    retryable: bool = False


def last_words(failure: Failure, reasons: tuple[str, ...]) -> Failure:
    """Return the failure of a job that may not be tried again, with the reasons of its attempts."""
    message = failure.message if len(reasons) == 1 else f"given up after {len(reasons)} attempts: {'; '.join(reasons)}"
    return replace(failure, message=message[:LONGEST_MESSAGE], retryable=True)
