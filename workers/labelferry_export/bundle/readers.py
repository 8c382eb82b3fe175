"""What takes the contents of a bundle's files while they are read again: what a reader is, and readers of lines and of whole small files."""

from collections.abc import Callable
from typing import Protocol


class Reader(Protocol):
    """Takes the contents of one file, block by block; raises ValueError where the file breaks its format's rules."""

    def take(self, data: bytes) -> None:
        """Take a block."""

    def close(self) -> None:
        """Say that the file has ended."""


class LineTaker(Protocol):
    """Takes the contents of one file line by line."""

    def add(self, line: bytes) -> None:
        """Take a line, without its end; raises ValueError where it breaks the format's rules."""

    def close(self) -> None:
        """Say that the file has ended."""


class BlockTaker(Protocol):
    """Takes the contents of one file in blocks of whole lines."""

    def add_lines(self, block: bytes) -> None:
        """Take lines, each with its end; raises ValueError where one breaks the format's rules."""

    def close(self) -> None:
        """Say that the file has ended."""


class LineBlocks:
    """A reader that hands on to `taker` as many whole lines at once as it has; memory holds a block and the longest of them."""

    def __init__(self, taker: BlockTaker) -> None:
        self._taker = taker
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Hand on the lines that are whole by now."""
        whole, end, rest = data.rpartition(b"\n")
        if end:
            self._taker.add_lines(b"".join((self._rest, whole, end)))
            self._rest = rest
        else:
            self._rest += rest

    def close(self) -> None:
        """Hand on the last line, if it has no end."""
        if self._rest:
            self._taker.add_lines(self._rest + b"\n")
        self._taker.close()


class Lines:
    """A reader that hands lines on to `taker`; memory holds the longest of them."""

    def __init__(self, taker: LineTaker) -> None:
        self._taker = taker
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Hand on the lines that are whole by now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._taker.add(line)

    def close(self) -> None:
        """Hand on the last line, if it has no end."""
        if self._rest:
            self._taker.add(self._rest)
        self._taker.close()


class Whole:
    """A reader that keeps a file of at most `limit` bytes and hands it on at its end; a longer one goes to `other`, or nowhere."""

    def __init__(self, judge: Callable[[bytes], None], limit: int, other: Reader | None = None) -> None:
        self._judge = judge
        self._limit = limit
        self._other = other
        self._blocks: list[bytes] = []
        self._size = 0

    def take(self, data: bytes) -> None:
        """Keep a block, as long as the file is not too long."""
        self._size += len(data)
        self._blocks.append(data)
        if self._size > self._limit:
            if self._other is not None:
                self._other.take(b"".join(self._blocks))
            self._blocks.clear()

    def close(self) -> None:
        """Hand the file on."""
        if self._size <= self._limit:
            self._judge(b"".join(self._blocks))
        elif self._other is not None:
            self._other.close()
