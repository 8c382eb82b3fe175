"""Takes what has come to a socket, a bounded batch at a time, and frame by frame, so that no peer decides how much is kept."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import zmq

from labelferry_protocol import limits

Parts = list[zmq.Frame]
T = TypeVar("T")


def drain(socket: zmq.Socket[bytes], at_most: int) -> Iterator[Parts]:
    """Yield the messages that are there now. Of one with too many frames, just enough is kept to see that it has too many."""
    for _ in range(at_most):
        try:
            parts = [socket.recv(zmq.NOBLOCK, copy=False)]
        except zmq.Again:
            return
        while parts[-1].more:
            frame = socket.recv(copy=False)
            if len(parts) <= limits.MAX_FRAMES:
                parts.append(frame)
            else:
                parts[-1] = frame
        yield parts


def within(seconds: float, clock: Callable[[], float], messages: Iterator[T]) -> Iterator[T]:
    """Yield messages, at least one if there is any, until whoever takes them has been at work for so long."""
    began = clock()
    for message in messages:
        yield message
        if clock() - began >= seconds:
            return
