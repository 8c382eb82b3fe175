"""Bundles that go out: who has opened which, and the chunks they ask for. Reads files, owns no socket.

Whoever receives asks for the next chunks, so a slow receiver costs nothing here but its place in the table, which it loses
when it is idle and somebody else needs it; it then opens again and goes on.
"""

import os
from collections import OrderedDict
from dataclasses import dataclass

from labelferry_broker.depot.answer import Answer, check_bearer
from labelferry_broker.depot.vault import Vault, refusal_of
from labelferry_protocol import tokens
from labelferry_protocol.depot import BundleOpened, Chunk, OpenBundle, RequestChunk
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.limits import chunk_bytes_for
from labelferry_transport.logs import Log

MAX_OPEN = 512
"""Bundles open at a time, for all connections together."""
MAX_OPEN_PER_PEER = 8
IDLE_SECONDS = 10.0
"""How long an open bundle was not asked from before its place may be given away."""

log = Log("depot")


@dataclass
class _Open:
    descriptor: int
    attempt: int
    size: int
    used_at: float


class Downloads:
    """The open bundles of all connections, the longest unused first."""

    def __init__(self, vault: Vault, secret: bytes) -> None:
        self._vault = vault
        self._secret = secret
        self._open: OrderedDict[tuple[bytes, str], _Open] = OrderedDict()
        self._per_peer: dict[bytes, int] = {}

    def open(self, peer: bytes, ref: str, user: str, message: OpenBundle, steady: float, wall: float) -> list[Answer]:
        """Check the token and open its bundle for this connection."""
        claims = tokens.verify(message.token, "download", self._secret, wall)
        check_bearer(claims.user, user)
        self.close(peer, claims.job_id)
        if self._per_peer.get(peer, 0) >= MAX_OPEN_PER_PEER:
            raise Refusal(Code.BUSY, f"at most {MAX_OPEN_PER_PEER} bundles are open on one connection: close one first")
        self._make_room(steady)
        descriptor = self._vault.open_bundle(claims)
        self._open[peer, claims.job_id] = _Open(descriptor, claims.attempt, claims.size, steady)
        self._per_peer[peer] = self._per_peer.get(peer, 0) + 1
        log.info("bundle opened", job=claims.job_id, attempt=claims.attempt, user=user)
        opened = BundleOpened(size=claims.size, sha256=claims.sha256, chunk_bytes=chunk_bytes_for(claims.size))
        return [Answer(peer, ref, opened)]

    def send_chunk(self, peer: bytes, ref: str, message: RequestChunk, steady: float) -> list[Answer]:
        """Return the bytes asked for."""
        place = (peer, message.job_id)
        found = self._open.get(place)
        if found is None:
            raise Refusal(Code.REGISTER, "that bundle is not open on this connection (any more): open it again")
        if message.offset >= found.size:
            raise Refusal(Code.USAGE, f"the bundle has {found.size} bytes: there are none at offset {message.offset}")
        found.used_at = steady
        self._open.move_to_end(place)
        length = min(message.length, found.size - message.offset)
        try:
            data = os.pread(found.descriptor, length, message.offset)
        except OSError as error:
            raise refusal_of(error, "read the bundle") from None
        if len(data) != length:
            self.close(*place)
            raise Refusal(Code.GONE, "the bundle's file was cut short on the broker's disk: export it again")
        return [Answer(peer, ref, Chunk(job_id=message.job_id, offset=message.offset), data)]

    def close(self, peer: bytes, job_id: str) -> None:
        """Close a bundle on this connection, if it is open."""
        found = self._open.pop((peer, job_id), None)
        if found is None:
            return
        os.close(found.descriptor)
        self._per_peer[peer] -= 1
        if not self._per_peer[peer]:
            del self._per_peer[peer]

    def forget(self, peer: bytes) -> None:
        """Close everything of a connection that has gone."""
        for place in [place for place in self._open if place[0] == peer]:
            self.close(*place)

    def evict(self, job_id: str, attempt: int) -> None:
        """Close a bundle that was thrown away, on every connection: who goes on asking opens it again, and is told that it is gone."""
        for place in [place for place, each in self._open.items() if (place[1], each.attempt) == (job_id, attempt)]:
            self.close(*place)

    def close_all(self) -> None:
        """Close everything."""
        for place in list(self._open):
            self.close(*place)

    def _make_room(self, steady: float) -> None:
        if len(self._open) < MAX_OPEN:
            return
        place, oldest = next(iter(self._open.items()))
        if steady - oldest.used_at < IDLE_SECONDS:
            raise Refusal(Code.BUSY, "the depot serves as many downloads as it can: try again soon", retry_after=2.0)
        self.close(*place)
