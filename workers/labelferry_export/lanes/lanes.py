"""The export's end of its lanes: starts and ends them, hands images out, brings the pieces back in order. Belongs to one thread.

Bounded: so many images are handed out at once, and so many bytes wait here; beyond that only the image at hand is listened to, and the
other lanes wait with what they have. Lanes are in the process group of the export, and end when it does, however it does.
"""

import errno
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Generic, TypeVar

from labelferry_export.errors import ExportError, ProcessLost
from labelferry_export.lanes.maker import Maker
from labelferry_export.lanes.task import (
    Crashed,
    Done,
    Order,
    Piece,
    Refused,
    Said,
    Span,
    SpanTask,
    Task,
    begin,
    begin_spans,
    decode_said,
    encode,
)
from labelferry_export.model import Image
from labelferry_export.snapshot import Snapshot
from labelferry_protocol.errors import Code

Item = TypeVar("Item", Image, Span)

MOST_LANES = 8
AHEAD = 3
"""So many images a lane has been told of and not finished."""
WINDOW = 12
"""So many images a lane may be ahead of the one at hand, finished or not."""
HELD_BYTES = 16 << 20
"""So many bytes of pieces wait here before only the image at hand is listened to."""
FEW_MADE = 24
"""So many results are made in place before processes are started on demand."""
PATIENCE = 0.04
"""Seconds after which a caller that waits for a piece may look at whether to go on."""


@dataclass(eq=False)
class _Lane:
    """One process, and the images it was told of, in the order they were told."""

    process: "subprocess.Popen[bytes]"
    channel: "Connection[bytes, bytes]"
    tickets: "deque[_Ticket[Any]]" = field(default_factory=deque)


@dataclass(eq=False)
class _Ticket(Generic[Item]):
    """One image or stretch that was handed out: to which lane, and what came back and was not taken yet."""

    item: Item
    lane: _Lane
    inbox: deque[Said] = field(default_factory=deque)


class Lanes:
    """So many processes that work for one export; none before `start`, none after `close`. `count` below 2 stays without any."""

    def __init__(self, count: int) -> None:
        self._count = min(count, MOST_LANES)
        self._lanes: list[_Lane] = []
        self._held = 0
        self._on_demand = False
        """Whether they are started when something has to be made, and not before."""

    @property
    def running(self) -> bool:
        """Whether there are processes."""
        return bool(self._lanes)

    @property
    def cores(self) -> int:
        """Among how many cores the work is divided now."""
        return max(1, min(len(self._lanes), os.cpu_count() or 1))

    def start(self, *, on_demand: bool = False) -> None:
        """Start the processes, in some milliseconds; where the system gives none, everything runs in place.

        `on_demand` starts them when more than a few results have to be made: where most are found, none is needed.
        """
        self._on_demand = on_demand
        if on_demand or self._lanes or self._count < 2:
            return
        try:
            self._lanes = [_started() for _ in range(self._count)]
        except OSError:
            self.close()

    def close(self) -> None:
        """End the processes at once, whatever they are doing. They write no files."""
        for lane in self._lanes:
            lane.process.kill()
        for lane in self._lanes:
            lane.channel.close()
            lane.process.wait()
        self._lanes.clear()

    def spread(
        self, task: Task, snapshot: Snapshot, images: Iterable[Image], maker: Maker | None = None, shelf: str = ""
    ) -> Iterator[tuple[Image, Iterator[Piece | None]]]:
        """Yield every image with the pieces that `task` makes of it; None is yielded where a piece lets wait for itself.

        Take all pieces of an image before the next one; an `ExportError` of an image comes while its pieces are taken. Without processes the
        task runs here. `maker` does it, here and elsewhere, and keeps the results on `shelf`.
        """
        maker = maker or Maker()
        rest = iter(images)
        while not self._lanes:
            image = next(rest, None)
            if image is None:
                return
            yield image, maker.pieces(task, snapshot, image, shelf)
            if self._on_demand and maker.made > FEW_MADE:
                self.start()
        orders = ((image, encode(Order(image.id))) for image in rest)
        yield from self._spread(begin(task, snapshot.path, maker.settings, shelf), orders)

    def spread_spans(self, task: SpanTask, spans: Iterable[Span]) -> Iterator[tuple[Span, Iterator[Piece | None]]]:
        """Do a task on stretches of a file, as `spread` does one on images."""
        if not self._lanes:
            for span in spans:
                yield span, iter(task(span))
            return
        yield from self._spread(begin_spans(task), ((span, encode(span)) for span in spans))

    def _spread(
        self, message: bytes, orders: Iterator[tuple[Item, bytes]]
    ) -> Iterator[tuple[Item, Iterator[Piece | None]]]:
        for lane in self._lanes:
            self._tell(lane, message)
        queue = deque[_Ticket[Item]]()
        while True:
            self._hand_out(orders, queue)
            if not queue:
                return
            ticket = queue[0]
            yield ticket.item, self._pieces(ticket, orders, queue)
            queue.popleft()

    def _pieces(
        self, ticket: "_Ticket[Item]", orders: Iterator[tuple[Item, bytes]], queue: "deque[_Ticket[Item]]"
    ) -> Generator[Piece | None]:
        while True:
            while ticket.inbox:
                said = ticket.inbox.popleft()
                if isinstance(said, Piece):
                    self._held -= said.weight
                    yield said
                elif isinstance(said, Done):
                    return
                else:
                    raise _error_of(said)
            if not self._listen(ticket):
                yield None
            self._hand_out(orders, queue)

    def _hand_out(self, orders: Iterator[tuple[Item, bytes]], queue: "deque[_Ticket[Item]]") -> None:
        while len(queue) < WINDOW * len(self._lanes):
            lane = min(self._lanes, key=lambda each: len(each.tickets))
            if len(lane.tickets) >= AHEAD:
                return
            order = next(orders, None)
            if order is None:
                return
            ticket = _Ticket(order[0], lane)
            lane.tickets.append(ticket)
            queue.append(ticket)
            self._tell(lane, order[1])

    def _listen(self, ticket: "_Ticket[Item]") -> bool:
        """Take in what has come, for `ticket` or any; return False when nothing did in `PATIENCE`."""
        lanes = [ticket.lane] if self._held > HELD_BYTES else [each for each in self._lanes if each.tickets]
        ready = wait([each.channel for each in lanes], PATIENCE)
        for lane in lanes:
            if lane.channel in ready:
                self._take(lane)
        return bool(ready)

    def _take(self, lane: _Lane) -> None:
        try:
            said = decode_said(lane.channel.recv_bytes())
        except (EOFError, OSError):
            raise _gone(lane) from None
        lane.tickets[0].inbox.append(said)
        if isinstance(said, Piece):
            self._held += said.weight
        else:
            lane.tickets.popleft()

    def _tell(self, lane: _Lane, message: bytes) -> None:
        try:
            lane.channel.send_bytes(message)
        except OSError:
            raise _gone(lane) from None


def _started() -> _Lane:
    ours, theirs = Pipe()
    # A signal to end that is sent to all the group is for the export alone to judge: blocked signals stay blocked in a new process.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "labelferry_export.lanes.lane", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    return _Lane(process, ours)


def _error_of(said: Refused | Crashed) -> Exception:
    if isinstance(said, Refused):
        return ExportError(Code(said.code), said.message, said.item)
    if said.number == errno.ENOMEM:
        message = "a process of the export ran out of memory: give the worker more of it, or fewer slots"
        return ProcessLost(Code.INTERNAL, message)
    if said.number is not None:
        return OSError(said.number, said.error, said.file or None)
    return ExportError(Code.INTERNAL, f"a process of the export failed unexpectedly: {said.error}")


def _gone(lane: _Lane) -> ProcessLost:
    status: int | None = None
    with suppress(subprocess.TimeoutExpired):
        status = lane.process.wait(1.0)
    how = f"was ended by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
    message = f"a process of the export {how}, perhaps for want of memory: give the worker more of it, or fewer slots"
    return ProcessLost(Code.INTERNAL, message)
