"""The sockets of one blocking client and the loop that turns its session. Everything runs in the caller's thread but `wake`."""

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import zmq

from labelferry.connection import resolve_connection
from labelferry.effects import Close, Effect, Open
from labelferry.flow import Flow, Wait, Work
from labelferry.sockets import MOST_AT_ONCE, open_socket, use_socket
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import JobEvent
from labelferry_transport.sockets import new_context

R = TypeVar("R")


class Wires:
    """Owns a context, its sockets and a pipe that wakes the loop out of its wait."""

    def __init__(
        self,
        broker: str | None,
        key: Path | None,
        timeout: float,
        patience: float,
        vigil: Callable[[], None] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._connection = resolve_connection(broker, key, timeout=timeout, patience=patience, environment=environment)
        self.session = self._connection.session()
        self._vigil = vigil
        self._context = new_context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._poller = zmq.Poller()
        self._alarm, self._bell = os.pipe()
        os.set_blocking(self._alarm, False)
        os.set_blocking(self._bell, False)
        self._poller.register(self._alarm, zmq.POLLIN)
        self._closed = False

    def run(self, flow: Flow[R]) -> R:
        """Take a flow that yields no events to its end, and return its value."""
        values: list[R] = []
        self.advance(_kept(flow, values))
        return values[0]

    def advance(self, flow: Flow[None]) -> JobEvent | None:
        """Return the next event of a flow; None at its end."""
        if self._closed:
            raise Refusal(Code.USAGE, "this client is closed: make a new one")
        try:
            for step in flow:
                if isinstance(step, Wait):
                    self._turn()
                elif isinstance(step, Work):
                    step.run()
                else:
                    return step
        except Exception:
            self.flush()
            raise
        self.flush()
        return None

    def flush(self) -> None:
        """Do with the sockets what the session still wants, and do not wait."""
        if not self._closed:
            self.session.step(time.monotonic())
            self._perform()

    def wake(self) -> None:
        """End the wait of the loop, from any thread or signal handler."""
        with suppress(OSError):
            os.write(self._bell, b"!")

    def close(self) -> None:
        """Close everything; may be called again."""
        if self._closed:
            return
        self._closed = True
        for socket in self._sockets.values():
            socket.close()
        self._context.term()
        bell, self._bell = self._bell, -1
        os.close(bell)
        os.close(self._alarm)

    def _turn(self) -> None:
        """Send what is due, wait until something comes or time is over, take what has come."""
        self.flush()
        if self._vigil is not None:
            self._vigil()
        names = {socket: name for name, socket in self._sockets.items()}
        ready = self._poller.poll(math.ceil(1000 * self.session.wait()))
        self.session.step(time.monotonic())
        for source, _ in ready:
            if isinstance(source, int):
                with suppress(BlockingIOError):
                    os.read(self._alarm, 4096)
            else:
                self._take(names[source], source)
        self._perform()

    def _take(self, name: str, socket: zmq.Socket[bytes]) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.session.received(name, parts)

    def _perform(self) -> None:
        for effect in self.session.turn():
            self._do(effect)
        # One flow at a time, which looks at all that it waits for: nobody needs to be woken, and what is noted for that must not grow.
        self.session.stirred()

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Open):
            self._drop(effect.name)
            socket = open_socket(self._context, self._connection, self.session, effect)
            if socket is not None:
                self._sockets[effect.name] = socket
                self._poller.register(socket, zmq.POLLIN)
        elif isinstance(effect, Close):
            self._drop(effect.name)
        else:
            use_socket(self._sockets, self.session, effect)

    def _drop(self, name: str) -> None:
        socket = self._sockets.pop(name, None)
        if socket is not None:
            self._poller.unregister(socket)
            socket.close()


def _kept(flow: Flow[R], values: list[R]) -> Flow[None]:
    values.append((yield from flow))
