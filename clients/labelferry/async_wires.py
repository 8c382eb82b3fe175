"""The sockets of one asyncio client: a reader task a socket and one timer turn its session. All of it runs in the loop but `wake`."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import zmq
import zmq.asyncio

from labelferry.connection import resolve_connection
from labelferry.effects import Close, Effect, Open, Send, Subscribe
from labelferry.flow import Flow, Wait, Work
from labelferry.sockets import MOST_AT_ONCE, open_socket
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import JobEvent
from labelferry_transport.sockets import new_context

R = TypeVar("R")


class AsyncWires:
    """Owns a context, its sockets, their readers, and what wakes the tasks that wait."""

    def __init__(self, broker: str | None, key: Path | None, timeout: float, patience: float) -> None:
        self._connection = resolve_connection(broker, key, timeout=timeout, patience=patience)
        self.session = self._connection.session()
        self._context = new_context()
        self._sockets: dict[str, zmq.asyncio.Socket] = {}
        self._plain: dict[str, zmq.Socket[bytes]] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._working: dict[Flow[None], asyncio.Future[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
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
                    await self._wait()
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
        for effect in self.session.turn():
            self._do(effect)
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
        await asyncio.gather(*self._leaving, return_exceptions=True)
        self._context.term()
        self._changed.set()

    def _flush_soon(self) -> None:
        """Flush once for all tasks that have their turn now: a turn of the session looks at each stream, and there may be very many."""
        if self._flushing is None and self._loop is not None:
            self._flushing = self._loop.call_soon(self.flush)

    async def _wait(self) -> None:
        self._flush_soon()
        await self._changed.wait()
        if self._closed:
            raise Refusal(Code.USAGE, "this client was closed while something waited on it")
        if self._fault is not None:
            raise self._fault

    def _turned(self) -> None:
        """Turn the session and wake whoever waits, for it may have changed."""
        self.flush()
        self._changed.set()
        self._changed = asyncio.Event()

    async def _read(self, name: str, socket: zmq.asyncio.Socket) -> None:
        while True:
            parts = await socket.recv_multipart()
            self.session.step(time.monotonic())
            self.session.received(name, parts)
            with suppress(zmq.Again):
                for _ in range(MOST_AT_ONCE):
                    self.session.received(name, self._plain[name].recv_multipart(zmq.NOBLOCK))
            self._changed.set()
            self._changed = asyncio.Event()
            self._flush_soon()

    def _reader_ended(self, reader: asyncio.Task[None]) -> None:
        """Let those who wait have what ended a reader: nobody else would hear of it."""
        if not reader.cancelled() and reader.exception() is not None:
            self._fault = reader.exception()
            self._turned()

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Open):
            self._drop(effect.name)
            plain = open_socket(self._context, self._connection, effect)
            socket = zmq.asyncio.Socket.from_socket(plain)
            self._plain[effect.name] = plain
            self._sockets[effect.name] = socket
            reader = asyncio.ensure_future(self._read(effect.name, socket))
            reader.add_done_callback(self._reader_ended)
            self._readers[effect.name] = reader
        elif isinstance(effect, Close):
            self._drop(effect.name)
        elif isinstance(effect, Send):
            sent = asyncio.ensure_future(self._sockets[effect.name].send_multipart(effect.frames, zmq.NOBLOCK))
            if isinstance(sent.exception(), zmq.Again):  # with NOBLOCK it is done when it is returned
                self.session.not_sent(effect)
        else:
            option = zmq.SUBSCRIBE if isinstance(effect, Subscribe) else zmq.UNSUBSCRIBE
            self._sockets["events"].setsockopt(option, effect.topic)

    def _drop(self, name: str) -> None:
        socket = self._sockets.pop(name, None)
        if socket is None:
            return
        reader = self._readers.pop(name)
        reader.cancel()
        self._leaving.add(reader)
        reader.add_done_callback(self._leaving.discard)
        socket.close()
        self._plain.pop(name).close()


def _kept(flow: Flow[R], values: list[R]) -> Flow[None]:
    values.append((yield from flow))
