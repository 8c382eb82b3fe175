"""A child's end of its channel: one thread that owns it, so that the job neither reads nor waits to write.

It hands leases to the main thread, notes cancels for it to look at, sends its reports, paces its updates, and ends the
process the moment the supervisor is gone.
"""

import contextlib
import os
import queue
import select
import signal
import socket
import threading
import time
from collections import deque
from typing import NoReturn

from labelferry_protocol.message import Message
from labelferry_protocol.newest import keep_newest
from labelferry_protocol.work import CancelOrder, Holding, Lease
from labelferry_workers.channel import Channel, ChannelEnded
from labelferry_workers.engine import Update
from labelferry_workers.mailbox import Mailbox
from labelferry_workers.moved import moved_of
from labelferry_workers.reports import Begun, Order, Report

BEGUN_SECONDS = 0.003
"""For so long after a lease a job's beginning waits for its first update or its end, to be told with it."""
PACE_SECONDS = 0.1
"""Between two updates that are neither a full point nor a change of stage: each costs a millisecond or so, of the broker, the supervisor and whoever watches."""
MAX_CANCELS = 64


class Line(threading.Thread):
    """The thread. What is public is for the main thread."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__(name="line", daemon=True)
        self.leases: queue.SimpleQueue[Lease] = queue.SimpleQueue()
        """The leases to work on, one after the other."""
        self._channel = Channel(end)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._mailbox: Mailbox[Update] = Mailbox(self._wake)
        self._reports: deque[tuple[Report, threading.Event | None]] = deque()
        self._cancels: dict[Holding, CancelOrder] = {}
        self._key: Holding | None = None
        self._begun: Begun | None = None
        """What is still to be told of the beginning; put there by the main thread, taken by this one."""
        self._begun_at: float | None = None
        """Until when this thread waits for the beginning; None when it waits no more, so that the main thread must wake it."""
        self._paced_at = 0.0

    def begin(self, key: Holding) -> None:
        """Say that a job begins, whose updates follow."""
        self._mailbox.begin()
        self._key = key
        self._begun = Begun(key=key)
        if self._begun_at is None:
            self._wake()

    def cancel_of(self, key: Holding) -> CancelOrder | None:
        """Return the order to stop this attempt, if one has come."""
        return self._cancels.get(key)

    def move(self, update: Update) -> None:
        """Leave an update to be sent. Never waits."""
        self._mailbox.put(update)

    def say(self, report: Report) -> None:
        """Send a report behind all updates, and wait until it is on its way: what follows must not overtake it."""
        sent = threading.Event()
        self._reports.append((report, sent))
        self._wake()
        sent.wait()

    def end(self, report: Report) -> None:
        """Send the last report of a job behind all updates. Nothing can overtake it: no other job comes before it has arrived."""
        self._reports.append((report, None))
        self._wake()

    def run(self) -> None:
        """Serve until the supervisor is gone, then end the process and all that it started."""
        try:
            while True:
                self._wait()
                for order in self._channel.messages(Order):
                    self._take(order)
                self._channel.flush()
                self._speak()
        except ChannelEnded:
            end_with_all()
        except BaseException:
            # Whatever it is: a child that nobody can stop must not go on.
            end_with_all()
            raise

    def _take(self, order: object) -> None:
        if isinstance(order, Lease):
            self._begun_at = time.monotonic() + BEGUN_SECONDS
            self.leases.put(order)
        elif isinstance(order, CancelOrder):
            self._cancels[Holding(job_id=order.job_id, attempt=order.attempt)] = order
            keep_newest(self._cancels, MAX_CANCELS)

    def _speak(self) -> None:
        if self._channel.backlog:
            # The supervisor is behind: what is new waits in the mailbox, where the latest wins.
            return
        now = time.monotonic()
        if self._begun_at is not None and now >= self._begun_at:
            self._begun_at = None
        paced = now >= self._paced_at + PACE_SECONDS
        ending = self._reports.popleft() if self._reports else None
        updates = self._mailbox.take(latest=paced or ending is not None)
        words: list[Message] = []
        if self._begun is not None and (updates or ending is not None or self._begun_at is None):
            words.append(self._begun)
            self._begun = None
        if updates and self._key is not None:
            if paced:
                self._paced_at = now
            words += [moved_of(self._key, update) for update in updates]
        if ending is not None:
            words.append(ending[0])
        if words:
            self._channel.tell(*words)
        if ending is not None:
            sent = ending[1]
            if sent is not None:
                sent.set()
            if self._reports:
                self._wake()

    def _wait(self) -> None:
        look = select.poll()
        look.register(self._channel.fileno(), select.POLLIN | (select.POLLOUT if self._channel.backlog else 0))
        look.register(self._wake_read, select.POLLIN)
        moments = []
        if self._begun_at is not None and not self._channel.backlog:
            moments.append(self._begun_at)
        if self._mailbox.holds_latest and not self._channel.backlog:
            moments.append(self._paced_at + PACE_SECONDS)
        look.poll(max(0.0, min(moments) - time.monotonic()) * 1000 + 1 if moments else None)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _wake(self) -> None:
        # A full pipe: it is awake already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b".")


def end_with_all() -> NoReturn:
    """Kill this process and every process of its group, at once."""
    os.killpg(0, signal.SIGKILL)
    os._exit(1)
