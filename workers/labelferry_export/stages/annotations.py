"""The stage `annotations`: the formats, one after the other, each over the whole project."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from labelferry_export import formats
from labelferry_export.bundle.archive import EntryWriter
from labelferry_export.costs import Totals
from labelferry_export.findings import Warn
from labelferry_export.format import Cost, Format
from labelferry_export.job import Job
from labelferry_export.lanes import Piece, Task
from labelferry_export.lossiness import losses_of_project
from labelferry_export.model import Image, Instance, ProjectFacts
from labelferry_export.plan import Step
from labelferry_export.plugins import blamed
from labelferry_export.stage import StageWork
from labelferry_protocol.options import ExportOptions, FormatOption
from labelferry_protocol.words import Stage


@dataclass(frozen=True)
class FormatView:
    """A job as one format sees it."""

    job: Job
    format: Format
    options: Mapping[str, FormatOption]
    cost: Cost

    @property
    def facts(self) -> ProjectFacts:
        """The project, its categories in order with ids 1..K."""
        return self.job.facts

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in the order of the options."""
        return self.job.splits

    @property
    def has_images(self) -> bool:
        """Whether the bundle holds the image files."""
        return self.job.options.images

    def images(self, split: str | None = None) -> Iterator[Image]:
        """Yield the images that are exported, in order; those of one split, or all."""
        return self.job.images(split)

    def instances(self, image: Image) -> Sequence[Instance]:
        """Return the objects of an image, in order."""
        return self.job.instances(image)

    def pieces(self, task: Task, split: str | None = None) -> Iterator[tuple[Image, Piece, Step]]:
        """Do a task on every image; yield its pieces in order, each with its step. Findings are kept."""
        for image, pieces in self.job.spread(task, split):
            for piece in pieces:
                if piece is None:
                    yield image, Piece(), Step(0.0, f"Writing {self.format.name}", image.bundle_name, 0)
                    continue
                for warn in piece.findings:
                    self.report(warn)
                yield image, piece, self.step(image, piece.objects, piece.last)

    def files(self, task: Task) -> Iterator[Step]:
        """Do a task whose pieces are files on every image; put them into the bundle, in order."""
        for _, piece, step in self.pieces(task):
            if piece.file:
                self.job.add(piece.file)
            yield step

    def open(self, name: str) -> EntryWriter:
        """Begin a file of the bundle."""
        return self.job.open(name)

    def report(self, warn: Warn) -> None:
        """Keep a finding."""
        self.job.report(warn)

    def step(self, image: Image, objects: int, last: bool = True) -> Step:
        """Return the unit of work that so many objects of an image were."""
        return Step(self.cost.of(int(last), objects), f"Writing {self.format.name}", image.bundle_name, int(last))


def wanted(options: ExportOptions) -> list[str]:
    """Return the names of the formats, once each, in the order they were asked for."""
    return list(dict.fromkeys(options.formats))


def cost(options: ExportOptions, totals: Totals) -> float:
    """Return what all formats cost, ms."""
    each_cost = (formats.cost(name, options.format_options) for name in wanted(options))
    return sum(each.of(totals.images, totals.objects) for each in each_cost)


def run(job: Job) -> Generator[Step, None, None]:
    """Write every format that is not written yet."""
    for name in wanted(job.options):
        if name in job.finished.formats:
            continue
        each = formats.find(name)
        values = formats.resolve(each, job.options.format_options.get(name, {}))
        view = FormatView(job, each, values, each.cost_of(values))
        with blamed(formats.NOUN, name, formats.origin(name)):
            yield from each.write(view)
        for warn in losses_of_project(name, each.lossiness, job.facts):
            job.report(warn)
        job.finished.formats.append(name)
        job.check_off()


STAGE = StageWork(
    "annotations", Stage.ANNOTATIONS, cost, lambda job: len(wanted(job.options)) * job.image_count, run, spread=0.85
)
