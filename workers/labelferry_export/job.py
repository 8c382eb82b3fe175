"""One export as its stages see it: the options, the snapshot, the bundle so far, what is left out, what was noticed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from labelferry_export.bundle.archive import Archive, EntryWriter, Mark
from labelferry_export.bundle.contents import Contents
from labelferry_export.bundle.packed import PackedFile
from labelferry_export.costs import Totals
from labelferry_export.findings import FindingLog, Warn
from labelferry_export.lanes import Lanes, Maker, Piece, Span, SpanTask, Task
from labelferry_export.model import Image, Instance, ProjectFacts
from labelferry_export.snapshot import Snapshot
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import OnError

FINDING_BYTES = 250


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A moment at which everything begun was finished: what a partial bundle is cut back to."""

    archive: Mark
    findings: int


@dataclass
class Finished:
    """What is complete in the bundle: how many images and overlays, and which formats and metrics."""

    images: int = 0
    overlays: int = 0
    formats: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)


@dataclass
class Reused:
    """How many results of tasks, one an image and task, were made, and how many had been made before and were found."""

    made: int = 0
    found: int = 0


class Job:
    """The state of one export. Stages read the project through it, so that an image that is left out is left out everywhere."""

    def __init__(
        self, options: ExportOptions, snapshot: Snapshot, staging: Path, lanes: Lanes, maker: Maker | None = None
    ) -> None:
        self.options = options
        self.snapshot = snapshot
        self.staging = staging
        self.lanes = lanes
        self.maker = maker or Maker()
        self.shelf = ""
        """The stage that is run, by which its results are kept."""
        self.at_hand_found = False
        """Whether what a stage does just now was done before, and only has to be taken in."""
        self.reused = Reused()
        self.archive = Archive(staging / "bundle.part", staging / "listing.part")
        self.findings = FindingLog(staging / "findings.part")
        self.left_out: set[int] = set()
        """Images that could not be exported, by id."""
        self.limit: int | None = None
        """So many images from the first on are exported; None is all."""
        self.partial = False
        self.sha256 = ""
        """The digest of the bundle, taken when it was read again."""
        self.contents = Contents()
        """What the bundle holds, counted while it is closed."""
        self.skipped = 0
        """Images left out because they could not be exported, while reading or since."""
        self.finished = Finished()
        self.checkpoint = Checkpoint(self.archive.mark(), len(self.findings))
        self.totals = totals_of(snapshot)

    @property
    def facts(self) -> ProjectFacts:
        """The project."""
        return self.snapshot.facts

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, in order: those of the options, or the project's own."""
        return self.facts.splits

    @property
    def skips(self) -> bool:
        """Whether an image that cannot be exported is left out, rather than the end of the job."""
        return self.options.on_error == OnError.SKIP

    @property
    def image_count(self) -> int:
        """How many images the snapshot has, those included that were left out since."""
        return self.totals.images if self.limit is None else min(self.limit, self.totals.images)

    def images(self, split: str | None = None) -> Iterator[Image]:
        """Yield the images that are exported, in order; those of one split, or all."""
        for position, image in enumerate(self.snapshot.images()):
            if self.limit is not None and position >= self.limit:
                return
            if image.id not in self.left_out and split in (None, image.split):
                yield image

    def instances(self, image: Image) -> Sequence[Instance]:
        """Return the objects of an image, in order."""
        return self.snapshot.instances(image.id)

    def spread(
        self, task: Task, split: str | None = None, wanted: Callable[[Image], bool] | None = None
    ) -> Iterator[tuple[Image, Iterator[Piece | None]]]:
        """Do a task on every image that is exported (every one of a split, or that is `wanted`), on all lanes at once; yield images and pieces in order.

        None among the pieces is a moment at which none is ready: a chance to stop.
        """
        images = filter(wanted, self.images(split)) if wanted else self.images(split)
        try:
            for image, pieces in self.lanes.spread(task, self.snapshot, images, self.maker, self.shelf):
                yield image, self._watched(pieces)
        finally:
            self.at_hand_found = False

    def spread_spans(self, task: SpanTask, spans: Iterable[Span]) -> Iterator[tuple[Span, Iterator[Piece | None]]]:
        """Do a task on stretches of a file, as `spread` does one on images."""
        return self.lanes.spread_spans(task, spans)

    def _watched(self, pieces: Iterator[Piece | None]) -> Iterator[Piece | None]:
        found = False
        for piece in pieces:
            if piece is not None:
                self.at_hand_found = found = piece.found
            yield piece
        self.reused.found += found
        self.reused.made += not found

    def found_of(self, shelf: str) -> float:
        """Return the share of a stage's results that an earlier attempt has left, 0 to 1."""
        counts = [count for name, count in self.maker.kept.items() if name.partition("/")[0] == shelf]
        return min(max(counts, default=0) / max(self.totals.images, 1), 1.0)

    def open(self, name: str) -> EntryWriter:
        """Begin a file of the bundle."""
        return self.archive.open(name)

    def add(self, file: PackedFile) -> None:
        """Put a file into the bundle that a task has packed."""
        self.archive.add_packed(file)

    def report(self, warn: Warn) -> None:
        """Keep a finding."""
        self.findings.add(warn)

    @property
    def findings_bytes(self) -> int:
        """About how long the findings are as text."""
        return FINDING_BYTES * (len(self.snapshot.log) + len(self.findings))

    def check_off(self) -> None:
        """Say that everything begun is finished: a partial bundle may be cut back to here."""
        self.checkpoint = Checkpoint(self.archive.mark(), len(self.findings))

    def suspend(self) -> None:
        """Let go of all lanes and files; what is in the files stays, as far as the disk took it."""
        self.lanes.close()
        self.maker.close()
        self.archive.abandon()
        with suppress(OSError):
            self.findings.close()
        self.snapshot.close()

    def resume(self) -> None:
        """Take the files up again, cut back to the last checkpoint."""
        self.snapshot = Snapshot(self.snapshot.path)
        self.archive.resume(self.checkpoint.archive)
        _keep_lines(self.findings.path, self.checkpoint.findings)
        self.findings = FindingLog(self.findings.path)


def totals_of(snapshot: Snapshot) -> Totals:
    """Return how much there is to export, as the costs are told."""
    known = snapshot.totals
    return Totals(
        images=known.images,
        objects=known.instances,
        megapixels=known.pixels / 1e6,
        megabytes=known.bytes / 1e6,
        full_megapixels=known.full_pixels / 1e6,
        converted=known.converted_pixels / max(known.full_pixels, 1),
    )


def _keep_lines(path: Path, count: int) -> None:
    if not path.exists():
        return
    with path.open("r+b") as lines:
        for _ in range(count):
            lines.readline()
        lines.truncate(lines.tell())
