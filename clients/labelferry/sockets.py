"""Which kind of socket each lane of a client is, and what a session's wishes do with them; both shells perform them so."""

import zmq

from labelferry.connection import Connection
from labelferry.effects import Open, Send, Subscribe, Unsubscribe
from labelferry.session import EVENTS, Session
from labelferry_protocol import limits
from labelferry_protocol.endpoints import Lane
from labelferry_transport.descriptors import NoDescriptor
from labelferry_transport.sockets import CHUNKS_HIGH_WATER, HIGH_WATER, connect

MOST_AT_ONCE = 256
"""Messages taken from one socket before the others have their turn."""


def open_socket(
    context: zmq.Context[zmq.Socket[bytes]], connection: Connection, session: Session, effect: Open
) -> zmq.Socket[bytes] | None:
    """Return the connecting socket that an effect orders; tell the session and return None when there is no descriptor for it."""
    bulk = effect.lane is Lane.DEPOT
    try:
        return connect(
            context,
            zmq.SUB if effect.lane is Lane.EVENTS else zmq.DEALER,
            effect.endpoint,
            connection.keys,
            max_bytes=limits.MAX_CHUNK_BYTES if bulk else limits.MAX_BODY_BYTES,
            high_water=CHUNKS_HIGH_WATER if bulk else HIGH_WATER,
        )
    except NoDescriptor as error:
        session.not_opened(effect, error)
        return None


def use_socket(sockets: dict[str, zmq.Socket[bytes]], session: Session, effect: Send | Subscribe | Unsubscribe) -> None:
    """Send, or change what is subscribed to; tell the session what could not be sent. A socket that is not there has no connection."""
    if isinstance(effect, Send):
        try:
            if effect.name not in sockets:
                raise zmq.Again
            sockets[effect.name].send_multipart(effect.frames, zmq.NOBLOCK)
        except zmq.Again:
            session.not_sent(effect)
    elif EVENTS in sockets:
        option = zmq.SUBSCRIBE if isinstance(effect, Subscribe) else zmq.UNSUBSCRIBE
        sockets[EVENTS].setsockopt(option, effect.topic)
