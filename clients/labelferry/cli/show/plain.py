"""Events as plain lines on stderr, for logs and pipes: a line at each stage and each ten points, and where nothing moves."""

import click

from labelferry.cli.show.words import ending_in_words, time_in_words
from labelferry_protocol.events import Cancelled, Completed, Failed, JobEvent, Progress, Started, overall


class Plain:
    """A show where nothing can be redrawn."""

    def __init__(self) -> None:
        self._shown: tuple[object, object, int, str] | None = None

    def event(self, event: JobEvent) -> None:
        """Print the event, if it is time for a line."""
        if isinstance(event, Started):
            click.echo(
                f"Exporting {event.project} on {event.worker}"
                + (f" (attempt {event.attempt})" if event.attempt > 1 else ""),
                err=True,
            )
            self._shown = None
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Completed | Failed | Cancelled):
            for line in ending_in_words(event):
                click.echo(line, err=True)

    def say(self, sentence: str) -> None:
        """Print a sentence."""
        click.echo(sentence, err=True)

    def close(self) -> None:
        """Nothing to leave."""

    def _progress(self, event: Progress) -> None:
        now = (event.phase, event.stage, int(event.progress) // 10, event.message if event.stalled else "")
        if now == self._shown:
            return
        self._shown = now
        left = (
            "" if event.estimated_time_remaining is None else f", {time_in_words(event.estimated_time_remaining)} left"
        )
        click.echo(f"{overall(event.progress, event.phase):3.0f} %  {event.message}{left}", err=True)
