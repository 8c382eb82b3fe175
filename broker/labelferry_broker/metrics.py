"""The Prometheus endpoint: a thread that answers `GET /metrics` with the newest page it was handed. Off unless asked for.

The dispatcher hands over what it knows once a second, through a box that holds one page; nothing else is shared, and a slow
reader costs the dispatcher nothing.
"""

import io
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from labelferry_broker.exposition import CONTENT_TYPE
from labelferry_protocol.errors import Code, Refusal
from labelferry_transport.logs import Log

HOST = "127.0.0.1"
READER_SECONDS = 1.0
"""A reader that takes longer to ask and to take its answer is cut: the next one waits."""

log = Log("metrics")


class Metrics:
    """The endpoint's actor. `show` is the dispatcher's; the rest happens in the thread."""

    def __init__(self, port: int, host: str = HOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._box: deque[str] = deque([""], maxlen=1)
        box = self._box

        class Page(_Page):
            """Answers from this endpoint's box, by its clock."""

            now = staticmethod(clock)

            def page(self) -> str:
                return box[-1]

        try:
            self._server = _Server((host, port), Page)
        except OSError as error:
            raise Refusal(
                Code.OUTPUT,
                f"metrics cannot be served at {host}:{port}: {error.strerror}: choose another --metrics-port",
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        log.info("metrics served", port=self.port)

    def show(self, page: str) -> None:
        """Answer with this page from now on."""
        self._box.append(page)

    def stop(self) -> None:
        """End the thread and let go of the port."""
        # `shutdown` waits for the reader at hand, and the broker's end must not wait for a slow one.
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._thread.join(READER_SECONDS)
        self._server.server_close()


class _Server(HTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the library calls it
        """Log that a reader hung up; anything else is a fault of ours."""
        error = sys.exception()
        if isinstance(error, OSError):
            log.debug("a reader went", reason=error)
        else:
            log.fault("a reader was not answered")


class _Hurry(io.RawIOBase):
    """A reader's connection, with one deadline for all that is read from it and written to it."""

    def __init__(self, connection: socket.socket, now: Callable[[], float]) -> None:
        self._connection = connection
        self._now = now
        self._deadline = now() + READER_SECONDS

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._allow_what_is_left()
        return self._connection.recv_into(buffer)

    def write(self, data: Any) -> int:
        self._allow_what_is_left()
        self._connection.sendall(data)
        return len(data)

    def _allow_what_is_left(self) -> None:
        left = self._deadline - self._now()
        if left <= 0:
            raise TimeoutError("the reader is too slow")
        self._connection.settimeout(left)


class _Page(BaseHTTPRequestHandler):
    now: Callable[[], float]
    server_version = "labelferry"
    sys_version = ""

    def setup(self) -> None:
        """Read and write by the clock, not as long as something comes."""
        self.connection = self.request
        hurry = _Hurry(self.connection, self.now)
        self.rfile = io.BufferedReader(hurry)
        self.wfile = io.BufferedWriter(hurry)

    def page(self) -> str:
        """Return the text to answer with."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer a reader."""
        self.wfile.write(self._begin())

    def do_HEAD(self) -> None:
        """Answer somebody who only asks whether there is an answer."""
        self._begin()

    def _begin(self) -> bytes:
        """Send all that comes before the body; return the body."""
        found = self.path.split("?")[0] == "/metrics"
        page = self.page() if found else "the metrics are at /metrics\n"
        status = (200 if page else 503) if found else 404
        body = (page or "the broker has not counted anything yet: ask again\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Log where everything is logged."""
        log.debug("asked", what=format % args)
