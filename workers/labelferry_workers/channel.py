"""The bytes between a supervisor and one child: a socket pair, each message under its length. Both ends use this, neither blocks."""

import contextlib
import socket
import struct
from collections.abc import Iterator

from labelferry_protocol import codec, limits
from labelferry_protocol.errors import Malformed
from labelferry_protocol.message import Message

_LENGTH = struct.Struct(">I")
_READ_BYTES = 64 * 1024
_BUFFER_BYTES = 4 * limits.MAX_BODY_BYTES
"""So much the system holds for each direction where it can: a lease always fits, and some progress."""
MAX_BACKLOG_BYTES = 16 * limits.MAX_BODY_BYTES
"""What may wait for an end that does not read, before it is taken for broken."""


class ChannelEnded(Exception):
    """The other end is gone, does not read, or does not speak our language."""


def channel_pair() -> tuple["Channel", socket.socket]:
    """Return the supervisor's end, and the socket that the child inherits."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return Channel(ours), theirs


class Channel:
    """One end. Everything raises `ChannelEnded` when the other end is gone."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._incoming = bytearray()
        self._outgoing = bytearray()

    def fileno(self) -> int:
        """Return the descriptor, to poll."""
        return self._socket.fileno()

    @property
    def backlog(self) -> int:
        """How many bytes wait until the other end reads: poll for writing, then `flush`."""
        return len(self._outgoing)

    def tell(self, *messages: Message) -> None:
        """Send messages, at once, or keep what the system does not take of them."""
        for message in messages:
            body = codec.pack(message)
            self._outgoing += _LENGTH.pack(len(body)) + body
        self.flush()
        if len(self._outgoing) > MAX_BACKLOG_BYTES:
            raise ChannelEnded("the other end does not read")

    def flush(self) -> None:
        """Send on what waits."""
        try:
            while self._outgoing:
                sent = self._socket.send(self._outgoing)
                del self._outgoing[:sent]
        except BlockingIOError:
            pass
        except OSError as error:
            raise ChannelEnded(str(error)) from None

    def messages(self, lane: object) -> Iterator[Message]:
        """Yield what has come, of `lane` (a union of message classes)."""
        ended = self._read()
        try:
            yield from self._whole(lane)
        except Malformed as error:
            raise ChannelEnded(str(error)) from None
        if ended:
            raise ChannelEnded("the other end is closed")

    def close(self) -> None:
        """Close this end, which ends the other."""
        self._socket.close()

    def _read(self) -> bool:
        try:
            while len(self._incoming) < MAX_BACKLOG_BYTES:
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    return True
                self._incoming += data
        except BlockingIOError:
            return False
        except OSError:
            return True
        return False

    def _whole(self, lane: object) -> Iterator[Message]:
        while len(self._incoming) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._incoming)
            if length > limits.MAX_BODY_BYTES:
                raise Malformed(f"a message of {length} bytes on a channel")
            end = _LENGTH.size + length
            if len(self._incoming) < end:
                return
            body = bytes(self._incoming[_LENGTH.size : end])
            del self._incoming[:end]
            message: Message = codec.unpack(body, lane)
            yield message
