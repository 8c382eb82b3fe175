"""What a stage is. To add one: a file in `stages/` and its place in the order there, or a package with an entry point."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from labelferry_export.costs import Totals
from labelferry_export.job import Job
from labelferry_export.lanes import Lanes
from labelferry_export.plan import FOUND_SHARE, Planned, Step
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Stage


@dataclass(frozen=True)
class StageWork:
    """A stage: as which of the protocol's stages it is told, what it costs (ms), how many items it has, and how it is done.

    `cost` is asked before the project is read, too, with typical totals; a stage that costs 0 is not run. `run` yields a step
    after every unit; the caller may stop between two, so nothing else is begun between the end of a unit and its yield.
    """

    name: str
    stage: Stage
    cost: Callable[[ExportOptions, Totals], float]
    total: Callable[[Job], int]
    run: Callable[[Job], Generator[Step, None, None]]
    spread: float = 0.0
    """The share of its cost that tasks on images are: lanes take it off this process where there are some, and divide it among them."""

    def planned(self, job: Job) -> Planned:
        """Return this stage's part of the plan, now that the project is known."""
        cost = self.cost_with(job.lanes, job.options, job.totals)
        tasks = self.cost(job.options, job.totals) * self.spread / job.lanes.cores
        return Planned(self.stage, cost, self.total(job), tasks * job.found_of(self.name) * (1 - FOUND_SHARE))

    def cost_with(self, lanes: Lanes, options: ExportOptions, totals: Totals) -> float:
        """Return what the stage costs with the lanes that run, ms of waiting for it."""
        return self.cost(options, totals) * self.waited(lanes)

    def waited(self, lanes: Lanes) -> float:
        """Return the share of a cost that is waited for with the lanes that run: of the stage as a whole, and of every step."""
        return 1 - self.spread + self.spread / lanes.cores
