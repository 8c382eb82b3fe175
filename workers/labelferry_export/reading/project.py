"""Reads a project, whatever its form, into the one snapshot that a job works from."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.model import ProjectFacts
from labelferry_export.options_check import check_options
from labelferry_export.paths import check_access
from labelferry_export.plugins import blamed
from labelferry_export.reading.complaints import Complaints
from labelferry_export.reading.intake import Intake, Wanted
from labelferry_export.reading.settling import Settling
from labelferry_export.reading.snapshot_writer import SnapshotWriter
from labelferry_export.selection import Selection
from labelferry_export.selection.classes import Classes
from labelferry_export.selection.gaps import gaps
from labelferry_export.selection.listed import Lists, lists_path
from labelferry_export.selection.splits import Splits
from labelferry_export.snapshot import Snapshot
from labelferry_export.source import Source
from labelferry_export.sources import NOUN, origin, recognise
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

NAMES_SHOWN = 3
READING_SHARE = 0.5
"""Of the time that a project takes, the part before its images are looked at one by one."""


@dataclass(frozen=True)
class ReadStep:
    """How far the reading is: images settled of all, and `fraction`, 0 to 1, of the whole. `item` is the image at hand."""

    current: int
    total: int | None
    fraction: float
    item: str = ""


def read_project(
    source_path: Path, options: ExportOptions, snapshot_path: Path, roots: Sequence[Path]
) -> Generator[ReadStep, None, Snapshot]:
    """Read the project at `source_path` into a new snapshot file, in steps of some milliseconds; return the snapshot.

    Nothing is read that does not lie below one of `roots`. Raises `ExportError`, and `OSError` or `sqlite3.Error` where the snapshot cannot
    be written; stopped early or failed, it leaves files at `snapshot_path` and beside it for the caller to remove.
    """
    check_options(options)
    path = check_access(source_path, roots)
    request = _Request(recognise(path, options.source_format), path, options, roots)
    with (
        closing(Lists(options, lists_path(snapshot_path), roots)) as lists,
        closing(SnapshotWriter(snapshot_path)) as writer,
    ):
        yield from (ReadStep(0, None, 0.0) for _ in lists.read())
        return (yield from _Reading(request, writer, lists).run())


@dataclass(frozen=True)
class _Request:
    """What is to be read, by what, and how."""

    source: Source
    path: Path
    options: ExportOptions
    roots: Sequence[Path]


class _Reading:
    """One reading, from the source to the sealed snapshot."""

    def __init__(self, request: _Request, writer: SnapshotWriter, lists: Lists) -> None:
        self._request = request
        self._writer = writer
        options = request.options
        self._selection = Selection(options, lists)
        self._classes = Classes(options)
        self._splits = Splits(options)
        self._complaints = Complaints(options.on_error, writer.log)
        self._intake = Intake(writer, Wanted(self._selection, self._classes), self._complaints, request.roots)

    def run(self) -> Generator[ReadStep, None, Snapshot]:
        reached = 0.0
        source = self._request.source
        with blamed(NOUN, source.name, origin(source.name)):
            for fraction in source.read(self._request.path, self._intake):
                reached = max(reached, min(1.0, fraction))
                yield ReadStep(0, None, READING_SHARE * reached)
        self._intake.flush()
        yield from self._renumber()
        self._check()
        found, kept = self._writer.count_images()
        self._splits.begin(self._writer.subsets())
        done, last = 0, 0
        settling = Settling(self._writer, self._request.options, self._selection, self._splits, self._complaints)
        for position, name in settling.run():
            done, last = done + (position != last), position
            yield ReadStep(done, kept, READING_SHARE + (1 - READING_SHARE) * done / max(1, kept), name)
        if self._writer.count_images()[1] == 0:
            what = "has an object that is selected" if self._selection.annotated_only else "can be exported"
            raise ExportError(
                Code.SOURCE, f"none of the {found} images of the project {what}: there is nothing to export"
            )
        self._note_choices()
        return self._writer.seal(self._facts())

    def _facts(self) -> ProjectFacts:
        return ProjectFacts(
            name=self._request.options.name or self._intake.name,
            source_format=self._request.source.name,
            info=self._intake.info,
            splits=self._splits.names,
            chosen=self._selection.chosen(self._intake.images, self._intake.objects),
        )

    def _note_choices(self) -> None:
        """Write down what was asked for and came out otherwise than one may think."""
        categories = [category for _, category in self._writer.categories()]
        missing = gaps(self._splits.names, self._writer.objects_by_split(), categories)
        for code, message in (
            *self._classes.findings(),
            *self._selection.findings(),
            *self._splits.findings(),
            *((Finding.SPLIT_GAP, each) for each in missing),
        ):
            self._complaints.note(code, message)

    def _renumber(self) -> Iterator[ReadStep]:
        self._writer.number_images()
        for turn, (number, image) in enumerate(self._writer.objects.renumber(self._intake.highest)):
            message = (
                f"an object of image {image!r} has an id that is missing, below 1 or taken: it gets the id {number}"
            )
            self._complaints.note(Finding.OBJECT_RENUMBERED, message, image, number)
            if turn % 1000 == 0:
                yield ReadStep(0, None, READING_SHARE)

    def _check(self) -> None:
        """Raise when there is nothing to export, by the project's fault or by that of the options."""
        self._classes.check()
        found, _ = self._writer.count_images()
        if found == 0:
            name = self._request.path.name
            raise ExportError(Code.SOURCE, f"{name} holds no images: there is nothing to export", name)
        self._selection.check(found, list(islice(self._writer.image_names(), NAMES_SHOWN)))
