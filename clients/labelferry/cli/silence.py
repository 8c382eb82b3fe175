"""What a command that follows a job says when nothing is heard of the broker any more, and when it is again."""

from collections.abc import Callable
from typing import Protocol

import click

SILENT_SECONDS = 5.0
"""A beat comes each second: after so long without one the way to the broker is cut, or the broker has gone."""


class Listens(Protocol):
    """The part of a client that this looks at."""

    @property
    def silence(self) -> float:
        """Seconds without a word of the broker."""


class Silence:
    """Looks at a client before each of its waits (`look` is its vigil); says so once when a silence begins, and once when it ends."""

    def __init__(self) -> None:
        self.client: Listens | None = None
        self.say: Callable[[str], None] = lambda sentence: click.echo(sentence, err=True)
        self._told = False

    def look(self) -> None:
        """Say what has changed."""
        silent = self.client is not None and self.client.silence >= SILENT_SECONDS
        if silent and not self._told:
            self.say(f"Nothing is heard of the broker for {SILENT_SECONDS:.0f} s: trying to reach it again")
        elif self._told and not silent:
            self.say("The broker answers again")
        self._told = silent
