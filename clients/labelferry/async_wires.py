"""The sockets of one asyncio client: what comes on them and one timer turn its session. All of it runs in the loop but `wake`.

libzmq tells by a descriptor that a socket has something, once, and any call on the socket may take that word away. So after
whatever was done with a socket it is looked at again, before the loop waits for its descriptor.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import zmq

from labelferry.connection import resolve_connection
from labelferry.effects import Close, Effect, Open, Subscribe, Unsubscribe
from labelferry.flow import Flow, Wait, Work
from labelferry.session import EVENTS, Stirred
from labelferry.sockets import MOST_AT_ONCE, open_socket, use_socket
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import JobEvent
from labelferry_transport.sockets import new_context

R = TypeVar("R")


class AsyncWires:
    """Owns a context, its sockets, and what wakes the tasks that wait."""

    def __init__(self, broker: str | None, key: Path | None, timeout: float, patience: float) -> None:
        self._connection = resolve_connection(broker, key, timeout=timeout, patience=patience)
        self.session = self._connection.session()
        self._context = new_context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._descriptors: dict[str, int] = {}
        self._working: dict[Flow[None], asyncio.Future[None]] = {}
        self._waiting: dict[Stirred | None, list[asyncio.Future[None]]] = {}
        """Who waits for what: for one thing of the session's, or (None) for whatever changes."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Handle | None = None
        self._fault: BaseException | None = None
        self._closed = False

    async def run(self, flow: Flow[R]) -> R:
        """Take a flow that yields no events to its end, and return its value."""
        values: list[R] = []
        await self.advance(_kept(flow, values))
        return values[0]

    async def advance(self, flow: Flow[None]) -> JobEvent | None:
        """Return the next event of a flow; None at its end."""
        if self._closed:
            raise Refusal(Code.USAGE, "this client is closed: make a new one")
        self._loop = asyncio.get_running_loop()
        try:
            await self.finish_work(flow)
            for step in flow:
                if isinstance(step, Wait):
                    await self._wait(step.on)
                elif isinstance(step, Work):
                    self._working[flow] = asyncio.ensure_future(asyncio.to_thread(step.run))
                    await self.finish_work(flow)
                else:
                    return step
        except Exception:
            self._flush_soon()
            raise
        self._flush_soon()
        return None

    async def finish_work(self, flow: Flow[None]) -> None:
        """Wait for what a flow has begun in another thread; a task that is cancelled here leaves it running."""
        work = self._working.get(flow)
        if work is not None:
            await asyncio.shield(work)
            self._working.pop(flow, None)

    def flush(self) -> None:
        """Do with the sockets what the session wants now, and set the timer for what it wants next."""
        if self._closed or self._loop is None:
            return
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self.session.step(time.monotonic())
        touched = {self._do(effect) for effect in self.session.turn()}
        for name in touched & self._sockets.keys():
            self._loop.call_soon(self._read, name, self._sockets[name])
        self._wake_stirred(came=False)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if self.session.idle else self._loop.call_later(self.session.wait(), self._turned)

    def wake(self) -> None:
        """Have the waiting tasks look again, from any thread or signal handler."""
        if self._loop is not None and not self._closed:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._turned)

    async def close(self) -> None:
        """Close everything; may be called again."""
        if self._closed:
            return
        self.flush()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for name in list(self._sockets):
            self._drop(name)
        self._context.term()
        self._wake_all()

    def _flush_soon(self) -> None:
        """Flush once for all tasks that have their turn now: a turn of the session looks at each stream, and there may be very many."""
        if self._flushing is None and self._loop is not None:
            self._flushing = self._loop.call_soon(self.flush)

    async def _wait(self, on: Stirred | None) -> None:
        self._flush_soon()
        woken = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(on, []).append(woken)
        await woken
        if self._closed:
            raise Refusal(Code.USAGE, "this client was closed while something waited on it")
        if self._fault is not None:
            raise self._fault

    def _turned(self) -> None:
        """Turn the session and wake whoever waits, for time has passed for all of them."""
        self.flush()
        self._wake_all()

    def _wake_stirred(self, *, came: bool) -> None:
        """Wake whoever waits for what has changed. There may be very many who wait, and most for something else."""
        stirred = self.session.stirred()
        for on in stirred:
            self._wake(self._waiting.pop(on, ()))
        if came or stirred:
            self._wake(self._waiting.pop(None, ()))

    def _wake_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            self._wake(each)

    def _wake(self, waiting: Iterable[asyncio.Future[None]]) -> None:
        for each in waiting:
            if not each.done():
                each.set_result(None)

    def _read(self, name: str, socket: zmq.Socket[bytes]) -> None:
        """Take what has come to a socket, a bounded number; what came to one that is closed by now is nobody's."""
        if self._closed or self._loop is None or self._sockets.get(name) is not socket:
            return
        taken = 0
        try:
            self.session.step(time.monotonic())
            while taken < MOST_AT_ONCE and int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                self.session.received(name, socket.recv_multipart(zmq.NOBLOCK))
                taken += 1
        except Exception as fault:  # noqa: BLE001 - nobody awaits this call: those who wait for an answer must hear of it
            self._fault = fault
            self._turned()
            return
        if taken == MOST_AT_ONCE:
            self._loop.call_soon(self._read, name, socket)
        if taken:
            self._wake_stirred(came=True)
            self._flush_soon()

    def _do(self, effect: Effect) -> str:
        """Perform an effect; return the name of its socket."""
        if isinstance(effect, Open):
            self._open(effect)
        elif isinstance(effect, Close):
            self._drop(effect.name)
        else:
            use_socket(self._sockets, self.session, effect)
        return EVENTS if isinstance(effect, Subscribe | Unsubscribe) else effect.name

    def _open(self, effect: Open) -> None:
        self._drop(effect.name)
        socket = open_socket(self._context, self._connection, self.session, effect)
        if socket is None:
            return
        self._sockets[effect.name] = socket
        self._descriptors[effect.name] = int(socket.getsockopt(zmq.FD))
        asyncio.get_running_loop().add_reader(self._descriptors[effect.name], self._read, effect.name, socket)

    def _drop(self, name: str) -> None:
        socket = self._sockets.pop(name, None)
        if socket is not None and self._loop is not None:
            self._loop.remove_reader(self._descriptors.pop(name))
            socket.close()


def _kept(flow: Flow[R], values: list[R]) -> Flow[None]:
    values.append((yield from flow))
