"""Reads a project, whatever its form, into the one snapshot that a job works from."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labelferry_export.complaints import Complaints
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.intake import Intake
from labelferry_export.options_check import check_options
from labelferry_export.paths import check_access
from labelferry_export.selection import Selection, listed
from labelferry_export.settling import Settling
from labelferry_export.snapshot import Snapshot
from labelferry_export.snapshot_writer import SnapshotWriter
from labelferry_export.source import Source
from labelferry_export.sources import recognise
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

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
    source = recognise(path, options.source_format)
    writer = SnapshotWriter(snapshot_path)
    try:
        return (yield from _Reading(source, path, options, writer, roots).run())
    finally:
        writer.close()


class _Reading:
    """One reading, from the source to the sealed snapshot."""

    def __init__(
        self, source: Source, path: Path, options: ExportOptions, writer: SnapshotWriter, roots: Sequence[Path]
    ) -> None:
        self._source = source
        self._path = path
        self._options = options
        self._writer = writer
        self._selection = Selection.of(options)
        self._complaints = Complaints(options.on_error, writer.log)
        self._intake = Intake(writer, self._selection, self._complaints, roots)

    def run(self) -> Generator[ReadStep, None, Snapshot]:
        reached = 0.0
        for fraction in self._source.read(self._path, self._intake):
            reached = max(reached, min(1.0, fraction))
            yield ReadStep(0, None, READING_SHARE * reached)
        yield from self._renumber()
        self._check()
        found, kept = self._writer.count_images()
        done, last = 0, 0
        for position, name in Settling(self._writer, self._options, self._selection, self._complaints).run():
            done, last = done + (position != last), position
            yield ReadStep(done, kept, READING_SHARE + (1 - READING_SHARE) * done / max(1, kept), name)
        if self._writer.count_images()[1] == 0:
            what = "has an object that is selected" if self._selection.annotated_only else "can be exported"
            raise ExportError(
                Code.SOURCE, f"none of the {found} images of the project {what}: there is nothing to export"
            )
        name = self._options.name or self._intake.name
        return self._writer.seal(name, self._source.name, self._intake.info)

    def _renumber(self) -> Iterator[ReadStep]:
        self._writer.number_images()
        for turn, (number, image) in enumerate(self._writer.renumber(self._intake.highest)):
            message = (
                f"an object of image {image!r} has an id that is missing, below 1 or taken: it gets the id {number}"
            )
            self._complaints.note(Finding.OBJECT_RENUMBERED, message, image, number)
            if turn % 1000 == 0:
                yield ReadStep(0, None, READING_SHARE)

    def _check(self) -> None:
        """Raise when there is nothing to export, by the project's fault or by that of the options."""
        self._selection.check_classes([category.name for _, category in self._writer.categories()])
        found, kept = self._writer.count_images()
        if found == 0:
            raise ExportError(
                Code.SOURCE, f"{self._path.name} holds no images: there is nothing to export", self._path.name
            )
        if kept == 0 and not any(self._selection.takes_image(name) for name in self._writer.image_names()):
            patterns = listed(self._options.select)
            raise ExportError(Code.USAGE, f"none of the {found} images of the project is selected by {patterns}")
