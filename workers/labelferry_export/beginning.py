"""How an export comes by the snapshot that it works from, told unit by unit: it reads the project, or takes up an earlier attempt's."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from labelferry_export import costs
from labelferry_export.job import totals_of
from labelferry_export.lanes import Lanes
from labelferry_export.past import Past
from labelferry_export.plan import Meter, Planned, Step, Update
from labelferry_export.reading.project import read_project
from labelferry_export.snapshot import Snapshot
from labelferry_export.stage import StageWork
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Stage

LANES_WORTH = 2000.0
"""A job that costs less (ms, as planned) is done before lanes would be of use."""
READING = "reading"
READING_VERB = "Reading project"
SNAPSHOT = "snapshot.part"

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Beginning:
    """What is done before the stages."""

    source: Path
    options: ExportOptions
    staging: Path
    roots: Sequence[Path]
    lanes: Lanes

    def first_plan(self, stages: Sequence[StageWork]) -> dict[str, Planned]:
        """Return a plan for a project that nothing is known of yet: right in its shares, as far as the options tell."""
        plan = {READING: Planned(Stage.IMAGES, costs.reading(costs.TYPICAL), 0)}
        typical = costs.TYPICAL
        return plan | {
            each.name: Planned(each.stage, each.cost_with(self.lanes, self.options, typical), 0) for each in stages
        }

    def take_up(self, meter: Meter, stages: Sequence[StageWork], past: Past) -> Generator[Update, None, Snapshot]:
        """Return the snapshot of an attempt before this one; read the project where there is none, or it has changed since."""
        path = self.staging / SNAPSHOT
        kept = yield from _told(meter, "Resuming", past.snapshot(path))
        if isinstance(kept, Snapshot):
            meter.close(READING)
            return kept
        if kept is not None:
            yield from meter.advance(READING, Step(0.0, "The project has changed and is read again", kept.image, 0))
        snapshot = yield from self.read(meter, stages, early=not past.is_hopeful)
        cost = cost_of(self.options, totals_of(snapshot), stages)
        yield from _told(meter, READING_VERB, past.leave(snapshot, cost))
        return snapshot

    def read(
        self, meter: Meter, stages: Sequence[StageWork], *, early: bool = True
    ) -> Generator[Update, None, Snapshot]:
        """Read the project; start lanes `early`, as soon as it is known to be worth them."""
        cost = costs.reading(costs.TYPICAL)
        stages_cost = cost_of(self.options, costs.TYPICAL, stages)
        yield from meter.advance(READING, Step(0.0, READING_VERB, self.source.name, 0))
        reading = read_project(self.source, self.options, self.staging / SNAPSHOT, self.roots)
        current, fraction = 0, 0.0
        with closing(reading):
            while True:
                try:
                    each = next(reading)
                except StopIteration as end:
                    snapshot: Snapshot = end.value
                    meter.close(READING)
                    return snapshot
                meter.replan({READING: Planned(Stage.IMAGES, cost, each.total or 0)})
                step = Step(cost * (each.fraction - fraction), READING_VERB, each.item, each.current - current)
                yield from meter.advance(READING, step)
                current, fraction = each.current, each.fraction
                # Started early, lanes are ready when there is work for them: what they import takes some time.
                known = stages_cost * (each.total or 0) / costs.TYPICAL.images
                if early and not self.lanes.running and worth_lanes(known):
                    self.lanes.start()
                    meter.replan(self.first_plan(stages))


def worth_lanes(cost: float) -> bool:
    """Whether a job that costs so much (ms) is worth lanes."""
    return cost >= LANES_WORTH


def cost_of(options: ExportOptions, totals: costs.Totals, stages: Sequence[StageWork]) -> float:
    """Return what the stages cost together, ms."""
    return sum(each.cost(options, totals) for each in stages)


def _told(meter: Meter, verb: str, work: Generator[None, None, _Made]) -> Generator[Update, None, _Made]:
    """Do something that is no part of the plan, with an update wherever it can be stopped; return what it returns."""
    with closing(work):
        while True:
            try:
                next(work)
            except StopIteration as end:
                made: _Made = end.value
                return made
            yield from meter.advance(READING, Step(0.0, verb, "", 0))
