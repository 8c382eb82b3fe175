"""The seam of the engine: one export, from a project to a bundle, told unit by unit. The worker's child and library users call this.

A caller iterates `Exporter.run` and may stop between two updates by closing it. Everything lies in the staging directory until
the bundle is whole; removing that directory removes every trace.
"""

import errno
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from labelferry_export import costs
from labelferry_export.beginning import READING, Beginning, cost_of, worth_lanes
from labelferry_export.bundle.contents import Contents
from labelferry_export.catalogue import catalogue
from labelferry_export.check import check
from labelferry_export.errors import ExportError
from labelferry_export.faults import said_plainly
from labelferry_export.findings import Finding, Warn
from labelferry_export.job import Job, Reused, totals_of
from labelferry_export.keeping.settings import NO_REUSE, Reuse
from labelferry_export.lanes import MOST_LANES, Lanes
from labelferry_export.past import Past
from labelferry_export.plan import Meter, Planned, Step, Update
from labelferry_export.plugins import blamed
from labelferry_export.preview import Preview, preview_of
from labelferry_export.result import ExportResult, result_of
from labelferry_export.stage import StageWork
from labelferry_export.stages import NOUN, annotations, compression, in_order, others
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Stage

__all__ = ["ExportResult", "Exporter", "Preview", "Update", "catalogue", "check"]


class Exporter:
    """One export of the project at `source` into the zip at `target`.

    `staging` is an existing directory that is this export's own; `target` may lie in it, and is only there when the bundle is
    whole. Nothing is read outside of `roots`. `clock` counts seconds and never runs backwards. `lanes` processes beside this one work
    on the images of a job that is worth it (None: one a core, 8 at most; 1: none); the bundle's bytes do not depend on it, nor on what is
    reused of earlier work. What `reuse` names is the caller's to remove.
    """

    def __init__(
        self,
        source: Path,
        target: Path,
        options: ExportOptions,
        *,
        staging: Path,
        roots: Sequence[Path],
        clock: Callable[[], float],
        lanes: int | None = None,
        reuse: Reuse = NO_REUSE,
    ) -> None:
        self._target = target
        self._options = options
        self._staging = staging
        self._clock = clock
        self._lanes = Lanes(min(os.cpu_count() or 1, MOST_LANES) if lanes is None else lanes)
        self._past = Past(reuse, source, options, roots)
        self._beginning = Beginning(source, options, staging, roots, self._lanes)
        self._job: Job | None = None
        self._result: ExportResult | None = None

    @property
    def result(self) -> ExportResult:
        """What was made; there when `run` has ended by itself, or `pack_partial` has returned."""
        if self._result is None:
            raise RuntimeError("an export has no result before it has ended")
        return self._result

    @property
    def reused(self) -> Reused:
        """How many results were made, and how many were found, so far."""
        return Reused() if self._job is None else self._job.reused

    def run(self) -> Generator[Update, None, None]:
        """Make the bundle, an update after every unit of work. Raises `ExportError` and nothing else."""
        with said_plainly(self._staging):
            try:
                self._check()
                stages = self._stages()
                meter = Meter(self._beginning.first_plan(stages), self._clock, self._past.reached)
                hopeful = self._past.is_hopeful
                snapshot = yield from self._beginning.take_up(meter, stages, self._past)
                cost = cost_of(self._options, totals_of(snapshot), stages)
                maker = self._past.maker(cost, totals_of(snapshot))
                job = self._job = Job(self._options, snapshot, self._staging, self._lanes, maker)
                for problem in others().problems:
                    job.report(Warn(code=Finding.OTHER, message=problem.message))
                if job.image_count > 1 and worth_lanes(sum(each.planned(job).left for each in stages)):
                    self._lanes.start(on_demand=hopeful and not self._lanes.running)
                _replan(meter, job, stages)
                yield from _resumed(meter, job, stages)
                for stage in stages:
                    yield from _run(stage, job, meter)
                *climb, arrived = meter.arrive(compression.STAGE.name, Step(0.0, compression.VERB, ""))
                yield from climb
                self._result = self._publish(job)
                yield arrived
            finally:
                self._lanes.close()
                if self._job is not None:
                    self._job.suspend()

    def preview(self) -> Generator[Update, None, Preview]:
        """Read the project and write the formats on trial; return what the export would make. No bundle is made.

        Yields updates as `run` does, and returns at the end (the value of `yield from`). Overlays and tables are not made, so a picture
        whose pixels are broken is not found. Raises `ExportError` and nothing else; `staging` is the caller's to remove.
        """
        with said_plainly(self._staging):
            try:
                self._check()
                stages = [each for each in self._stages() if each.stage is Stage.ANNOTATIONS]
                meter = Meter(self._beginning.first_plan(stages), self._clock)
                snapshot = yield from self._beginning.read(meter, stages)
                job = self._job = Job(self._options, snapshot, self._staging, self._lanes)
                _replan(meter, job, stages)
                for stage in stages:
                    yield from _run(stage, job, meter)
                made = preview_of(job, _counted(job), compression.skipped(job), job.archive.offset)
                last = stages[-1].name if stages else READING
                yield from meter.arrive(last, Step(0.0, "Looking ahead", ""))
                return made
            finally:
                self._lanes.close()
                if self._job is not None:
                    self._job.suspend()
                    self._job = None

    def pack_partial(self) -> ExportResult | None:
        """After `run` was stopped: make a bundle of the images that are finished, or return None when none is.

        The formats are written for exactly these images; overlays and metrics are those that were complete. The manifest says
        that it is partial, unless all of it was made and only the closing was stopped. Raises `ExportError` and nothing else.
        """
        job = self._job
        if job is None or self._result is not None:
            return self._result
        with said_plainly(self._staging):
            if self._options.images:
                job.limit = job.finished.images
            if job.image_count <= len(job.left_out):
                return None
            job.partial = job.shelf != compression.STAGE.name
            try:
                job.resume()
                for stage in (annotations.STAGE, compression.STAGE):
                    job.shelf = stage.name
                    for _ in stage.run(job):
                        pass
                self._result = self._publish(job)
            finally:
                job.suspend()
        return self._result

    def _stages(self) -> list[StageWork]:
        typical = costs.TYPICAL
        return [stage for stage in in_order() if stage.cost(self._options, typical) > 0]

    def _check(self) -> None:
        check(self._options)
        for folder in {self._staging, self._target.parent}:
            if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
                raise ExportError(
                    Code.OUTPUT,
                    f"the folder {folder} is not there or cannot be written to: make it, or choose another",
                    str(folder),
                )

    def _publish(self, job: Job) -> ExportResult:
        made = job.archive.path
        try:
            made.replace(self._target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_over(made, self._target)
        return result_of(job, self._target)


def _replan(meter: Meter, job: Job, stages: Sequence[StageWork]) -> None:
    meter.replan(
        {READING: Planned(Stage.IMAGES, costs.reading(job.totals), job.totals.images)}
        | {each.name: each.planned(job) for each in stages}
    )


def _resumed(meter: Meter, job: Job, stages: Sequence[StageWork]) -> Iterator[Update]:
    """Say how far an earlier attempt had come."""
    for stage in reversed(stages):
        done = round(job.found_of(stage.name) * job.totals.images)
        if done:
            yield meter.say(stage.name, f"Resuming: {done} of {job.totals.images} images are done", done)
            return


def _run(stage: StageWork, job: Job, meter: Meter) -> Iterator[Update]:
    meter.replan({stage.name: stage.planned(job)})
    job.shelf = stage.name
    job.check_off()
    guest = others().origins.get(stage.name)
    # Steps say what they cost alone, as the plan does before lanes take their share of it.
    waited = stage.waited(job.lanes)
    with blamed(NOUN, stage.name, guest), closing(stage.run(job)) as steps:
        for step in steps:
            yield from meter.advance(stage.name, replace(step, cost=step.cost * waited, found=job.at_hand_found))
    meter.close(stage.name)


def _counted(job: Job) -> Contents:
    """Count what would be in the bundle: at once, as no image was left out since the project was read."""
    counting = compression.count(job)
    while True:
        try:
            next(counting)
        except StopIteration as end:
            contents: Contents = end.value
            return contents


def _copy_over(made: Path, target: Path) -> None:
    """Bring a file to another file system: under a name of its own first, so that `target` is whole or not there."""
    beside = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(made, beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    made.unlink()
