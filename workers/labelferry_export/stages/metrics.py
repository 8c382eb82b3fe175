"""The stage `metrics`: the tables."""

from collections.abc import Generator

from labelferry_export.costs import Totals
from labelferry_export.job import Job
from labelferry_export.plan import Step
from labelferry_export.stage import StageWork
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Stage


def cost(options: ExportOptions, totals: Totals) -> float:
    """Return what drawing costs, ms."""
    return 0.0


def run(job: Job) -> Generator[Step, None, None]:
    """Draw."""
    yield from ()


STAGE = StageWork("metrics", Stage.METRICS, cost, lambda job: job.image_count, run)
