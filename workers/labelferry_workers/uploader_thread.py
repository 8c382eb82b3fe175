"""The uploader as its supervisor has it: the thread, this end of the pair, and what is done when the thread has ended."""

import threading
from contextlib import suppress

import zmq

from labelferry_protocol import codec
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.message import Message
from labelferry_transport.logs import Log
from labelferry_transport.sockets import ClientKeys
from labelferry_workers.errands import Finish
from labelferry_workers.uploader import PAIR, Uploader

ALIVE_MILLISECONDS = 100
"""How long a word waits for the uploader before it is looked whether that still lives."""

log = Log("uploader")


class UploaderThread:
    """The uploader as its supervisor sees it: its end of the pair, and whether the thread still lives."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: ClientKeys | None) -> None:
        self._context = context
        self._keys = keys
        self.pair: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        """What to poll for reading: the uploader's words."""
        self.pair.setsockopt(zmq.LINGER, 0)
        self.pair.setsockopt(zmq.SNDTIMEO, ALIVE_MILLISECONDS)
        self.pair.bind(PAIR)
        self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise `Refusal` when the thread has ended: no bundle would leave this worker any more."""
        if not self._thread.is_alive():
            raise Refusal(
                Code.INTERNAL, "what brings bundles to the depot has ended (the log says why): start the worker again"
            )

    def tell(self, errand: Message) -> None:
        """Say something to the uploader; raise as `check` when nobody is there to hear it."""
        while True:
            try:
                self.pair.send(codec.pack(errand))
            except zmq.Again:
                self.check()
            else:
                return

    def close(self) -> None:
        """Have the thread end, and wait for that."""
        with suppress(Refusal):
            self.tell(Finish())
        self._thread.join()
        self.pair.close()

    def _run(self) -> None:
        try:
            Uploader(self._context, self._keys).run()
        except Exception:  # noqa: BLE001 - the thread's outermost edge; its supervisor finds it ended
            log.fault("the uploader failed")
