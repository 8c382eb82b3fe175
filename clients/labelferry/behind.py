"""What may lag behind the bytes that come: their digest, and bringing them to the disk. Each is done beside whoever writes them, in a thread."""

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor

TOGETHER_BYTES = 1 << 20
"""So much is digested at a time; less, at the end, is digested in place."""
SYNC_BYTES = 32 << 20
"""After so many new bytes the file is brought to the disk, so that little is left to do at the end."""


class Behind:
    """The digest and the disk of one file that grows by `add`. Belongs to one thread; call `close` when it is not needed any more."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._unsynced = 0
        self._threads: ThreadPoolExecutor | None = None
        self._digesting: Future[None] | None = None
        self._syncing: Future[None] | None = None

    def add(self, data: bytes, descriptor: int) -> None:
        """Take in what was written to the file; raise `OSError` where the disk could not keep what came before."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= TOGETHER_BYTES:
            self._hand_over()
        self._unsynced += len(data)
        if self._unsynced >= SYNC_BYTES and (self._syncing is None or self._syncing.done()):
            self.settle()
            self._unsynced = 0
            # Another descriptor of the same file: this one may be closed at any time.
            self._syncing = self._pool.submit(_sync, os.dup(descriptor))

    def settle(self) -> None:
        """Wait until nothing is on its way to the disk; raise `OSError` where that went wrong."""
        if self._syncing is not None:
            syncing, self._syncing = self._syncing, None
            syncing.result()

    def hexdigest(self) -> str:
        """Return the digest of all that was added."""
        self._await_digest()
        for data in self._waiting:
            self._digest.update(data)
        self._waiting, self._waiting_bytes = [], 0
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the threads, which end by themselves when they have done what they were given."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    @property
    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(2, "behind")
        return self._threads

    def _hand_over(self) -> None:
        self._await_digest()
        self._digesting = self._pool.submit(self._take_in, self._waiting)
        self._waiting, self._waiting_bytes = [], 0

    def _take_in(self, pieces: list[bytes]) -> None:
        for data in pieces:
            self._digest.update(data)

    def _await_digest(self) -> None:
        if self._digesting is not None:
            self._digesting.result()


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
