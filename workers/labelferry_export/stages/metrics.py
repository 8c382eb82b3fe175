"""The stage `metrics`: every object is measured once, then each writer makes its tables of it."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from labelferry_export import tables
from labelferry_export.bundle.archive import EntryWriter
from labelferry_export.costs import Totals
from labelferry_export.findings import Warn
from labelferry_export.job import Job
from labelferry_export.lanes import Piece, Span, SpanTask
from labelferry_export.plan import Step
from labelferry_export.plugins import blamed
from labelferry_export.stage import StageWork
from labelferry_export.tables import MEASURING, Measurements, MetricWriter
from labelferry_protocol.options import ExportOptions, FormatOption
from labelferry_protocol.words import Stage


@dataclass(frozen=True)
class TableView:
    """A job as one writer of tables sees it."""

    job: Job
    options: Mapping[str, FormatOption]

    def open(self, name: str) -> EntryWriter:
        """Begin a file of the bundle."""
        return self.job.open(name)

    def spread_spans(self, task: SpanTask, spans: Iterable[Span]) -> Iterator[tuple[Span, Iterator[Piece | None]]]:
        """Do a task on stretches of a file."""
        return self.job.spread_spans(task, spans)

    def report(self, warn: Warn) -> None:
        """Keep a finding."""
        self.job.report(warn)


def wanted(options: ExportOptions) -> list[str]:
    """Return the names of the writers, once each, in the order they were asked for."""
    return list(dict.fromkeys(options.metrics))


def cost(options: ExportOptions, totals: Totals) -> float:
    """Return what measuring and all writers cost, ms; 0 where no table is wanted."""
    costs = [tables.find(name).cost for name in wanted(options)]
    return sum(each.of(totals.images, totals.objects) for each in (*costs, MEASURING)) if costs else 0.0


def total(job: Job) -> int:
    """Return how many objects are measured and written, counted anew by every writer."""
    return job.totals.objects * (1 + len(wanted(job.options)))


def run(job: Job) -> Generator[Step, None, None]:
    """Measure, then write."""
    folder = job.staging / "metrics"
    folder.mkdir(exist_ok=True)
    measurements = Measurements(folder, job.facts.categories, job.options.scale)
    try:
        yield from _measure(job, measurements)
        for name in wanted(job.options):
            yield from _write(job, tables.find(name), measurements)
            job.finished.metrics.append(name)
            job.check_off()
    finally:
        measurements.close()


def _measure(job: Job, measurements: Measurements) -> Generator[Step, None, None]:
    verb = "Measuring objects"
    for image, pieces in job.spread(measurements.task):
        for piece in pieces:
            if piece is None:
                yield Step(0.0, verb, image.bundle_name, 0)
                continue
            measurements.take(piece)
            yield Step(MEASURING.of(int(piece.last), piece.objects), verb, image.bundle_name, piece.objects)
    for _ in measurements.finish():
        yield Step(0.0, verb, "", 0)


def _write(job: Job, writer: MetricWriter, measurements: Measurements) -> Generator[Step, None, None]:
    an_object = writer.cost.of(measurements.images, measurements.objects) / max(measurements.objects, 1)
    with blamed(tables.NOUN, writer.name, tables.origin(writer.name)):
        view = TableView(job, tables.resolve(writer, job.options.metric_options.get(writer.name, {})))
        for objects in writer.write(view, measurements):
            yield Step(an_object * objects, f"Writing {writer.name} tables", "", objects)


STAGE = StageWork("metrics", Stage.METRICS, cost, total, run, spread=0.85)
