"""What Ctrl-C, SIGTERM and a closed terminal mean: the first asks to cancel and waits for the confirmation, the second leaves at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Self

import click

from labelferry.cli.signals import raise_on_signals, stops
from labelferry.errors import Interrupted
from labelferry_protocol.errors import EXIT_CANCELLED, EXIT_INTERRUPTED


@contextmanager
def looking_on(sentence: str) -> Iterator[None]:
    """Let Ctrl-C end a command that only looks on or waits, with `sentence` and an exit code that says nothing of the job."""
    raise_on_signals()
    try:
        yield
    except KeyboardInterrupt as interrupt:
        click.echo(sentence, err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from interrupt


class Stopper:
    """Holds the signals while open. `aim` says what a first one cancels; before that it is only remembered.

    When the end is known they are ignored (`ignore_signals`), and stay so.

    `hangup`: SIGHUP is one of them, unless it is passed over (nohup).
    """

    def __init__(self, *, hangup: bool = False) -> None:
        self.asked = False
        self._cancel: Callable[[], None] | None = None
        self._say: Callable[[str], None] = lambda sentence: click.echo(sentence, err=True)
        self._before = {number: signal.getsignal(number) for number in stops(hangup=hangup)}

    def __enter__(self) -> Self:
        for number in self._before:
            signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)

    def aim(self, cancel: Callable[[], None], say: Callable[[str], None]) -> None:
        """From now on a signal calls `cancel`, and `say` with a word at once; at once if one came already."""
        self._cancel, self._say = cancel, say
        if self.asked:
            cancel()

    def check(self) -> None:
        """Raise `Interrupted` if a signal came: for waits that nothing else ends."""
        if self.asked:
            raise Interrupted("Cancelled before the job began; nothing is left behind.")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            # What holds the embedded service are locks that end with this process; its host then stops and cleans up.
            os._exit(EXIT_CANCELLED)
        self.asked = True
        if self._cancel is not None:
            self._cancel()
        with suppress(OSError):
            self._say("Cancelling...")
