"""The listening end of a bound socket, from below: shut, so that nobody new gets in while everybody inside goes on, and opened again.

libzmq has no call for it (`unbind` ends the connections too), and must not be left to run out of descriptors: on unix sockets it ends
the process then. A unix socket is shut by taking its name away, for which the kernel answers that nobody is there; a tcp socket by a
filter (socket(7), SO_ATTACH_FILTER; Linux) that lets no packet for a new connection in, for which the other end tries again. Who
has knocked by then, and waits in the kernel's queue, is turned away.
"""

import ctypes
import itertools
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import zmq

from labelferry_transport.monitors import next_change

_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_BPF_RETURN = 0x06
"""The one instruction of the filter: take 0 bytes of every packet."""
SHUT = ".shut"
BACKLOG = 1024
"""Connections that may wait at a door to be let in."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Door:
    """The door of one bound socket. `listening` is a duplicate of its listening descriptor, ours to close."""

    listening: int
    path: Path | None

    def shut(self) -> None:
        """Let nobody new in."""
        with suppress(OSError):
            if self.path is not None:
                self.path.rename(self.path.with_name(self.path.name + SHUT))
            else:
                _filter(self.listening)

    def turn_away(self) -> None:
        """Close the connections that wait to be let in, which libzmq would let in also at a shut door; they try again by themselves."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.listening)) as listening:
            listening.setblocking(False)
            for _ in range(BACKLOG):
                stranger, _ = listening.accept()
                stranger.close()

    def open(self) -> None:
        """Let everybody in again."""
        with suppress(OSError):
            if self.path is not None:
                self.path.with_name(self.path.name + SHUT).rename(self.path)
            else:
                with socket.socket(fileno=os.dup(self.listening)) as listening:
                    listening.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.listening)


def bind_door(bound: zmq.Socket[bytes], endpoint: str) -> Door:
    """Bind a socket, and return its door; raise `zmq.ZMQError` as `bind` does."""
    # A place of its own: libzmq gives one back a while after the monitor is closed, and another monitor of this socket follows.
    monitor = bound.get_monitor_socket(zmq.EVENT_LISTENING, f"inproc://labelferry.door.{next(_numbers)}")
    try:
        bound.bind(endpoint)
        listening = next_change(monitor).value
    finally:
        bound.disable_monitor()
        monitor.close(linger=0)
    return Door(os.dup(listening), Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc://") else None)


def _filter(listening: int) -> None:
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
    program = struct.pack("HL", 1, ctypes.addressof(instruction))
    with socket.socket(fileno=os.dup(listening)) as shut:
        shut.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
