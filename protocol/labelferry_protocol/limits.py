"""The numbers both ends of a wire must agree on. Seconds and bytes unless said otherwise."""

MAX_BODY_BYTES = 64 * 1024
"""A header or body frame on any lane."""
MAX_CHUNK_BYTES = 1024 * 1024
"""The payload frame of one `chunk` on the depot lane."""
MAX_SMALL_BUNDLE_BYTES = 32 * 1024
"""A bundle that may travel inside the message that offers it."""
MAX_FRAMES = 8
"""Frames of one multipart message, envelope included."""
MAX_SUBSCRIPTION_BYTES = 64
"""A subscription frame (one command byte and the topic); longer ones cost the broker memory even when they are refused."""
MAX_DEPTH = 8
"""Maps and lists inside one another in one body."""
MAX_STRING = 4096
"""Characters of a path; other strings are shorter, as their types say."""
MAX_LIST = 1024
"""Elements of one list."""

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0
RETURN_GRACE_SECONDS = 0.35
"""How long a worker on another machine whose connection dropped may take to come back before its leases end early: three tries to reconnect."""
CANCEL_GRACE_SECONDS = 0.5
"""Between SIGTERM and SIGKILL of a job child."""
BEAT_SECONDS = 1.0
"""Between two beats on the events lane."""
SILENCE_SECONDS = 3.0
"""Without any frame on the events lane, a subscriber takes the push channel for lost and polls."""
POLL_SECONDS = 1.0
"""Between two snapshots while polling."""

MAX_ATTEMPTS = 3
MESSAGE_CHARACTERS = 160
ITEM_CHARACTERS = 96
"""What of a message or of an item's name travels in a progress event, so that the event stays near 500 bytes."""
WORKER_SHARE = 99.0
"""Processing progress (0-100) at which the bundle is ready on the worker; the rest is publishing it."""


def chunk_bytes_for(size: int) -> int:
    """Return the chunk size for a bundle of `size` bytes: at most 1 MiB, and small enough that a chunk is under half a point of progress."""
    return max(1, min(MAX_CHUNK_BYTES, size // 256))
