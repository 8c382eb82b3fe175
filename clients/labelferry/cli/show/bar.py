"""The live bar: both phases, the stage, the item at hand, the rate and the time left, on a terminal."""

import time
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from labelferry.cli.show.words import ending_in_words, size_in_words, time_in_words
from labelferry_protocol.events import Cancelled, Completed, Failed, JobEvent, PhaseChanged, Progress, Started
from labelferry_protocol.words import Phase

FRAMES_A_SECOND = 12
QUIET_SECONDS = 10.0
"""After so long without an event a job that runs is said to be quiet: its worker is, or the way to it is cut."""
WIDE = 76
"""So many columns leave room for a bar; with fewer, the numbers come first."""
NAMES = {Phase.PROCESSING: "Processing", Phase.DOWNLOADING: "Downloading"}


class Pace:
    """How fast a stage goes: items (or bytes) a second since it began."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stage: object = None
        self._since = 0.0
        self._first = 0

    def of(self, event: Progress) -> float | None:
        """Return the rate at this event; None while there is too little to say it."""
        now, current = self._clock(), event.stage_progress.current
        if (event.phase, event.stage) != self._stage or current < self._first:
            self._stage, self._since, self._first = (event.phase, event.stage), now, current
        passed = now - self._since
        return (current - self._first) / passed if passed > 0.3 and current > self._first else None


class Bar:
    """A show on a terminal; what it draws while the job runs gives way to the summary at its end."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._pace = Pace(clock)
        self._clock = clock
        self._heard = clock()
        self._began = False
        self._percent = dict.fromkeys(Phase, 0.0)
        self._facts = dict.fromkeys(Phase, "")
        self._headline = Text("Waiting for a worker")
        self._message = Text("")
        self._note = Text("")
        self._live = Live(
            get_renderable=self._draw, console=self._console, refresh_per_second=FRAMES_A_SECOND, transient=True
        )
        self._live.start()

    def event(self, event: JobEvent) -> None:
        """Take one event into the picture."""
        self._heard = self._clock()
        if isinstance(event, Started):
            self._began = True
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            self._headline = Text(f"Exporting {event.project}{again}", style="bold")
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, PhaseChanged):
            self._percent[event.previous] = 100.0
            self._facts[event.previous] = "done"
        elif isinstance(event, Completed | Failed | Cancelled):
            self._end(event)

    def say(self, sentence: str) -> None:
        """Show a sentence below the bars."""
        if self._live.is_started:
            self._note = Text(sentence, style="bold yellow")
            self._live.refresh()
        else:
            self._console.print(Text(sentence))

    def close(self) -> None:
        """Take the bars away."""
        self._live.stop()

    def _progress(self, event: Progress) -> None:
        self._percent[event.phase] = event.progress
        rate, done = self._pace.of(event), event.stage_progress
        facts = []
        if event.stage is not None and event.stage != "compression":
            facts.append(f"{event.stage} {done.current:,}/{done.total:,}")
            facts += [f"{rate:,.0f}/s"] if rate else []
        else:
            facts.append(f"{size_in_words(done.current)} of {size_in_words(done.total)}")
            facts += [f"{size_in_words(round(rate))}/s"] if rate else []
        if event.estimated_time_remaining is not None:
            facts.append(f"{time_in_words(event.estimated_time_remaining)} left")
        self._facts[event.phase] = "  ".join(facts)
        self._message = Text(event.message, style="dim", no_wrap=True, overflow="ellipsis")

    def _draw(self) -> Group:
        note = [self._note] if self._note else []
        quiet = self._clock() - self._heard
        if quiet >= QUIET_SECONDS and self._began:
            note.append(Text(f"Nothing new for {time_in_words(quiet)}", style="yellow"))
        if self._console.width < WIDE:
            return Group(self._headline, *map(self._line, Phase), self._message, *note)
        table = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None, None):
            table.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
        for phase in Phase:
            percent = self._percent[phase]
            bar = ProgressBar(total=100, completed=percent, complete_style="cyan", finished_style="green")
            table.add_row(NAMES[phase], bar, f"{percent:3.0f} %", Text(self._facts[phase]))
        return Group(self._headline, table, self._message, *note)

    def _line(self, phase: Phase) -> Text:
        line = f"{NAMES[phase]:<11} {self._percent[phase]:3.0f} %  {self._facts[phase]}"
        return Text(line, no_wrap=True, overflow="ellipsis")

    def _end(self, event: Completed | Failed | Cancelled) -> None:
        self._live.stop()
        style = {Completed: "bold green", Failed: "bold red", Cancelled: "bold yellow"}[type(event)]
        for number, line in enumerate(ending_in_words(event)):
            self._console.print(Text(line, style=style if number == 0 else ""), soft_wrap=True)
