"""What an export made, as its caller is told."""

from dataclasses import dataclass
from pathlib import Path

from labelferry_export.job import Job
from labelferry_export.names import safe_name
from labelferry_export.plan import shortened
from labelferry_protocol.events import ExportCounts, WarningSummary

MOST_KINDS = 16
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
        sha256=job.archive.sha256,
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
    """Return a summary of each kind of finding: how often it came, and the first of them in words."""
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    for log in (job.snapshot.log, job.findings):
        for code, count in log.counts.items():
            counts[code] = counts.get(code, 0) + count
            examples.setdefault(code, log.example(code).message)
    return tuple(
        WarningSummary(code=str(code), count=count, example=shortened(examples[code], EXAMPLE_CHARACTERS))
        for code, count in list(counts.items())[:MOST_KINDS]
    )
