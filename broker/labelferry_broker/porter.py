"""The porter: a thread that shuts the doors of this process while it is short of descriptors, and opens them when there are enough again.

Each connection is a descriptor. Whoever is inside keeps what it has; who comes meanwhile tries again by itself. A part of all
descriptors is kept for what the process opens itself, and for those who slip in between two looks; the fewer are left, the sooner
it looks again.
"""

import os
import select
import threading
from collections.abc import Callable, Sequence

from labelferry_transport.descriptors import descriptor_limit, open_descriptors
from labelferry_transport.doors import Door
from labelferry_transport.logs import Log

FASTEST_CROWD = 30_000.0
"""Connections a second that libzmq can let in at most, about: it must be looked again before they could take all descriptors."""
LEAST_LOOK_SECONDS = 0.001
MOST_LOOK_SECONDS = 0.5
SHUT_LOOK_SECONDS = 0.1
"""Between two looks while the doors are shut."""
MOST_RESERVED = 4096
"""Of at most this many, and half of all where they are few."""
ENOUGH_SHARE = 0.9
"""Of what may be open with open doors: below it they are opened again."""

log = Log("porter")


class Porter:
    """The thread and its doors, which are its own from here on. `shut` and `times` may be read by anybody."""

    def __init__(
        self, doors: Sequence[Door], limit: int | None = None, count: Callable[[], int] = open_descriptors
    ) -> None:
        self._doors = doors
        self._count = count
        limit = descriptor_limit() if limit is None else limit
        self._most = limit - min(MOST_RESERVED, limit // 2)
        self._limit = limit
        self._stop_read, self._stop_write = os.pipe()
        self._watch = select.epoll()
        self._watch.register(self._stop_read, select.EPOLLIN)
        for door in doors:
            # Told of a knock once, and if libzmq was not the faster one: hence the looks beside it.
            self._watch.register(door.listening, select.EPOLLIN | select.EPOLLET)
        self._thread = threading.Thread(target=self._run, name="porter", daemon=True)
        self.shut = False
        """Whether nobody is let in now."""
        self.times = 0
        """How often the doors were shut."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and let go of the doors."""
        os.write(self._stop_write, b".")
        if self._thread.ident is not None:
            self._thread.join()
        if self.shut:
            self._open()
        self._watch.close()
        for door in self._doors:
            door.close()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def _run(self) -> None:
        wait = 0.0
        while not self._stopped(wait):
            count = self._count()
            self._look(count)
            left = max(0, self._limit - count) / FASTEST_CROWD
            wait = SHUT_LOOK_SECONDS if self.shut else max(LEAST_LOOK_SECONDS, min(left, MOST_LOOK_SECONDS))

    def _stopped(self, wait: float) -> bool:
        """Wait for a knock, but no longer than that; return whether to end."""
        return any(descriptor == self._stop_read for descriptor, _ in self._watch.poll(wait))

    def _look(self, count: int) -> None:
        if not self.shut and count > self._most:
            self.shut = True
            self.times += 1
            for door in self._doors:
                door.shut()
            for door in self._doors:
                door.turn_away()
            log.error("nobody new is let in: too few descriptors are left", open=count, limit=self._limit)
        elif self.shut and count <= ENOUGH_SHARE * self._most:
            self._open()
            log.warning("newcomers are let in again", open=count, limit=self._limit)

    def _open(self) -> None:
        self.shut = False
        for door in self._doors:
            door.open()
