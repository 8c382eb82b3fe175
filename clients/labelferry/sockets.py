"""Which kind of socket each lane of a client is. Opening one is all that happens here."""

import zmq

from labelferry.connection import Connection
from labelferry.effects import Open
from labelferry_protocol import limits
from labelferry_protocol.endpoints import Lane
from labelferry_transport.sockets import CHUNKS_HIGH_WATER, HIGH_WATER, connect

MOST_AT_ONCE = 256
"""Messages taken from one socket before the others have their turn."""


def open_socket(context: zmq.Context[zmq.Socket[bytes]], connection: Connection, effect: Open) -> zmq.Socket[bytes]:
    """Return the connecting socket that an effect orders."""
    bulk = effect.lane is Lane.DEPOT
    return connect(
        context,
        zmq.SUB if effect.lane is Lane.EVENTS else zmq.DEALER,
        effect.endpoint,
        connection.keys,
        max_bytes=limits.MAX_CHUNK_BYTES if bulk else limits.MAX_BODY_BYTES,
        high_water=CHUNKS_HIGH_WATER if bulk else HIGH_WATER,
    )
