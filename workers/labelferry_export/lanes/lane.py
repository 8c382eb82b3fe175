"""A lane: a process that does tasks on the images it is told, until the other end of its channel is gone.

`python -m labelferry_export.lanes.lane FD` is started by `lanes.py`, never by hand. Signals to end are blocked from its first
moment on (`lanes.py` sees to that): it ends with its export, by the end of the channel or by SIGKILL.
"""

import errno
import os
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image as Pillow

from labelferry_export import stages
from labelferry_export.errors import ExportError
from labelferry_export.lanes.maker import Maker
from labelferry_export.lanes.task import (
    Begin,
    BeginSpans,
    Crashed,
    Done,
    Order,
    Piece,
    Refused,
    Span,
    SpanTask,
    Task,
    decode_told,
    encode,
    task_of,
)
from labelferry_export.snapshot import Snapshot


def main(descriptor: int) -> None:
    """Serve an export over the channel `descriptor`."""
    channel = Connection(descriptor)
    # What every export needs is imported and ready before the first order comes.
    Pillow.init()
    stages.in_order()
    try:
        _serve(channel)
    except (EOFError, ConnectionError, BrokenPipeError):
        pass
    finally:
        channel.close()


def _serve(channel: "Connection[bytes, bytes]") -> None:
    desk = _Desk()
    while True:
        told = decode_told(channel.recv_bytes())
        try:
            if isinstance(told, Begin):
                desk.begin(told)
            elif isinstance(told, BeginSpans):
                desk.span_task = task_of(told)
            else:
                _do(channel, desk.pieces(told))
        except (EOFError, ConnectionError, BrokenPipeError):
            raise
        except ExportError as error:
            channel.send_bytes(encode(Refused(str(error.code), error.message, error.item)))
        except Exception as error:  # noqa: BLE001 - the lane's outermost edge: the export must be told
            channel.send_bytes(encode(_crashed(error)))


def _crashed(error: Exception) -> Crashed:
    """Return how an order ended: what the system says in its own words, so that they can be said plainly."""
    if isinstance(error, MemoryError):
        return Crashed(os.strerror(errno.ENOMEM), errno.ENOMEM)
    if not isinstance(error, OSError) or error.errno is None:
        return Crashed(f"{type(error).__name__}: {error}")
    file = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return Crashed(error.strerror or os.strerror(error.errno), error.errno, file)


class _Desk:
    """What a lane has before it: the tasks it was told of last, and what they need."""

    def __init__(self) -> None:
        self.span_task: SpanTask | None = None
        self._task: Task | None = None
        self._snapshot: Snapshot | None = None
        self._maker = Maker()
        self._shelf = ""

    def begin(self, told: Begin) -> None:
        """Take up a task on images."""
        path = Path(os.fsdecode(told.snapshot))
        if self._snapshot is None or self._snapshot.path != path:
            self._snapshot = Snapshot(path)
        if self._maker.settings != told.maker:
            self._maker.close()
            self._maker = Maker(told.maker)
        self._task, self._shelf = task_of(told), told.shelf

    def pieces(self, told: Order | Span) -> Iterator[Piece]:
        """Do what an order says; an export begins before it orders."""
        if isinstance(told, Span):
            assert self.span_task is not None  # noqa: S101
            return self.span_task(told)
        assert self._task is not None and self._snapshot is not None  # noqa: S101, PT018
        return self._maker.pieces(self._task, self._snapshot, self._snapshot.image(told.image_id), self._shelf)


def _do(channel: "Connection[bytes, bytes]", pieces: Iterator[Piece]) -> None:
    for piece in pieces:
        # An empty one is a moment to stop, and a lane is stopped by a signal.
        if not piece.is_empty:
            channel.send_bytes(encode(piece))
    channel.send_bytes(encode(Done()))


if __name__ == "__main__":
    main(int(sys.argv[1]))
