"""The doorman: says for each new CURVE connection whether it may enter a lane, as whom and in which role (ZeroMQ RFC 27, ZAP).

One thread in each process that binds CURVE sockets. A lane's domain is `labelferry.LANE`; a key that is in no file, or whose
role has no business on the lane, is refused. The files are looked at again when they change, so a key that is added or
removed counts for the next connection. Nobody is let in while no doorman runs: the sockets enforce their domain.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.utils import z85

from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.words import Role
from labelferry_transport.keys import authorized
from labelferry_transport.logs import Log
from labelferry_transport.speaker import user_id

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
ZAP_VERSION = b"1.0"
REREAD_SECONDS = 1.0

_EVERYBODY = frozenset(Role)
_ASKERS = frozenset({Role.USER, Role.ADMIN})
_WORKERS = frozenset({Role.WORKER})

DOORS: dict[Lane, frozenset[Role]] = {
    Lane.REQUESTS: _EVERYBODY,
    Lane.EVENTS: _EVERYBODY,
    Lane.WORK: _WORKERS,
    Lane.PROGRESS: _WORKERS,
    Lane.CONTROL: _WORKERS,
    Lane.DEPOT: _EVERYBODY,
}
"""Which roles may enter which lane. What they may do there is decided message by message."""

log = Log("doorman")


def domain_of(lane: Lane) -> str:
    """Return the ZAP domain of a lane."""
    return f"labelferry.{lane}"


class _Ask(NamedTuple):
    """A ZAP request: who (routing envelope, request id) asks about which key at which domain."""

    envelope: list[bytes]
    ref: bytes
    domain: str
    address: str
    mechanism: bytes
    key: str


class Doorman:
    """The ZAP actor of one context. Made in the thread that owns it; `start` runs it in its own."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        keys: Path,
        *,
        reread_seconds: float = REREAD_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._reread_seconds = reread_seconds
        self._clock = clock
        self._read_at = float("-inf")
        self._seen: tuple[tuple[str, int, int, int], ...] | None = None
        self._known: dict[str, tuple[Role, str]] = {}
        self._turned_away: deque[str] = deque(maxlen=64)
        self._revoked: set[bytes] = set()
        """The owner's: names heard of and not yet asked for."""
        self._asks = context.socket(zmq.ROUTER)
        self._orders = context.socket(zmq.PAIR)
        self._owner = context.socket(zmq.PAIR)
        place = f"inproc://labelferry.doorman.{id(self)}"
        try:
            self._asks.bind(ZAP_ENDPOINT)
        except zmq.ZMQError as error:
            for socket in (self._asks, self._orders, self._owner):
                socket.close(linger=0)
            raise Refusal(Code.INTERNAL, f"another doorman stands at this context's door: {error.strerror}") from None
        self._orders.bind(place)
        self._owner.connect(place)
        self._thread = threading.Thread(target=self._run, name="doorman", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether somebody stands at the door. The owner looks at it each turn and stops serving when it is false."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to answer, in a thread of its own."""
        self._thread.start()

    def turned_away(self, public: bytes, patience: float = 2.0) -> bool:
        """Return whether this public key (Z85) asked to come in lately and was refused; false when nobody answers. In the owner's thread."""
        if not self.alive:
            return False
        self._owner.send_multipart([b"turned-away", public])
        while self._owner.poll(int(patience * 1000)):
            answer = self._owner.recv_multipart()
            if answer[0] != b"revoked":
                return answer == [b"yes"]
            self._revoked.update(answer[1:])
        return False

    def revoked(self) -> frozenset[str]:
        """Return the User-Ids whose key was taken back since the last look: their connections are to be cut. In the owner's thread."""
        while self._owner.poll(0):
            self._revoked.update(self._owner.recv_multipart()[1:])
        names = frozenset(name.decode() for name in self._revoked)
        self._revoked.clear()
        return names

    def stop(self) -> None:
        """End the thread and close its sockets. In the owner's thread; may be called twice."""
        if self.alive and not self._owner.closed:
            self._owner.send_multipart([b"stop"])
            self._thread.join(2.0)
        elif self._thread.ident is None:
            self._asks.close(linger=0)
            self._orders.close(linger=0)
        self._owner.close(linger=0)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._asks, zmq.POLLIN)
        poller.register(self._orders, zmq.POLLIN)
        try:
            serving = True
            while serving:
                ready = dict(poller.poll(int(self._reread_seconds * 1000) + 1))
                self._reread()
                if self._asks in ready:
                    self._from_libzmq(self._asks.recv_multipart())
                if self._orders in ready:
                    serving = self._from_owner(self._orders.recv_multipart())
        finally:
            self._asks.close(linger=0)
            self._orders.close(linger=0)

    def _from_owner(self, parts: list[bytes]) -> bool:
        match parts:
            case [b"turned-away", public]:
                self._orders.send(b"yes" if public.decode("ascii", "replace") in self._turned_away else b"no")
                return True
            case _:
                return False

    def _from_libzmq(self, parts: list[bytes]) -> None:
        ask = _read_ask(parts)
        if ask is None:
            log.error("door question not understood", frames=len(parts))
            return
        found = self._admit(ask)
        if found is None:
            self._turned_away.append(ask.key)
            log.warning("connection refused", domain=ask.domain, address=ask.address, key=ask.key or None)
        status, text, name = (b"200", b"OK", user_id(*found).encode()) if found else (b"400", b"not admitted", b"")
        self._asks.send_multipart([*ask.envelope, ZAP_VERSION, ask.ref, status, text, name, b""])

    def _admit(self, ask: _Ask) -> tuple[Role, str] | None:
        if ask.mechanism != b"CURVE":
            return None
        found = self._known.get(ask.key)
        if found is None:
            return None
        return (
            found if any(ask.domain == domain_of(lane) and found[0] in roles for lane, roles in DOORS.items()) else None
        )

    def _reread(self) -> None:
        now = self._clock()
        if now - self._read_at < self._reread_seconds:
            return
        self._read_at = now
        try:
            seen = _look(self._keys)
            if seen == self._seen:
                return
            known = authorized(self._keys)
        except OSError as error:
            # A door whose list cannot be read stays shut: a key taken back must not live on by it.
            log.error("keys cannot be read, nobody is let in", keys=self._keys, reason=error.strerror)
            self._take(None, {})
            return
        self._take(seen, known)
        log.info("keys read", known=len(known))

    def _take(self, seen: tuple[tuple[str, int, int, int], ...] | None, known: dict[str, tuple[Role, str]]) -> None:
        """Know these keys from now on, and tell the owner whose were taken back."""
        revoked = {user_id(*found).encode() for key, found in self._known.items() if known.get(key) != found}
        self._seen, self._known = seen, known
        if revoked:
            self._orders.send_multipart([b"revoked", *sorted(revoked)])


def _read_ask(parts: list[bytes]) -> _Ask | None:
    # [routing id, empty, version, request id, domain, address, identity, mechanism, credentials...]
    if len(parts) < 8 or parts[2] != ZAP_VERSION:
        return None
    mechanism, credentials = parts[7], parts[8:]
    key = ""
    if mechanism == b"CURVE" and len(credentials) == 1 and len(credentials[0]) == 32:
        key = z85.encode(credentials[0]).decode("ascii")
    return _Ask(
        parts[:2], parts[3], parts[4].decode("utf-8", "replace"), parts[5].decode("ascii", "replace"), mechanism, key
    )


def _look(keys: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Return what tells whether the key files changed: name, inode, size and time of each."""
    found = []
    for path in (keys / "authorized").iterdir():
        try:
            about = path.stat()
        except FileNotFoundError:
            continue
        found.append((path.name, about.st_ino, about.st_size, about.st_mtime_ns))
    return tuple(sorted(found))
