"""Writes what a task makes of every image into one file, joined by commas: the arrays of json formats. What the pieces say is the formats' own."""

from collections.abc import Iterator

from labelferry_export.bundle.archive import EntryWriter
from labelferry_export.bundle.packed import stretch
from labelferry_export.format import FormatJob
from labelferry_export.lanes.task import Task
from labelferry_export.plan import Step

FIRST, NEXT = ((joint, stretch(joint)) for joint in (b"\n", b",\n"))
"""What stands before the first piece, and before every other one; plain and packed."""


def write_joined(job: FormatJob, file: EntryWriter, task: Task, split: str | None = None) -> Iterator[Step]:
    """Write the pieces of every image (or every one of a split), packed where the task has packed them."""
    joint = FIRST
    for _, piece, step in job.pieces(task, split):
        if piece.data:
            file.write_stretch(*joint)
            file.write_stretch(piece.data, piece.packed or stretch(piece.data))
            joint = NEXT
        yield step
