"""Topics of the lanes that fan out. All have one fixed length, so that no topic is a prefix of another."""

import re

TOPIC_LENGTH = 33
BEAT = b"beat" + b"." * (TOPIC_LENGTH - 4)
_JOB = re.compile(rb"^[0-9a-f]{32}/\Z")


def topic_of(identity: str) -> bytes:
    """Return the topic of a job (events, progress, control) or of a worker (control): its 32 characters and a slash."""
    return identity.encode("ascii") + b"/"


def identity_of(topic: bytes) -> str | None:
    """Return the job or worker a topic names; None for anything else, a prefix included."""
    return topic[:-1].decode("ascii") if _JOB.match(topic) else None
