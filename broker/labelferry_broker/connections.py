"""Which connection a peer of a ROUTER is on, and that it has gone: from the descriptor on its frames and the socket's monitor.

The descriptor of a received frame is the one that the monitor names when that connection closes (about 1 ms after a process
dies). Numbers are used again, so a frame of another peer under a known number tells of the change as well.
"""

import os
import socket as os_socket
from collections import Counter

import zmq

from labelferry_transport.monitors import next_change


class Connections:
    """The connections of one bound socket, by descriptor: which peer is on it, and under which name the doorman let it in."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._watched = socket
        self.monitor: zmq.Socket[bytes] = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._peers: dict[int, bytes] = {}
        self._names: dict[int, str] = {}
        self._overtaken: Counter[int] = Counter()

    def seen(self, frame: zmq.Frame, peer: bytes) -> bytes | None:
        """Note on which connection a frame of `peer` came; return the peer that was on it before, which is therefore gone."""
        descriptor = descriptor_of(frame)
        if descriptor is None:
            return None
        before = self._peers.get(descriptor)
        if before == peer:
            return None
        self._peers[descriptor] = peer
        self._names[descriptor] = _name_of(frame)
        if before is None:
            return None
        # Its own disconnect event is still to come and must not be taken for the new peer's.
        self._overtaken[descriptor] += 1
        return before

    def gone(self) -> list[tuple[int, bytes | None]]:
        """Return the connections that closed since the last look, with the peer that was on each, if it ever spoke."""
        closed = []
        while self.monitor.poll(0):
            descriptor = next_change(self.monitor).value
            if self._overtaken[descriptor] > 0:
                self._overtaken[descriptor] -= 1
                continue
            self._names.pop(descriptor, None)
            closed.append((descriptor, self._peers.pop(descriptor, None)))
        return closed

    def cut_named(self, names: frozenset[str]) -> int:
        """Close every connection that was let in under one of these User-Ids; return how many."""
        doomed = [descriptor for descriptor, name in self._names.items() if name in names]
        for descriptor in doomed:
            cut(descriptor)
        return len(doomed)

    def close(self) -> None:
        """Detach from the socket; before the socket is closed."""
        if not self.monitor.closed:
            self._watched.disable_monitor()
            self.monitor.close(linger=0)


def descriptor_of(frame: zmq.Frame) -> int | None:
    """Return the descriptor of the connection a frame came on, where it is told."""
    try:
        return int(frame.get(zmq.SRCFD))
    except (zmq.ZMQError, ValueError, TypeError):
        return None


def _name_of(frame: zmq.Frame) -> str:
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def cut(descriptor: int) -> None:
    """Close a connection of this process from below, as if its peer had: libzmq has no call for it.

    Should the number have passed to another connection in the meantime, that one reconnects by itself and nothing is lost.
    """
    try:
        copy = os_socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return
    with copy:
        try:
            copy.shutdown(os_socket.SHUT_RDWR)
        except OSError:
            return
