"""Bundles that come in: what is asked of whom, what was written, and when a receipt is due. Writes files, owns no socket.

An upload belongs to its token, not to a connection: offered again, after a cut or a restart, it goes on from what is here.
"""

import hashlib
from dataclasses import dataclass
from enum import Enum, auto

from labelferry_broker.depot.answer import Answer, check_bearer, refused
from labelferry_broker.depot.sealer import Outcome, Sealed, SealOrder
from labelferry_broker.depot.vault import FAULT_RETRY_SECONDS, FULL_RETRY_SECONDS, Incoming, Vault, not_removed
from labelferry_protocol import tokens
from labelferry_protocol.depot import BundleAbandoned, BundleStored, Chunk, OfferBundle, RequestChunk
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.limits import chunk_bytes_for
from labelferry_protocol.newest import keep_newest
from labelferry_protocol.tokens import Claims
from labelferry_protocol.window import Window
from labelferry_transport.logs import Log

MAX_STORED = 4096
"""Digests remembered of the bundles that were stored last; one that is offered again beyond that is read again."""
MAX_COMING = 32
"""Uploads at a time; each may have a window of chunks in memory."""
MAX_WAITING = 256
"""Bundles that are coming or wait for the sealer; of these only the small ones that came in one piece are in memory."""
LEAST_CHUNK_BYTES = 64 * 1024
"""Nobody reads the steps in which a smaller bundle came."""
IDLE_SECONDS = 60.0
"""Without a chunk for so long, an upload's place is given up; its part stays on disk."""
RECEIPT_SECONDS = 7 * 86400.0

log = Log("depot")

_Bundle = tuple[str, int]
"""Job and attempt."""


class _Step(Enum):
    COMING = auto()
    SEALING = auto()


@dataclass
class _Upload:
    """One bundle on its way in; `peer` and `ref` are of the latest offer."""

    claims: Claims
    peer: bytes
    ref: str
    step: _Step
    heard_at: float
    coming: Incoming | None = None
    window: Window | None = None
    unwanted: bool = False


class Uploads:
    """The uploads of all workers. `orders` gathers what the sealer is to do; the carrier takes them from there."""

    def __init__(self, vault: Vault, secret: bytes) -> None:
        self._vault = vault
        self._secret = secret
        self._live: dict[_Bundle, _Upload] = {}
        self._stored: dict[_Bundle, str] = {}
        """Digests of bundles that this process sealed, so that a repeated offer needs no reading."""
        self.orders: list[SealOrder] = []

    @property
    def busy(self) -> bool:
        """Whether anything is coming."""
        return bool(self._live)

    def offer(self, peer: bytes, ref: str, user: str, message: OfferBundle, steady: float, wall: float) -> list[Answer]:
        """Check the token; go on with its upload, begin it, or say that it is here already."""
        claims = tokens.verify(message.token, "upload", self._secret, wall)
        check_bearer(claims.user, user)
        bundle = (claims.job_id, claims.attempt)
        live = self._live.get(bundle)
        if live is not None and live.claims.sha256 == claims.sha256 and not live.unwanted:
            return self._go_on(live, peer, ref, steady)
        if live is not None and live.step is _Step.SEALING:
            raise Refusal(Code.BUSY, "another bundle of that attempt is being stored: offer again", retry_after=0.2)
        if live is not None:
            self._drop(bundle, live)
        if self._stored.get(bundle) == claims.sha256 and self._vault.holds(claims):
            return [self._receipt(peer, ref, claims, wall)]
        if len(self._live) >= MAX_WAITING or (message.content is None and self._coming() >= MAX_COMING):
            raise Refusal(Code.BUSY, "the depot takes in as many bundles as it can: offer again soon", retry_after=1.0)
        if self._vault.place_of(*bundle).exists():
            return self._look_again(_Upload(claims, peer, ref, _Step.SEALING, steady))
        if message.content is not None:
            return self._take_whole(_Upload(claims, peer, ref, _Step.SEALING, steady), message.content)
        return self._begin(_Upload(claims, peer, ref, _Step.COMING, steady), steady)

    def take(self, peer: bytes, message: Chunk, payload: bytes, steady: float) -> list[Answer]:
        """Write a chunk that was asked for, and ask for more."""
        upload = self._of_peer(peer, message.job_id)
        if upload is None:
            raise Refusal(Code.REGISTER, "no bundle of that job is expected on this connection: offer it again")
        if upload.window is None or upload.coming is None:
            return []
        upload.heard_at = steady
        try:
            for piece in upload.window.take(message.offset, payload, steady):
                upload.coming.write(piece)
        except Refusal as refusal:
            log.error("upload failed", job=message.job_id, attempt=upload.claims.attempt, reason=refusal.message)
            self._drop((message.job_id, upload.claims.attempt), upload)
            return [refused(peer, upload.ref, refusal)]
        return self._advance(upload, steady)

    def sealed(self, result: Sealed, wall: float) -> list[Answer]:
        """Take the sealer's word: a receipt, a refusal, or once more from the start when the bytes were not the right ones."""
        bundle = (result.claims.job_id, result.claims.attempt)
        upload = self._live.pop(bundle, None)
        if upload is None:
            return []
        if upload.unwanted:
            self._vault.discard(*bundle)
            return []
        match result.outcome:
            case Outcome.STORED:
                self._remember(bundle, result.claims.sha256)
                log.info("bundle stored", job=bundle[0], attempt=bundle[1], bytes=result.claims.size)
                return [self._receipt(upload.peer, upload.ref, result.claims, wall)]
            case Outcome.BROKEN:
                return self._broken(upload)
            case Outcome.FAILED:
                if upload.coming is not None:
                    upload.coming.drop()
                wait = FULL_RETRY_SECONDS if result.code is Code.DISK_FULL else FAULT_RETRY_SECONDS
                refusal = Refusal(result.code, result.message, retry_after=wait)
                return [refused(upload.peer, upload.ref, refusal)]

    def tick(self, steady: float) -> list[Answer]:
        """Ask again for what did not come; give up the places of uploads that have gone quiet."""
        answers = []
        for bundle, upload in list(self._live.items()):
            if upload.step is _Step.COMING and upload.window is not None:
                if steady - upload.heard_at > IDLE_SECONDS:
                    self._leave(bundle, upload)
                else:
                    answers += self._asks(upload, steady)
        return answers

    def abandon(self, claims: Claims) -> BundleAbandoned | None:
        """Throw away what is half here; None when the bundle is whole, for then only the broker knows whether it is published."""
        bundle = (claims.job_id, claims.attempt)
        upload = self._live.get(bundle)
        if upload is not None and upload.step is _Step.COMING:
            self._drop(bundle, upload)
        elif upload is not None or self._vault.place_of(*bundle).exists():
            return None
        if not self._vault.discard(*bundle):
            raise not_removed()
        return BundleAbandoned(job_id=claims.job_id, attempt=claims.attempt)

    def discard(self, job_id: str, attempt: int) -> tuple[list[Answer], bool]:
        """Throw away what is here of an attempt, half or whole; return what to tell who is bringing it, and whether it could be done."""
        bundle = (job_id, attempt)
        upload = self._live.get(bundle)
        self._stored.pop(bundle, None)
        answers = []
        if upload is not None:
            reason = Refusal(Code.FENCED, "that attempt's bundle is no longer wanted: throw it away")
            answers = [refused(upload.peer, upload.ref, reason)]
            if upload.step is _Step.SEALING:
                upload.unwanted = True
            else:
                self._drop(bundle, upload)
        return answers, self._vault.discard(job_id, attempt)

    def touched_since(self, job_id: str, attempt: int, steady: float) -> bool:
        """Whether a bundle was offered or came on after that moment."""
        upload = self._live.get((job_id, attempt))
        return upload is not None and upload.heard_at >= steady

    def forget(self, peer: bytes) -> None:
        """Leave the uploads of a connection that has gone, to go on when they are offered again."""
        for bundle, upload in list(self._live.items()):
            if upload.peer == peer and upload.step is _Step.COMING:
                self._leave(bundle, upload)

    def close_all(self) -> None:
        """Close every file; parts stay."""
        for bundle, upload in list(self._live.items()):
            self._leave(bundle, upload)

    def _coming(self) -> int:
        return sum(upload.step is _Step.COMING for upload in self._live.values())

    def _remember(self, bundle: _Bundle, digest: str) -> None:
        self._stored[bundle] = digest
        keep_newest(self._stored, MAX_STORED)

    def _begin(self, upload: _Upload, steady: float) -> list[Answer]:
        claims = upload.claims
        upload.coming = self._vault.begin(claims)
        chunk = max(LEAST_CHUNK_BYTES, chunk_bytes_for(claims.size))
        upload.window = Window(claims.size, chunk, received=upload.coming.received)
        self._live[claims.job_id, claims.attempt] = upload
        log.info(
            "upload begun", job=claims.job_id, attempt=claims.attempt, bytes=claims.size, here=upload.coming.received
        )
        return self._advance(upload, steady)

    def _take_whole(self, upload: _Upload, content: bytes) -> list[Answer]:
        """Have a bundle sealed that came with its offer."""
        claims = upload.claims
        if len(content) != claims.size or hashlib.sha256(content).hexdigest() != claims.sha256:
            return [self._not_as_named(upload)]
        self._live[claims.job_id, claims.attempt] = upload
        self.orders.append(SealOrder(claims=claims, content=content))
        return []

    def _go_on(self, upload: _Upload, peer: bytes, ref: str, steady: float) -> list[Answer]:
        if upload.peer != peer and upload.window is not None:
            upload.window.reconnected()
        upload.peer, upload.ref, upload.heard_at = peer, ref, steady
        return self._asks(upload, steady) if upload.step is _Step.COMING else []

    def _look_again(self, upload: _Upload) -> list[Answer]:
        """Have the bundle that is stored under this name digested: only the same one may be offered again."""
        self._live[upload.claims.job_id, upload.claims.attempt] = upload
        self.orders.append(SealOrder(claims=upload.claims))
        return []

    def _advance(self, upload: _Upload, steady: float) -> list[Answer]:
        if upload.window is None or upload.coming is None or not upload.window.done:
            return self._asks(upload, steady)
        digest = upload.coming.digest
        upload.coming.close()
        upload.step, upload.window = _Step.SEALING, None
        if digest is not None and digest.hexdigest() != upload.claims.sha256:
            del self._live[upload.claims.job_id, upload.claims.attempt]
            return self._broken(upload)
        self.orders.append(SealOrder(claims=upload.claims, coming=str(upload.coming.path), digested=digest is not None))
        return []

    def _broken(self, upload: _Upload) -> list[Answer]:
        claims = upload.claims
        log.error("bundle broken", job=claims.job_id, attempt=claims.attempt, stored=upload.coming is None)
        if upload.coming is None:
            return [
                refused(
                    upload.peer, upload.ref, Refusal(Code.FENCED, "another bundle of that attempt is stored already")
                )
            ]
        upload.coming.drop()
        return [self._not_as_named(upload)]

    def _not_as_named(self, upload: _Upload) -> Answer:
        sentence = "the bundle did not arrive as the token names it, so it was thrown away: offer it again"
        return refused(upload.peer, upload.ref, Refusal(Code.STORE, sentence, retry_after=0.5))

    def _asks(self, upload: _Upload, steady: float) -> list[Answer]:
        if upload.window is None:
            return []
        job_id = upload.claims.job_id
        return [
            Answer(upload.peer, upload.ref, RequestChunk(job_id=job_id, offset=offset, length=length))
            for offset, length in upload.window.ask(steady)
        ]

    def _receipt(self, peer: bytes, ref: str, claims: Claims, wall: float) -> Answer:
        shown = Claims(
            job_id=claims.job_id,
            attempt=claims.attempt,
            size=claims.size,
            sha256=claims.sha256,
            user=claims.user,
            expires_at=wall + RECEIPT_SECONDS,
        )
        receipt = tokens.sign(shown, "receipt", self._secret)
        return Answer(peer, ref, BundleStored(job_id=claims.job_id, attempt=claims.attempt, receipt=receipt))

    def _of_peer(self, peer: bytes, job_id: str) -> _Upload | None:
        found = (upload for upload in self._live.values() if upload.peer == peer and upload.claims.job_id == job_id)
        return next(found, None)

    def _drop(self, bundle: _Bundle, upload: _Upload) -> None:
        del self._live[bundle]
        if upload.coming is not None:
            upload.coming.drop()

    def _leave(self, bundle: _Bundle, upload: _Upload) -> None:
        del self._live[bundle]
        if upload.coming is not None:
            upload.coming.close()
