"""The broker's side of the depot: its process, started again when it dies, and the inner lane between the two."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import zmq

from labelferry_broker.intake import drain
from labelferry_protocol import codec
from labelferry_protocol.depot import BrokerToDepot, DepotReady, DepotToBroker
from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_transport.logs import Log

BATCH = 64
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
HEALTHY_SECONDS = 30.0
"""A depot that lived so long is started again at once."""
STOP_SECONDS = 1.0

log = Log("depot-post")


class DepotPost:
    """The depot's process and lane. Used by the dispatcher's thread, the process's main one: the depot dies with its parent thread."""

    def __init__(
        self, socket: zmq.Socket[bytes], command: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.socket = socket
        self._command = [*command, "--parent", str(os.getpid())]
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._peer: bytes | None = None
        self._ready: DepotReady | None = None
        self._introduce = False

    @property
    def due(self) -> float | None:
        """When `watch` has something to do, beyond noticing a death."""
        return self._start_at if self._process is None else None

    def watch(self) -> bool:
        """Start the process when it is time; return whether it has just been found dead. Raises `Refusal` if it never came up at all."""
        now = self._clock()
        if self._process is None:
            if now >= self._start_at:
                self._start(now)
            return False
        code = self._process.poll()
        if code is None:
            return False
        log.error("depot ended", code=code, lived=now - self._started_at)
        self._forget_process()
        if self._ready is None:
            raise Refusal(
                Code.INTERNAL, "the depot did not come up, so the broker does not serve: see its log line above"
            )
        if now - self._started_at >= HEALTHY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        self._put_off(now)
        return True

    def heard(self) -> list[DepotToBroker]:
        """Return what the depot has said."""
        said: list[DepotToBroker] = []
        if self._introduce and self._peer is not None and self._ready is not None:
            said.append(self._ready)
        self._introduce = False
        for parts in drain(self.socket, BATCH):
            try:
                _, message = codec.parse([frame.bytes for frame in parts[1:]], DepotToBroker)
            except (Malformed, Refusal) as error:
                log.error("depot not understood", reason=error)
                continue
            if isinstance(message, DepotReady):
                self._peer, self._ready = parts[0].bytes, message
                log.info("depot ready", endpoint=message.endpoint)
            said.append(message)
        return said

    def introduce(self) -> None:
        """Have a depot that serves be heard as ready once more: there is a new ledger, which does not know it."""
        self._introduce = True

    def tell(self, message: BrokerToDepot) -> None:
        """Send to the depot, if there is one; a new one asks about everything it finds, so nothing is lost for ever."""
        if self._peer is None:
            return
        try:
            self.socket.send_multipart([self._peer, *codec.frames(message)], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.warning("depot not told", reason=error.strerror)

    def stop(self) -> None:
        """End the process: its standard input is closed, and if it does not go by that, it is killed."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self.socket.close(linger=0)

    def _start(self, now: float) -> None:
        try:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        except OSError as error:
            if self._ready is None:
                raise
            log.error("depot not started", reason=error.strerror, again_in=self._pause)
            self._put_off(now)
            return
        self._started_at = now
        log.debug("depot started", pid=self._process.pid)

    def _put_off(self, now: float) -> None:
        self._start_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _forget_process(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
        self._peer = None


def depot_command(endpoint: str, state: str, inner: str, keys: str | None, log_level: str) -> list[str]:
    """Return the command line of the depot's process."""
    command = [sys.executable, "-P", "-m", "labelferry_broker.depot", "--endpoint", endpoint, "--state", state]
    command += ["--inner", inner, "--log-level", log_level]
    return command + (["--keys", keys] if keys is not None else [])
