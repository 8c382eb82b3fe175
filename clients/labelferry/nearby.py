"""A bundle that lies on this machine, in a depot's folder that this user may read: its bytes, without asking for them."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

MOST_BYTES = 4 << 30
"""A larger one is asked for as from afar: that takes a while, in which the connection to the broker wants to be looked after."""
STEPS = 200
"""In at least so many pieces a bundle is read: none is more than half a point of progress."""
MOST_AT_ONCE = 4 << 20


@contextmanager
def nearby(place: str | None, size: int, offset: int) -> Iterator[Iterator[bytes]]:
    """Give the bytes of the bundle of `size` bytes at `place`, from `offset` on, as far as they can be read; none where there is no such file."""
    descriptor = None if place is None or size > MOST_BYTES else _opened(place, size)
    if descriptor is None:
        yield iter(())
        return
    try:
        yield _pieces(descriptor, offset, size)
    finally:
        os.close(descriptor)


def _opened(place: str, size: int) -> int | None:
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    state = os.fstat(descriptor)
    if stat.S_ISREG(state.st_mode) and state.st_size == size:
        return descriptor
    os.close(descriptor)
    return None


def _pieces(descriptor: int, offset: int, size: int) -> Iterator[bytes]:
    length = max(1, min(size // STEPS, MOST_AT_ONCE))
    while offset < size:
        try:
            piece = os.pread(descriptor, min(length, size - offset), offset)
        except OSError:
            return
        if not piece:
            return
        offset += len(piece)
        yield piece
