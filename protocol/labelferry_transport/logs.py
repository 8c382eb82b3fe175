"""The log of a service: one line an event on stderr, `time level actor event key=value ...`, for broker and workers alike.

What is about a job carries `job=` and `attempt=`. Values with spaces, quotes or control characters are quoted as JSON, so a
line stays a line whatever a peer sends. A service never waits for whoever reads its log: what is not taken is left out, and counted.
"""

import io
import json
import logging
import os
import re
import select
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TextIO

LEVELS = ("debug", "info", "warning", "error")
_ROOT = "labelferry"
_PLAIN = re.compile(r"^[\w@%+=:,./*\[\]-]+$", re.ASCII)
_LONGEST = 500
_LINE_BYTES = select.PIPE_BUF
"""A pipe that says it can be written to takes so much at once; a longer line is cut."""


@dataclass(frozen=True)
class Log:
    """The log of one actor: an event is a few words, its facts are keyword arguments."""

    actor: str

    def debug(self, event: str, **facts: object) -> None:
        """Log what only somebody who looks for a fault wants to see."""
        self._write(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        """Log what happened."""
        self._write(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """Log what should not happen and was dealt with."""
        self._write(logging.WARNING, event, facts)

    def error(self, event: str, **facts: object) -> None:
        """Log what somebody must look at."""
        self._write(logging.ERROR, event, facts)

    def fault(self, event: str, **facts: object) -> None:
        """Log an unexpected exception with its traceback, from inside its `except`."""
        _logger(self.actor).error(event, extra={"facts": facts}, exc_info=True)

    def _write(self, level: int, event: str, facts: dict[str, object]) -> None:
        logger = _logger(self.actor)
        if logger.isEnabledFor(level):
            # Made here, for `Logger.log` looks through the stack for the line that called it, which no line of ours tells.
            record = logging.LogRecord(logger.name, level, "", 0, event, (), None)
            record.facts = facts
            logger.handle(record)


def start_logging(level: str = "info") -> None:
    """Send this process's log to stderr from `level` on; called once, by a service's `main`."""
    handler = _Stderr(sys.stderr)
    handler.setFormatter(_Line())
    root = logging.getLogger(_ROOT)
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
    # No line tells these, and to look them up is most of what a line costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


@cache
def _logger(actor: str) -> logging.Logger:
    return logging.getLogger(f"{_ROOT}.{actor}")


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes a line when it is taken at once, by a pipe, a terminal or a file; what is left out is told with the next line that is."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._left_out = 0
        self._poll = select.poll()
        self._descriptor: int | None = None
        # A stream in memory has no descriptor, and no end: stderr that was closed is none at all.
        with suppress(AttributeError, io.UnsupportedOperation):
            self._descriptor = stream.fileno()
            self._poll.register(self._descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or count it."""
        if self._descriptor is None:
            super().emit(record)
            return
        if self._left_out and self._writes(self._descriptor, self.format(_left_out(record, self._left_out))):
            self._left_out = 0
        if self._left_out or not self._writes(self._descriptor, self.format(record)):
            self._left_out += 1

    def _writes(self, descriptor: int, text: str) -> bool:
        """Write an event's lines (a traceback has many); return whether all were taken."""
        for line in text.split("\n"):
            if not self._poll.poll(0):
                return False
            try:
                os.write(descriptor, line.encode(errors="backslashreplace")[: _LINE_BYTES - 1] + b"\n")
            except OSError:
                return False
        return True


def _left_out(record: logging.LogRecord, count: int) -> logging.LogRecord:
    """Return what tells, at the time of another record, how many were left out before it."""
    note = logging.LogRecord(f"{_ROOT}.log", logging.WARNING, "", 0, "lines were not taken and left out", (), None)
    note.created, note.msecs, note.facts = record.created, record.msecs, {"count": count}
    return note


class _Line(logging.Formatter):
    _second = -1
    _told = ""

    def format(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:
            self._second, self._told = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        moment = f"{self._told}.{int(record.msecs):03d}Z"
        actor = record.name.removeprefix(_ROOT + ".")
        facts: dict[str, object] = getattr(record, "facts", {})
        words = [moment, record.levelname.lower(), actor, record.getMessage()]
        words += [f"{key}={_value(value)}" for key, value in facts.items() if value is not None]
        line = " ".join(words)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _value(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "..."
    return text if _PLAIN.match(text) else json.dumps(text)
