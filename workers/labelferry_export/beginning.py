"""How an export comes by the snapshot that it works from, told unit by unit: it reads the project, or takes up an earlier attempt's."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from labelferry_export import costs
from labelferry_export.job import totals_of
from labelferry_export.lanes import Lanes
from labelferry_export.past import Past
from labelferry_export.paths import check_access
from labelferry_export.plan import Meter, Planned, Step, Update
from labelferry_export.reading.project import read_project
from labelferry_export.snapshot import Snapshot
from labelferry_export.stage import StageWork
from labelferry_export.unpacking.packed_project import PackedProject, find_project, is_packed, opened_project
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Stage

LANES_WORTH = 2000.0
"""A job that costs less (ms, as planned) is done before lanes would be of use."""
READING = "reading"
READING_VERB = "Reading project"
UNPACKING = "unpacking"
UNPACKING_VERB = "Unpacking project"
UNPACKED = "unpacked.part"
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

    def first_plan(self, stages: Sequence[StageWork], taken_for: costs.Totals = costs.TYPICAL) -> dict[str, Planned]:
        """Return a plan for a project that nothing is known of yet: right in its shares, as far as the options tell."""
        plan = {READING: Planned(Stage.IMAGES, costs.reading(taken_for), 0)}
        return plan | {
            each.name: Planned(each.stage, each.cost_with(self.lanes, self.options, taken_for), 0) for each in stages
        }

    def take_up(self, meter: Meter, stages: Sequence[StageWork], past: Past) -> Generator[Update, None, Snapshot]:
        """Return the snapshot of an attempt before this one; read the project where there is none, or it has changed since."""
        path = check_access(self.source, self.roots)
        early = not past.is_hopeful
        if is_packed(path, self.options.source_format):
            # What was unpacked went with the attempt that did it, so its snapshot would lead nowhere.
            return (yield from self._read_packed(path, meter, stages, early=early))
        kept = yield from _told(meter, "Resuming", past.snapshot(self.staging / SNAPSHOT))
        if isinstance(kept, Snapshot):
            meter.close(READING)
            return kept
        if kept is not None:
            verb = "The project has changed and is read again"
            yield from meter.advance(READING, Step(0.0, verb, kept.image, 0, notable=True))
        snapshot = yield from self._read(self.source, meter, stages, early=early)
        cost = cost_of(self.options, totals_of(snapshot), stages)
        yield from _told(meter, READING_VERB, past.leave(snapshot, cost))
        return snapshot

    def read(self, meter: Meter, stages: Sequence[StageWork]) -> Generator[Update, None, Snapshot]:
        """Read the project, unpacked first if it is a zip; start lanes as soon as it is known to be worth them."""
        path = check_access(self.source, self.roots)
        if is_packed(path, self.options.source_format):
            return (yield from self._read_packed(path, meter, stages, early=True))
        return (yield from self._read(self.source, meter, stages, early=True))

    def _read_packed(
        self, path: Path, meter: Meter, stages: Sequence[StageWork], *, early: bool
    ) -> Generator[Update, None, Snapshot]:
        """Unpack the zip at a resolved path and read the project in it."""
        with opened_project(path) as packed:
            yield from self._unpack(packed, meter, stages)
        folder = find_project(packed.folder_in(self.staging / UNPACKED), path, self.options.source_format)
        taken_for = packed.taken_for
        return (yield from self._read(folder, meter, stages, early=early, taken_for=taken_for))

    def _unpack(self, packed: PackedProject, meter: Meter, stages: Sequence[StageWork]) -> Iterator[Update]:
        cost = costs.unpacking(packed.files, packed.size / 1e6)
        meter.replan(self.first_plan(stages, packed.taken_for) | {UNPACKING: Planned(Stage.IMAGES, cost, packed.files)})
        yield from meter.advance(UNPACKING, Step(0.0, UNPACKING_VERB, self.source.name, 0))
        with closing(packed.unpack(self.staging / UNPACKED)) as pieces:
            for piece in pieces:
                cost = costs.unpacking(piece.whole, piece.size / 1e6)
                yield from meter.advance(UNPACKING, Step(cost, UNPACKING_VERB, piece.name, piece.whole))
        meter.close(UNPACKING)

    def _read(
        self,
        source: Path,
        meter: Meter,
        stages: Sequence[StageWork],
        *,
        early: bool,
        taken_for: costs.Totals = costs.TYPICAL,
    ) -> Generator[Update, None, Snapshot]:
        """Read the project at `source`; start lanes `early`, as soon as it is known to be worth them."""
        cost = costs.reading(taken_for)
        stages_cost = cost_of(self.options, costs.TYPICAL, stages)
        yield from meter.advance(READING, Step(0.0, READING_VERB, source.name, 0))
        roots = self.roots if source is self.source else (source, *self.roots)
        reading = read_project(source, self.options, self.staging / SNAPSHOT, roots)
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
                    meter.replan(self.first_plan(stages, taken_for))


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
