"""Events as JSON, one compact line each on stdout: `kind` first, then the event's own keys."""

import sys
from typing import Any

import click
import msgspec

from labelferry_protocol import codec
from labelferry_protocol.events import JobEvent
from labelferry_protocol.message import Message


def line_of(message: Message) -> str:
    """Return a message as one line of JSON."""
    plain = codec.plain(message)
    return msgspec.json.encode({"kind": plain.pop("kind"), **plain}).decode()


def print_json(value: Any) -> None:
    """Write one JSON line to stdout and flush it, so that a reader sees it at once."""
    line = line_of(value) if isinstance(value, Message) else msgspec.json.encode(value).decode()
    click.echo(line)
    sys.stdout.flush()


class JsonLines:
    """A show for programs."""

    def event(self, event: JobEvent) -> None:
        """Print the event."""
        print_json(event)

    def say(self, sentence: str) -> None:
        """Tell a person, on stderr: stdout is for events alone."""
        click.echo(sentence, err=True)

    def close(self) -> None:
        """Nothing to leave."""
