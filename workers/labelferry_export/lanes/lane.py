"""A lane: a process that does tasks on the images it is told, until the other end of its channel is gone.

`python -m labelferry_export.lanes.lane FD` is started by `lanes.py`, never by hand. Signals to end are blocked from its first
moment on (`lanes.py` sees to that): it ends with its export, by the end of the channel or by SIGKILL.
"""

import os
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image as Pillow

from labelferry_export import stages
from labelferry_export.errors import ExportError
from labelferry_export.lanes.keeper import Keeper
from labelferry_export.lanes.task import Begin, Crashed, Done, Piece, Refused, Task, decode_told, encode, task_of
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
    snapshot: Snapshot | None = None
    task: Task | None = None
    keeper = Keeper()
    shelf = ""
    while True:
        told = decode_told(channel.recv_bytes())
        try:
            if isinstance(told, Begin):
                task = task_of(told)
                path = Path(os.fsdecode(told.snapshot))
                snapshot = snapshot if snapshot is not None and snapshot.path == path else Snapshot(path)
                if keeper.settings != told.keeper:
                    keeper.close()
                    keeper = Keeper(told.keeper)
                shelf = told.shelf
                continue
            assert task is not None and snapshot is not None  # noqa: S101, PT018 - an export begins before it orders
            _do(channel, keeper.pieces(task, snapshot, snapshot.image(told.image_id), shelf))
        except (EOFError, ConnectionError, BrokenPipeError):
            raise
        except ExportError as error:
            channel.send_bytes(encode(Refused(str(error.code), error.message, error.item)))
        except Exception as error:  # noqa: BLE001 - the lane's outermost edge: the export must be told
            number = error.errno if isinstance(error, OSError) else None
            channel.send_bytes(encode(Crashed(f"{type(error).__name__}: {error}", number)))


def _do(channel: "Connection[bytes, bytes]", pieces: Iterator[Piece]) -> None:
    for piece in pieces:
        # An empty one is a moment to stop, and a lane is stopped by a signal.
        if not piece.is_empty:
            channel.send_bytes(encode(piece))
    channel.send_bytes(encode(Done()))


if __name__ == "__main__":
    main(int(sys.argv[1]))
