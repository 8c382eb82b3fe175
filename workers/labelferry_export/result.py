"""What an export made, as its caller is told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelferry_export.findings import Finding, Loss, Tally
from labelferry_export.job import Job
from labelferry_export.names import safe_name
from labelferry_export.plan import shortened
from labelferry_protocol.events import ExportCounts, WarningSummary

MOST_KINDS = 32
EXAMPLE_CHARACTERS = 256


@dataclass(frozen=True)
class ExportResult:
    """A bundle: where it lies, its size in bytes, its digest, what is in it, what was noticed; `file_name` is a name to save it by."""

    path: Path
    size: int
    sha256: str
    counts: ExportCounts
    warnings: tuple[WarningSummary, ...]
    file_name: str
    partial: bool = False


def result_of(job: Job, path: Path) -> ExportResult:
    """Return what a closed bundle at `path` is."""
    total = job.contents.total
    return ExportResult(
        path=path,
        size=job.archive.offset,
        sha256=job.sha256,
        counts=ExportCounts(
            images=total.images,
            objects=total.objects,
            classes=len(job.facts.categories),
            files=job.archive.count,
            skipped=job.skipped,
        ),
        warnings=summaries(job),
        file_name=safe_name(job.facts.name, ".zip"),
        partial=job.partial,
    )


def summaries(job: Job) -> tuple[WarningSummary, ...]:
    """Return a summary of each kind of finding, about each format: how often it came, what was lost, the first of them in words."""
    found: dict[tuple[Finding, str | None], list[Tally]] = {}
    for log in (job.snapshot.log, job.findings):
        for kind, tally in log.tallies.items():
            found.setdefault(kind, []).append(tally)
    return tuple(_summary(*kind, tallies) for kind, tallies in list(found.items())[:MOST_KINDS])


def _summary(code: Finding, format_name: str | None, tallies: Sequence[Tally]) -> WarningSummary:
    losses = sum((tally.losses for tally in tallies), Counter[Loss]())
    return WarningSummary(
        code=str(code),
        count=sum(tally.count for tally in tallies),
        example=shortened(tallies[0].example.message, EXAMPLE_CHARACTERS),
        format=format_name,
        losses={str(loss): count for loss, count in sorted(losses.items())},
    )
