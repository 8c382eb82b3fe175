"""Opens every ZeroMQ socket of labelferry, each option said explicitly. No loop lives here, and no message.

Two rules from measured failures: no ZMTP heartbeat (on a slow SUB it aborts the process), and LINGER 0 everywhere (the default
hangs a closing context on one undelivered message). Liveness is the business of messages: leases, beats, correlation ids.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import zmq

from labelferry_protocol import limits
from labelferry_protocol.errors import Code, Refusal
from labelferry_transport.descriptors import OUT_OF_DESCRIPTORS, NoDescriptor, descriptor_limit, ensure_room
from labelferry_transport.doors import BACKLOG, Door, bind_door

HIGH_WATER = 1000
"""Messages a peer may lag behind, each way (bulk: `CHUNKS_HIGH_WATER`)."""
CHUNKS_HIGH_WATER = 64
PATIENCE_SECONDS = 10.0
"""How long a tcp connection may leave what was sent unacknowledged before it is taken for dead."""
CLIENT_DESCRIPTORS = 18
"""What a context with its threads, the sockets of a client and the files of a download take: measured, 15; and 2 while a connection is made anew."""
LEAST_LIBZMQ = (4, 3, 5)


@dataclass(frozen=True)
class ServerKeys:
    """A binding socket's CURVE keys (Z85) and the ZAP domain whose doorman decides who may connect."""

    public: bytes
    secret: bytes
    domain: str


@dataclass(frozen=True)
class ClientKeys:
    """A connecting socket's own CURVE keys and the public key that it expects of the broker (Z85)."""

    public: bytes
    secret: bytes
    server_public: bytes


def new_context(descriptors: int = CLIENT_DESCRIPTORS) -> zmq.Context[zmq.Socket[bytes]]:
    """Return a context of this process's own; raise `Refusal` when fewer `descriptors` are free than its owner needs to begin, or
    when libzmq is older than the last one without known holes.
    """
    if zmq.zmq_version_info() < LEAST_LIBZMQ:
        least = ".".join(map(str, LEAST_LIBZMQ))
        raise Refusal(
            Code.INTERNAL, f"libzmq {zmq.zmq_version()} is too old: labelferry needs {least} or newer (update pyzmq)"
        )
    ensure_room(descriptors)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, 4096)
    context.set(zmq.IPV6, 1)
    return context


def bind(
    context: zmq.Context[zmq.Socket[bytes]],
    kind: int,
    endpoint: str,
    keys: ServerKeys | None = None,
    *,
    max_bytes: int = limits.MAX_BODY_BYTES,
    high_water: int = HIGH_WATER,
    patience_seconds: float = PATIENCE_SECONDS,
    doors: list[Door] | None = None,
) -> zmq.Socket[bytes]:
    """Return a socket of `kind` bound to `endpoint`; raise `Refusal(OUTPUT)` when the place is taken or not ours, `NoDescriptor` when
    there is none for the socket.

    An XPUB comes in manual mode with last value: after each subscription received, the next message sent goes to that
    subscriber alone. The socket's door is put to `doors`, if somebody minds them. A tcp connection that acknowledges nothing for
    `patience_seconds` is dropped.
    """
    with _descriptors_explained():
        socket = context.socket(kind)
    _explain(socket, max_bytes, high_water, patience_seconds)
    # Who waits before a unix socket gets in until it is shut and they are turned away, so only a few may.
    local = endpoint.startswith("ipc://")
    socket.setsockopt(zmq.BACKLOG, max(1, min(BACKLOG, descriptor_limit() // 64)) if local else BACKLOG)
    if kind == zmq.ROUTER:
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    if kind == zmq.XPUB:
        socket.setsockopt(zmq.XPUB_MANUAL_LAST_VALUE, 1)
    if keys is not None:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
        socket.setsockopt_string(zmq.ZAP_DOMAIN, keys.domain)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    try:
        if doors is None:
            socket.bind(endpoint)
        else:
            doors.append(bind_door(socket, endpoint))
    except zmq.ZMQError as error:
        socket.close()
        raise Refusal(
            Code.OUTPUT, f"cannot listen on {endpoint}: {error.strerror}: is another broker running there?"
        ) from None
    return socket


def connect(
    context: zmq.Context[zmq.Socket[bytes]],
    kind: int,
    endpoint: str,
    keys: ClientKeys | None = None,
    *,
    max_bytes: int = limits.MAX_BODY_BYTES,
    high_water: int = HIGH_WATER,
    reconnect_ms: int = 100,
    prepare: Callable[[zmq.Socket[bytes]], object] | None = None,
    jitter: Callable[[], float] = random.random,
) -> zmq.Socket[bytes]:
    """Return a socket of `kind` that connects, and reconnects by itself (after some `reconnect_ms`, growing to 2 s).

    `jitter` returns a number from 0 to 1: libzmq spreads no reconnects once their pause may grow, so each socket has a first pause of
    its own, from half to one and a half of `reconnect_ms`, and doubles that.

    No routing id is set: the broker makes a fresh one for each connection, so none can be taken over. `prepare` is called with
    the socket just before it connects: a monitor that must miss nothing is attached there (without `EVENT_MONITOR_STOPPED`: where
    its other end is missing, libzmq waits for ever to say that).

    Raises `NoDescriptor` when there is none for the socket or its monitor; nothing of either is left then, but what `prepare` took.
    """
    with _descriptors_explained():
        socket = context.socket(kind)
    try:
        _explain(socket, max_bytes, high_water)
        socket.setsockopt(zmq.RECONNECT_IVL, max(1, round(reconnect_ms * (0.5 + jitter()))))
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        # A name is looked up anew with each try, so a try at an address that is nobody's any more must end.
        socket.setsockopt(zmq.CONNECT_TIMEOUT, 3000)
        if kind == zmq.DEALER:
            socket.setsockopt(zmq.IMMEDIATE, 1)
        if keys is not None:
            socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server_public)
        with _descriptors_explained():
            if prepare is not None:
                prepare(socket)
            socket.connect(endpoint)
    except BaseException:
        socket.disable_monitor()
        socket.close()
        raise
    return socket


@contextmanager
def _descriptors_explained() -> Iterator[None]:
    try:
        yield
    except zmq.ZMQError as error:
        if error.errno not in OUT_OF_DESCRIPTORS:
            raise
        raise NoDescriptor from None


def _explain(
    socket: zmq.Socket[bytes], max_bytes: int, high_water: int, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, high_water)
    socket.setsockopt(zmq.RCVHWM, high_water)
    socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 15)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 5)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
    socket.setsockopt(zmq.TCP_MAXRT, round(1000 * patience_seconds))
