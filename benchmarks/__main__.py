"""`python -m benchmarks`: measures in one run and prints the tables of README.md."""

import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import click
from tests.support.processes import running_service

from benchmarks.engine import export_by_engine
from benchmarks.plain import export_plainly
from benchmarks.projects import repeated
from benchmarks.through_service import Run, cancels, export_through_service, first_words
from labelferry import ExportOptions

OPTIONS = ExportOptions(formats=("coco", "yolo"), metrics=("csv",))
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
        _compare(root, measured, rounds, cancel_count)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _sample(folder: Path) -> Path:
    from labelferry.sample.project import make_sample

    make_sample(folder)
    return folder


def _compare(root: Path, project: Path, rounds: int, cancel_count: int) -> None:
    images = sum(1 for _ in (project / "images").iterdir())
    clock = time.perf_counter
    plain, engine, service_runs = [], [], []
    (root / "service").mkdir()
    with running_service(root / "service", "worker") as service:
        for _ in range(rounds):
            plain.append(export_plainly(project, root / "plain.zip", clock))
            staging = root / "staging"
            staging.mkdir()
            engine.append(export_by_engine(project, staging, OPTIONS, clock))
            shutil.rmtree(staging)
            service_runs.append(export_through_service(service, project, root / "service.zip", OPTIONS, clock))
        words = first_words(service, project, SMALL, 10, clock)
        stops = cancels(service, project, OPTIONS, cancel_count, seed=1, clock=clock)
    _print_stages(images, rounds, plain, engine, service_runs)
    _print_rest(service_runs, words, stops)


def _print_stages(
    images: int, rounds: int, plain: list[dict[str, float]], engine: list[dict[str, float]], runs: list[Run]
) -> None:
    click.echo(f"\n{images} images, medians of {rounds} rounds, images/s:\n")
    click.echo("| stage | plain loop | engine |\n|---|---|---|")
    for stage in ("images", "visualizations", "annotations", "metrics", "compression"):
        row = [median(each.get(stage, 0.0) for each in runs_of) for runs_of in (plain, engine)]
        click.echo(f"| {stage} | {_rate(images, row[0])} | {_rate(images, row[1])} |")
    whole = [median(sum(each.values()) for each in runs_of) for runs_of in (plain, engine)]
    click.echo(f"| all | {_rate(images, whole[0])} | {_rate(images, whole[1])} |")
    pairs = list(
        zip((sum(each.values()) for each in plain), (sum(each.values()) for each in engine), runs, strict=True)
    )
    click.echo(f"\nplain / engine (time): {median(p / e for p, e, _ in pairs):.2f}")
    click.echo(f"plain / whole service with download (time): {median(p / run.seconds for p, _, run in pairs):.2f}")
    click.echo(f"service until published / engine (time): {median(run.published / e for _, e, run in pairs):.3f}")
    click.echo(f"service with download / engine (time): {median(run.seconds / e for _, e, run in pairs):.3f}")


def _print_rest(runs: list[Run], words: list[float], stops: list[tuple[float, str]]) -> None:
    click.echo(f"\nprogress, mean absolute deviation from linear: {median(run.deviation for run in runs):.1f} points")
    click.echo(
        f"submit to first event: median {1000 * median(words):.1f} ms, max {1000 * max(words):.1f} ms ({len(words)} times)"
    )
    took = sorted(seconds for seconds, _ in stops)
    click.echo(
        f"cancel to confirmed and cleaned: median {1000 * median(took):.1f} ms, max {1000 * took[-1]:.1f} ms ({len(took)} times)"
    )
    for stage in sorted({stage for _, stage in stops}):
        some = [seconds for seconds, where in stops if where == stage]
        click.echo(
            f"  while at {stage}: median {1000 * median(some):.1f} ms, max {1000 * max(some):.1f} ms ({len(some)} times)"
        )


def _rate(images: int, seconds: float) -> str:
    return f"{images / seconds:,.0f}" if seconds > 1e-4 else "-"


main()
