"""The sealer: the depot's thread for what waits on the disk (syncing a whole bundle, digesting one again), so that no transfer waits with it.

It is told its orders over a pair of sockets and answers each with how it went. Small bundles that wait are sealed together, for
what a sync costs hardly depends on how much there is to sync.
"""

import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec
import zmq

from labelferry_broker.depot.vault import Vault, digest_of, refusal_of
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.tokens import Claims
from labelferry_transport.logs import Log

SMALL_BYTES = 1024 * 1024
"""A larger bundle is sealed by itself, so that no other waits with it."""

log = Log("sealer")


class Outcome(StrEnum):
    """How a seal order went."""

    STORED = "stored"
    BROKEN = "broken"
    """The bytes are not those of the digest."""
    FAILED = "failed"


class SealOrder(msgspec.Struct, frozen=True, kw_only=True):
    """depot -> sealer: publish this file, or this content, as that bundle; digest it first unless the depot did. Neither: digest the stored one."""

    claims: Claims
    coming: str = ""
    content: bytes | None = None
    digested: bool = False


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """sealer -> depot: so it went; with a code and a sentence where it failed."""

    claims: Claims
    outcome: Outcome
    code: Code = Code.STORE
    message: str = ""


class Sealer:
    """The thread and the depot's end of its pair (`socket`, to be polled). Made, used and stopped in the depot's thread."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], vault: Vault) -> None:
        self._vault = vault
        place = f"inproc://labelferry.sealer.{id(self)}"
        self._far = context.socket(zmq.PAIR)
        self._far.bind(place)
        self.socket = context.socket(zmq.PAIR)
        self.socket.connect(place)
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether orders are answered."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to take orders."""
        self._thread.start()

    def order(self, order: SealOrder) -> None:
        """Hand in an order; `receive` gives its answer when `socket` can be read."""
        self.socket.send(msgspec.msgpack.encode(order))

    def receive(self) -> Sealed | None:
        """Return the next answer, or None when there is none now."""
        try:
            return msgspec.msgpack.decode(self.socket.recv(zmq.NOBLOCK), type=Sealed)
        except zmq.Again:
            return None

    def stop(self) -> None:
        """End the thread; what it had not begun is left as it is, half here, to go on another time."""
        if self.alive:
            self.socket.send(b"")
            self._thread.join(1.0)
        self.socket.close(linger=0)

    def _run(self) -> None:
        with self._far as far:
            while waiting := self._waiting():
                for orders in _parted(waiting):
                    for answer in self._do_all(orders):
                        far.send(msgspec.msgpack.encode(answer))

    def _waiting(self) -> list[SealOrder]:
        """Return the orders that wait, at least one; none when it is time to end."""
        orders: list[SealOrder] = []
        while not orders or self._far.poll(0):
            said = self._far.recv()
            if not said:
                return []
            orders.append(msgspec.msgpack.decode(said, type=SealOrder))
        return orders

    def _do_all(self, orders: list[SealOrder]) -> list[Sealed]:
        """Do them; nothing is said to be stored before the renames of all are durable."""
        answers = [self._do(order) for order in orders]
        try:
            self._vault.sync()
        except OSError as error:
            for order in orders:
                claims = order.claims
                log.error("bundle not sealed", job=claims.job_id, attempt=claims.attempt, reason=error.strerror)
            return [_failed(order.claims, error) for order in orders]
        return answers

    def _do(self, order: SealOrder) -> Sealed:
        claims = order.claims
        try:
            if order.content is not None:
                self._put(order.content, claims)
                return Sealed(claims=claims, outcome=Outcome.STORED)
            path = Path(order.coming) if order.coming else self._vault.place_of(claims.job_id, claims.attempt)
            if not order.digested and digest_of(path) != claims.sha256:
                return Sealed(claims=claims, outcome=Outcome.BROKEN)
            if order.coming:
                self._vault.seal(path, claims)
        except FileNotFoundError as error:
            # A cancel that comes while a bundle waits has it removed.
            log.info("bundle gone before it was sealed", job=claims.job_id, attempt=claims.attempt)
            return _failed(claims, error)
        except OSError as error:
            log.error("bundle not sealed", job=claims.job_id, attempt=claims.attempt, reason=error.strerror)
            return _failed(claims, error)
        except Refusal as refusal:
            log.error("bundle not sealed", job=claims.job_id, attempt=claims.attempt, reason=refusal.message)
            return Sealed(claims=claims, outcome=Outcome.FAILED, code=refusal.code, message=refusal.message)
        return Sealed(claims=claims, outcome=Outcome.STORED)

    def _put(self, content: bytes, claims: Claims) -> None:
        path = self._vault.put(content, claims)
        try:
            self._vault.seal(path, claims)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _parted(orders: list[SealOrder]) -> Iterator[list[SealOrder]]:
    """Yield the small ones together, then the large ones one by one."""
    small = [order for order in orders if order.claims.size <= SMALL_BYTES]
    if small:
        yield small
    for order in orders:
        if order.claims.size > SMALL_BYTES:
            yield [order]


def _failed(claims: Claims, error: OSError) -> Sealed:
    said = refusal_of(error, "keep the bundle")
    return Sealed(claims=claims, outcome=Outcome.FAILED, code=said.code, message=said.message)
