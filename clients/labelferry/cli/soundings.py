"""What a client hears beside the answers to its requests: the beat of the events, the word of the depot. Each comes through a port of its own, and a firewall may keep one shut."""

import math
import time
from collections.abc import Mapping

import zmq

from labelferry_protocol import codec
from labelferry_protocol.depot import RequestChunk
from labelferry_protocol.endpoints import Lane
from labelferry_protocol.topics import BEAT
from labelferry_transport.sockets import ClientKeys, connect, new_context

ANSWER_SECONDS = 5.0
"""How long a lane has to be heard: the events beat each second, the depot answers at once."""

_NO_JOB = "0" * 32


def heard(places: Mapping[Lane, str], keys: ClientKeys | None, seconds: float = ANSWER_SECONDS) -> frozenset[Lane]:
    """Return which of these places, of events and depot, are heard within `seconds`."""
    sockets: list[zmq.Socket[bytes]] = []
    silent: dict[zmq.Socket[bytes], Lane] = {}
    poller = zmq.Poller()
    with new_context() as context:
        try:
            for lane, place in places.items():
                socket = connect(context, zmq.SUB if lane is Lane.EVENTS else zmq.DEALER, place, keys)
                sockets.append(socket)
                silent[socket] = lane
                if lane is Lane.EVENTS:
                    socket.setsockopt(zmq.SUBSCRIBE, BEAT)
                poller.register(socket, zmq.POLLIN if lane is Lane.EVENTS else zmq.POLLOUT)
            until = time.monotonic() + seconds
            while silent and (left := until - time.monotonic()) > 0:
                for socket, events in poller.poll(math.ceil(1000 * left)):
                    if events & zmq.POLLOUT:
                        # A connection that has shown no token is told so: any answer will do.
                        socket.send_multipart(codec.frames(RequestChunk(job_id=_NO_JOB, offset=0, length=1)))
                        poller.modify(socket, zmq.POLLIN)
                    else:
                        poller.unregister(socket)
                        del silent[socket]
        finally:
            for socket in sockets:
                socket.close(linger=0)
    return frozenset(places) - frozenset(silent.values())
