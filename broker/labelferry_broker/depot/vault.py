"""The vault: bundles on disk, named by job and attempt. What is half here lies in `incoming/`, what is whole and checked in `bundles/`.

STATE/bundles/JOB.ATTEMPT.zip              published there by one rename, never changed after
STATE/incoming/JOB.ATTEMPT.DIGEST.part     a prefix of the bundle whose digest begins so
"""

import errno
import hashlib
import os
import re
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labelferry_broker.depot.settings import bundle_path, bundles_folder, part_path
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.tokens import Claims
from labelferry_protocol.work import Holding
from labelferry_transport.logs import Log

RESERVE_BYTES = 64 * 1024 * 1024
"""What an upload leaves free on the disk, so that the ledger beside it can still write."""
FULL_RETRY_SECONDS = 0.5
"""When to come back first to a full disk: what fills it may be gone at any moment, and to look costs little."""
FAULT_RETRY_SECONDS = 5.0
"""When to come back after another fault of the disk."""

log = Log("depot")

_STORED = re.compile(r"^([0-9a-f]{32})\.([1-9][0-9]{0,4})\.zip$")
_PARTIAL = re.compile(r"^([0-9a-f]{32})\.([1-9][0-9]{0,4})\.[0-9a-f]{16}\.part$")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Digest(Protocol):
    """A running digest, as hashlib makes it."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """Return the digest of what was taken in."""


@dataclass
class Incoming:
    """A bundle that is coming: its file, how much of it is here, and the digest of that (None when a part came in an earlier life, or nobody asks)."""

    path: Path
    descriptor: int
    received: int
    digest: Digest | None = field(default_factory=hashlib.sha256)

    def write(self, piece: bytes) -> None:
        """Append a piece; raise `Refusal(DISK_FULL)` or `Refusal(STORE)`, after which the file is of no use."""
        left = memoryview(piece)
        try:
            while left:
                left = left[os.write(self.descriptor, left) :]
        except OSError as error:
            raise refusal_of(error, "take the bundle in") from None
        if self.digest is not None:
            self.digest.update(piece)
        self.received += len(piece)

    def close(self) -> None:
        """Close the file and leave it where it is, to go on later."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def drop(self) -> None:
        """Close the file and remove it."""
        self.close()
        self.path.unlink(missing_ok=True)


class Vault:
    """The two folders below the broker's state directory. Owned by the depot's thread, but for `put` and `seal`, which the sealer calls."""

    def __init__(self, state: Path, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._state = state
        self.bundles = bundles_folder(state)
        self.incoming = state / "incoming"
        self._reserve_bytes = reserve_bytes
        self.littered = False
        """Whether something could not be removed and is to be looked for again soon; whoever sweeps takes it back."""
        self._make_folders()

    def place_of(self, job_id: str, attempt: int) -> Path:
        """Return where an attempt's bundle lies when it is whole."""
        return bundle_path(self._state, job_id, attempt)

    def holds(self, claims: Claims) -> bool:
        """Whether a whole bundle of that attempt and size is here."""
        try:
            return self.place_of(claims.job_id, claims.attempt).stat().st_size == claims.size
        except FileNotFoundError:
            return False

    def open_bundle(self, claims: Claims) -> int:
        """Return a descriptor to read a whole bundle from; raise `Refusal(GONE)` when it is not there, or not as it was stored."""
        # No link is followed, and nobody is waited for at a pipe.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self.place_of(claims.job_id, claims.attempt), flags)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise Refusal(Code.GONE, "the bundle is no longer here: export it again") from None
            if error.errno == errno.ELOOP:
                raise _damaged() from None
            raise refusal_of(error, "open the bundle") from None
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size != claims.size:
            os.close(descriptor)
            raise _damaged()
        return descriptor

    def begin(self, claims: Claims) -> Incoming:
        """Return the file a bundle comes into, with what is here of it; raise `Refusal(DISK_FULL)` when the rest has no room.

        What is here may be all of it, put here by the worker: a link to a file of its own, so it is never written to, nor cut.
        """
        path = part_path(self._state, claims)
        try:
            self._make_folders()
            self._drop_parts(claims.job_id, claims.attempt, but=path.name)
            descriptor = _open_part(path)
            received = os.fstat(descriptor).st_size
            if received > claims.size:
                os.close(descriptor)
                path.unlink()
                descriptor, received = _open_part(path), 0
        except OSError as error:
            raise refusal_of(error, "take the bundle in") from None
        coming = Incoming(path, descriptor, received, hashlib.sha256() if received == 0 else None)
        missing = claims.size - received
        if missing and shutil.disk_usage(self.incoming).free < missing + self._reserve_bytes:
            coming.drop()
            raise _disk_full()
        return coming

    def put(self, content: bytes, claims: Claims) -> Path:
        """Write a bundle that came in one piece to where one comes in, and return its place; raise as `begin` and `write` do. Called by the sealer alone."""
        part_path(self._state, claims).unlink(missing_ok=True)
        coming = self.begin(claims)
        # Its bytes were held to the token when they came.
        coming.digest = None
        try:
            coming.write(content)
        except BaseException:
            coming.drop()
            raise
        coming.close()
        return coming.path

    def seal(self, coming: Path, claims: Claims) -> None:
        """Make a whole file durable and publish it by one rename, which `sync` makes durable. Blocks on the disk: called by the sealer alone."""
        _sync(coming)
        coming.rename(self.place_of(claims.job_id, claims.attempt))

    def sync(self) -> None:
        """Make the renames so far durable. Blocks on the disk: called by the sealer alone."""
        _sync(self.bundles)

    def discard(self, job_id: str, attempt: int) -> bool:
        """Remove what is here of an attempt's bundle, whole or half; return whether that could be done. If not, `littered` says so."""
        try:
            self.place_of(job_id, attempt).unlink(missing_ok=True)
            self._drop_parts(job_id, attempt)
        except OSError as error:
            log.error("bundle not removed", job=job_id, attempt=attempt, reason=error.strerror)
            self.littered = True
            return False
        return True

    def _make_folders(self) -> None:
        """Make the two folders, also where somebody has removed one since."""
        for folder in (self.bundles, self.incoming):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)

    def _drop_parts(self, job_id: str, attempt: int, but: str = "") -> None:
        """Remove what has come of an attempt's bundle, but for the file of this name."""
        for name in os.listdir(self.incoming):  # noqa: PTH208 - of names alone, in the way of each bundle
            if name.startswith(f"{job_id}.{attempt}.") and name.endswith(".part") and name != but:
                (self.incoming / name).unlink(missing_ok=True)

    def holding(self) -> list[Holding]:
        """Return the attempts of which anything is here. Files of other names are nobody's and stay."""
        found = {match.groups() for path in self.bundles.iterdir() if (match := _STORED.match(path.name))}
        found |= {match.groups() for path in self.incoming.iterdir() if (match := _PARTIAL.match(path.name))}
        return [
            Holding(job_id=job_id, attempt=int(attempt)) for job_id, attempt in sorted(found) if int(attempt) <= 10_000
        ]


def _open_part(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def refusal_of(error: OSError, wish: str) -> Refusal:
    """Return the refusal that tells a peer of a disk error, without naming the broker's folders."""
    if error.errno in _FULL:
        return _disk_full()
    return Refusal(Code.STORE, f"the depot could not {wish}: {error.strerror}", retry_after=FAULT_RETRY_SECONDS)


def not_removed() -> Refusal:
    """Return the refusal that tells a worker that what it brought is not removed yet."""
    return Refusal(Code.STORE, "the depot could not remove the bundle yet", retry_after=FAULT_RETRY_SECONDS)


def _sync(path: Path) -> None:
    """Have the disk keep a file's bytes, or a folder's names. Blocks."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, which is brought to the disk at the same time. Blocks: called by the sealer alone."""
    with path.open("rb") as file, ThreadPoolExecutor(1) as beside:
        syncing = beside.submit(_sync, path)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        syncing.result()
    return digest


def _damaged() -> Refusal:
    """Return the refusal for a bundle that is not as it was stored: of one job and attempt there is one bundle, so no other token helps."""
    return Refusal(Code.GONE, "the stored bundle was damaged from outside, on the broker's disk: export it again")


def _disk_full() -> Refusal:
    return Refusal(
        Code.DISK_FULL,
        "the depot's disk is full: free space on the broker's machine, then try again",
        retry_after=FULL_RETRY_SECONDS,
    )
