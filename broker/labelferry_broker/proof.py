"""The start-up proof that the doors are shut: a stranger with a fresh key tries every lane, and the broker serves only if none lets it in.

CURVE without a working doorman lets everybody in, and so does an empty domain; neither shows in normal use. Hence the trial.
"""

import time

import zmq

from labelferry_broker.doorman import Doorman
from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import Code, Refusal
from labelferry_transport.monitors import next_change
from labelferry_transport.sockets import ClientKeys, connect

PATIENCE_SECONDS = 5.0

_COUNTERPARTS: dict[Lane, int] = {
    Lane.REQUESTS: zmq.DEALER,
    Lane.EVENTS: zmq.SUB,
    Lane.WORK: zmq.DEALER,
    Lane.PROGRESS: zmq.PUB,
    Lane.CONTROL: zmq.SUB,
    Lane.DEPOT: zmq.DEALER,
}
_OPEN_HOSTS = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - where to knock, not where to listen
_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)


def prove_shut(
    context: zmq.Context[zmq.Socket[bytes]],
    lane: Lane,
    endpoint: str,
    server_public: bytes,
    doorman: Doorman,
    patience: float = PATIENCE_SECONDS,
) -> None:
    """Knock at a bound lane with an unknown key; raise `Refusal(INTERNAL)` unless the doorman was asked and turned it away."""
    public, secret = zmq.curve_keypair()
    keys = ClientKeys(public, secret, server_public)
    monitors: list[zmq.Socket[bytes]] = []
    socket = connect(
        context,
        _COUNTERPARTS[lane],
        knocking_place(endpoint),
        keys,
        prepare=lambda socket: monitors.append(socket.get_monitor_socket(_EVENTS)),
    )
    try:
        answer = _first_answer(monitors[0], patience)
    finally:
        socket.disable_monitor()
        monitors[0].close(linger=0)
        socket.close(linger=0)
    if answer == zmq.EVENT_HANDSHAKE_FAILED_AUTH and doorman.turned_away(public):
        return
    if answer == zmq.EVENT_HANDSHAKE_SUCCEEDED:
        raise Refusal(
            Code.INTERNAL, f"the {lane} lane let an unknown key in, so the broker does not serve: report this"
        )
    raise Refusal(
        Code.INTERNAL,
        f"the {lane} lane could not be shown to refuse an unknown key (the doorman did not answer), so the broker does not serve",
    )


def knocking_place(endpoint: str) -> str:
    """Return where a lane that listens everywhere is reached from this machine."""
    for open_host, host in _OPEN_HOSTS.items():
        endpoint = endpoint.replace(f"tcp://{open_host}:", f"tcp://{host}:", 1)
    return endpoint


def _first_answer(monitor: zmq.Socket[bytes], patience: float) -> int | None:
    """Return the monitor event that decides: let in, turned away, or neither in time."""
    end = time.monotonic() + patience
    while (left := end - time.monotonic()) > 0:
        if not monitor.poll(int(left * 1000) + 1):
            break
        event = next_change(monitor).event
        if event != zmq.EVENT_DISCONNECTED:
            return event
    return None
