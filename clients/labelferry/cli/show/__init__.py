"""How events reach whoever looks: as JSON lines, as a live bar on a terminal, or as plain lines anywhere else."""

import os
import sys
from typing import Protocol

from labelferry_protocol.events import JobEvent


class Show(Protocol):
    """What a command tells about a job while it runs."""

    def event(self, event: JobEvent) -> None:
        """Show one event; the terminal one ends the show with its summary."""

    def say(self, sentence: str) -> None:
        """Tell a person something that is no event."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def show_for(*, as_json: bool) -> Show:
    """Return the show that fits: JSON when asked for, the bar when stderr is a terminal that can redraw, plain lines otherwise."""
    if as_json:
        from labelferry.cli.show.json_lines import JsonLines

        return JsonLines()
    if sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        from labelferry.cli.show.bar import Bar

        return Bar()
    from labelferry.cli.show.plain import Plain

    return Plain()
