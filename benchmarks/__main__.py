"""`python -m benchmarks`: a full export by all ways, then the first word and the cancels of the service; prints the tables of README.md."""

import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import click
from tests.support.processes import running_service

from benchmarks.full_export import FULL, measure, tell
from benchmarks.projects import images_of, repeated
from benchmarks.through_service import cancels, first_words
from labelferry import ExportOptions

SMALL = ExportOptions(formats=("coco",), visualizations=False, metrics=())


@click.command()
@click.option(
    "--project", type=click.Path(path_type=Path, exists=True), help="A COCO folder; the sample project by default."
)
@click.option("--repeat", default=1, show_default=True, help="Take the project's images this many times.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; the ways take turns within each.")
@click.option("--cancels", "cancel_count", default=30, show_default=True, help="Cancels at random moments.")
def main(project: Path | None, repeat: int, rounds: int, cancel_count: int) -> None:
    """Compare the plain loop, the engine and the whole service on the same images; measure progress, first word and cancel."""
    root = Path(tempfile.mkdtemp(prefix="labelferry-benchmark-"))
    try:
        measured = repeated(project or _sample(root / "sample"), repeat, root / "project")
        tell(images_of(measured), rounds, measure(root, measured, rounds, plain=True))
        _answers(root / "answers", measured, cancel_count)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _sample(folder: Path) -> Path:
    from labelferry.sample.project import make_sample

    make_sample(folder)
    return folder


def _answers(place: Path, project: Path, cancel_count: int) -> None:
    place.mkdir()
    with running_service(place, "worker") as service:
        words = first_words(service, project, SMALL, 10, time.perf_counter)
        stops = cancels(service, project, FULL, cancel_count, seed=1, clock=time.perf_counter)
    click.echo(f"* submit to first event: {_milliseconds(words)}")
    click.echo(f"* cancel to confirmed and cleaned: {_milliseconds([seconds for seconds, _ in stops])}")
    for stage in sorted({stage for _, stage in stops}):
        some = [seconds for seconds, where in stops if where == stage]
        click.echo(f"  while at {stage}: {_milliseconds(some)}")


def _milliseconds(seconds: list[float]) -> str:
    return f"median {1000 * median(seconds):.1f} ms, max {1000 * max(seconds):.1f} ms ({len(seconds)} times)"


if __name__ == "__main__":
    main()
