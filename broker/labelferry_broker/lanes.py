"""Binds the dispatcher's lanes: requests, events, work, progress, control."""

from dataclasses import dataclass

import zmq

from labelferry_broker.doorman import domain_of
from labelferry_protocol import limits
from labelferry_protocol.endpoints import Endpoint, Lane
from labelferry_transport.doors import Door
from labelferry_transport.keys import KeyFile
from labelferry_transport.sockets import PATIENCE_SECONDS, bind

_KINDS: dict[Lane, int] = {
    Lane.REQUESTS: zmq.ROUTER,
    Lane.EVENTS: zmq.XPUB,
    Lane.WORK: zmq.ROUTER,
    Lane.PROGRESS: zmq.SUB,
    Lane.CONTROL: zmq.XPUB,
}
DISPATCHED = tuple(_KINDS)
"""The lanes that the dispatcher owns; the depot's is its own."""
HANDSHAKE_BYTES = 512
"""The longest command of a CURVE handshake fits in; the limit on message sizes holds for handshakes too."""
WORK_PATIENCE_SECONDS = limits.LEASE_SECONDS + limits.RENEW_SECONDS
"""A worker that is cut off ends what it holds before its lease does; its connection must not be taken for dropped before that."""
CLOSING_MILLISECONDS = 200
"""What is still in a socket at the end may take so long to leave."""


@dataclass(frozen=True)
class Lanes:
    """The bound sockets, and their doors, which are whoever's who minds them. `open_door` says that nobody was asked who they are."""

    requests: zmq.Socket[bytes]
    events: zmq.Socket[bytes]
    work: zmq.Socket[bytes]
    progress: zmq.Socket[bytes]
    control: zmq.Socket[bytes]
    open_door: bool
    doors: tuple[Door, ...] = ()

    def socket(self, lane: Lane) -> zmq.Socket[bytes]:
        """Return a lane's socket."""
        found: zmq.Socket[bytes] = getattr(self, lane.value)
        return found

    def close(self) -> None:
        """Close them all."""
        for socket in (self.requests, self.events, self.work, self.progress, self.control):
            socket.close(linger=CLOSING_MILLISECONDS)


def bind_lanes(context: zmq.Context[zmq.Socket[bytes]], endpoint: Endpoint, key: KeyFile | None) -> Lanes:
    """Bind every lane but the depot's; raise `Refusal(OUTPUT)` when a place is taken. Without a key the door is open."""
    sockets: dict[Lane, zmq.Socket[bytes]] = {}
    doors: list[Door] = []
    try:
        for lane, kind in _KINDS.items():
            keys = None if key is None else key.as_server(domain_of(lane))
            longest = _longest(kind, curve=key is not None)
            patience = WORK_PATIENCE_SECONDS if lane is Lane.WORK else PATIENCE_SECONDS
            place = endpoint.lane(lane)
            sockets[lane] = bind(context, kind, place, keys, max_bytes=longest, patience_seconds=patience, doors=doors)
    except BaseException:
        for socket in sockets.values():
            socket.close(linger=0)
        for door in doors:
            door.close()
        raise
    sockets[Lane.PROGRESS].setsockopt(zmq.SUBSCRIBE, b"")
    named = {lane.value: socket for lane, socket in sockets.items()}
    return Lanes(**named, open_door=key is None, doors=tuple(doors))


def _longest(kind: int, *, curve: bool) -> int:
    """Return the longest frame taken in. A lane that fans out hears subscriptions alone, and long ones cost memory even if denied."""
    if kind != zmq.XPUB:
        return limits.MAX_BODY_BYTES
    return HANDSHAKE_BYTES if curve else limits.MAX_SUBSCRIPTION_BYTES
