"""A TCP proxy before a broker's ports, to break the way to it: held, one-way, half open, cut, cut at a byte, narrow. Works wherever loopback does.

It listens on an address of its own at the broker's own ports, so a peer that is told `*` for a host stays on it. What is held is
late, not lost, as on a network that comes back; the end of a connection is held like its bytes.
"""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from labelferry_protocol.endpoints import Lane

PIECE = 64 * 1024
LANES = tuple(Lane)


class Way(StrEnum):
    """A direction: `UP` to the broker, `DOWN` from it."""

    UP = "up"
    DOWN = "down"


BOTH = (Way.UP, Way.DOWN)


@dataclass(eq=False)
class Wire:
    """One connection through the proxy, with how many more bytes may come down before it is cut (None: no end)."""

    lane: Lane
    near: socket.socket
    far: socket.socket
    left: int | None = None
    frozen: threading.Event = field(default_factory=threading.Event)

    def cut(self) -> None:
        """End the connection on both sides."""
        for each in (self.near, self.far):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Stands at `host` before the broker at `target`, on its base port and those above it. Made by `proxied`."""

    def __init__(self, host: str, target: str, base_port: int) -> None:
        self.endpoint = f"tcp://{host}:{base_port}"
        self._target = target
        self._closed = threading.Event()
        self._free = {(lane, way): threading.Event() for lane in LANES for way in BOTH}
        self._cut_after: dict[Lane, list[int]] = {lane: [] for lane in LANES}
        self._wires: list[Wire] = []
        self._rates: dict[tuple[Lane, Way], int] = {}
        self.carried = dict.fromkeys(self._free, 0)
        """Bytes that have gone through, by lane and way."""
        self.cuts = 0
        self.release()
        self._doors = [socket.create_server((host, base_port + offset)) for offset in range(len(LANES))]
        for lane, door in zip(LANES, self._doors, strict=True):
            self._spawn(self._accept, lane, door, base_port + LANES.index(lane))

    def hold(self, *, ways: Iterable[Way] = BOTH, lanes: Iterable[Lane] = LANES) -> None:
        """Let nothing through, on living connections and new ones, until `release`."""
        for lane in lanes:
            for way in ways:
                self._free[lane, way].clear()

    def release(self) -> None:
        """Let everything through that is not frozen, first what was held."""
        for free in self._free.values():
            free.set()

    def freeze(self, lanes: Iterable[Lane] = LANES) -> int:
        """Make the connections of now half open for ever: nothing goes through, nobody is told. Return how many there were."""
        chosen = [wire for wire in list(self._wires) if wire.lane in set(lanes)]
        for wire in chosen:
            wire.frozen.set()
        return len(chosen)

    def cut(self, lanes: Iterable[Lane] = LANES) -> None:
        """End the connections of now."""
        for wire in list(self._wires):
            if wire.lane in set(lanes):
                wire.cut()

    def cut_after(self, lane: Lane, counts: Iterable[int]) -> None:
        """Cut connections of a lane, one after the other, each after so many more bytes came down on it."""
        self._cut_after[lane] = list(counts)

    def narrow(self, lane: Lane, way: Way, rate: int) -> None:
        """Let no more than `rate` bytes a second through on each connection of a lane, this way."""
        self._rates[lane, way] = rate

    def close(self) -> None:
        """End everything."""
        self._closed.set()
        for door in self._doors:
            with suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            door.close()
        self.cut()

    def _accept(self, lane: Lane, door: socket.socket, port: int) -> None:
        while True:
            try:
                near, _ = door.accept()
            except OSError:
                return
            self._spawn(self._join, lane, near, port)

    def _join(self, lane: Lane, near: socket.socket, port: int) -> None:
        if not self._passes(lane, Way.UP):
            near.close()
            return
        try:
            far = socket.create_connection((self._target, port))
        except OSError:
            near.close()
            return
        wire = Wire(lane, near, far)
        self._wires.append(wire)
        up = self._spawn(self._pump, wire, Way.UP)
        self._pump(wire, Way.DOWN)
        up.join()
        self._wires.remove(wire)
        if wire.left:
            # Somebody else was faster: the next one is cut in its place.
            self._cut_after[lane].append(wire.left)
        near.close()
        far.close()

    def _pump(self, wire: Wire, way: Way) -> None:
        source, sink = (wire.near, wire.far) if way is Way.UP else (wire.far, wire.near)
        with suppress(OSError):
            while True:
                rate = self._rates.get((wire.lane, way))
                piece = source.recv(PIECE if rate is None else max(1, rate // 20))
                if rate is not None:
                    self._closed.wait(len(piece) / rate)
                if not self._passes(wire.lane, way, wire):
                    break
                if way is Way.DOWN and wire.left is None and self._cut_after[wire.lane]:
                    wire.left = self._cut_after[wire.lane].pop(0)
                if way is Way.DOWN and wire.left is not None:
                    piece = piece[: wire.left]
                    wire.left -= len(piece)
                    self.carried[wire.lane, way] += len(piece)
                    sink.sendall(piece)
                    if wire.left == 0:
                        self.cuts += 1
                        break
                elif piece:
                    self.carried[wire.lane, way] += len(piece)
                    sink.sendall(piece)
                if not piece:
                    break
        wire.cut()

    def _passes(self, lane: Lane, way: Way, wire: Wire | None = None) -> bool:
        """Wait until this way is free; return false when the proxy has ended before."""
        while wire is not None and wire.frozen.is_set():
            if self._closed.wait(0.05):
                return False
        while not self._free[lane, way].wait(0.05):
            if self._closed.is_set():
                return False
        return not self._closed.is_set()

    def _spawn(self, work: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]  # a bound method
        thread.start()
        return thread


@contextmanager
def proxied(host: str, target: str, base_port: int) -> Iterator[Proxy]:
    """A proxy at `host`, closed at the end."""
    made = Proxy(host, target, base_port)
    try:
        yield made
    finally:
        made.close()
