"""Reads what a ZeroMQ socket's monitor tells of its connections. Who listens to one, and to what, is not decided here.

pyzmq has a reader too, in a module that brings all of asyncio along: a tenth of what starting a service takes.
"""

import struct
from typing import NamedTuple

import zmq

_EVENT = struct.Struct("=HI")
"""zmq_socket_monitor(3): the first frame has 16 bits of event and 32 of value; the second frame is the endpoint."""


class Change(NamedTuple):
    """What happened (one of zmq's EVENT numbers), and to which descriptor, or with which error."""

    event: int
    value: int


def next_change(monitor: "zmq.Socket[bytes]") -> Change:
    """Return the next word of a monitor; it waits for one if there is none."""
    described, *_ = monitor.recv_multipart()
    return Change(*_EVENT.unpack(described))
