"""`python -m benchmarks.conversion`: measures all ways on the same images in one run, in turns, and prints the tables of README.md."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

import click

from benchmarks.conversion.once import Took
from benchmarks.conversion.ways import TARGETS, WAYS, Way, datumaro_folder
from benchmarks.projects import first_images, images_of, repeated

SMALL, FEW = 2, 120
OURS = WAYS[0]


@click.command()
@click.option(
    "--project", type=click.Path(path_type=Path, exists=True), required=True, help="A COCO folder of polygons."
)
@click.option("--repeat", default=1, show_default=True, help="Take the project's images this many times.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; the ways take turns within each.")
@click.option("--target", "targets", multiple=True, type=click.Choice(TARGETS), help="Only this; repeatable.")
@click.option(
    "--without", multiple=True, type=click.Choice([way.name for way in WAYS[1:]]), help="Not this tool; repeatable."
)
def main(project: Path, repeat: int, rounds: int, targets: tuple[str, ...], without: tuple[str, ...]) -> None:
    """Compare conversions of a COCO folder with other tools'; those that are not installed are left out with a word."""
    for way in WAYS:
        if not way.is_there:
            click.echo(f"{way.name} is not installed and left out: see benchmarks/peers/requirements.txt")
    chosen = [way for way in WAYS if way.is_there and way.name not in without]
    root = Path(tempfile.mkdtemp(prefix="labelferry-benchmark-"))
    try:
        whole = _for_all(repeated(project, repeat, root / "whole"))
        few = _for_all(first_images(whole, FEW, root / "few"))
        small = _for_all(first_images(whole, SMALL, root / "small"))
        for target in targets or TARGETS:
            _measure(target, [way for way in chosen if target in way.conversions()], (whole, few, small), rounds)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _for_all(project: Path) -> Path:
    """Add the folders that Datumaro looks for, as links; every way reads the same files."""
    beside = datumaro_folder(project)
    for folder in ("annotations", "images"):
        (beside / folder).mkdir(parents=True)
    (beside / "annotations" / "instances_train.json").symlink_to(project / "instances.json")
    (beside / "images" / "train").symlink_to(project / "images")
    return project


def _measure(target: str, ways: list[Way], projects: tuple[Path, Path, Path], rounds: int) -> None:
    """Measure one target: on all images, and on a few where one of the ways cannot hold all."""
    whole, few, small = projects
    images = images_of(whole)
    fits = [way for way in ways if way.most_images is None or images <= way.most_images]
    for project, group in ((whole, fits), (few, ways if len(fits) < len(ways) else [])):
        if len(group) > 1:
            _print(target, project, group, _rounds(target, project, small, group, rounds))


def _rounds(target: str, project: Path, small: Path, ways: list[Way], rounds: int) -> dict[str, list[Took]]:
    took: dict[str, list[Took]] = defaultdict(list)
    for turn in range(rounds):
        for way in ways if turn % 2 == 0 else reversed(ways):
            took[way.name].append(_once(way, target, project, small))
    return took


def _once(way: Way, target: str, project: Path, small: Path) -> Took:
    command = [sys.executable, "-m", "benchmarks.conversion.once", way.name, target, str(project), str(small)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{way.name} failed at {target}:\n{done.stderr.decode(errors='replace')[-2000:]}")
    # Some libraries print of their own; ours is the last line.
    return Took(**json.loads(done.stdout.splitlines()[-1]))


def _print(target: str, project: Path, ways: list[Way], took: dict[str, list[Took]]) -> None:
    click.echo(
        f"\n{target}, {images_of(project)} images\n\n| | s | CPU s | times labelferry | CPU, times | MB | objects |\n|---|---|---|---|---|---|---|"
    )
    ours = took[OURS.name]
    for way in ways:
        theirs = took[way.name]
        ratio = median(each.seconds / own.seconds for each, own in zip(theirs, ours, strict=True))
        of_cpu = median(each.cpu_seconds / own.cpu_seconds for each, own in zip(theirs, ours, strict=True))
        seconds, cpu = median(each.seconds for each in theirs), median(each.cpu_seconds for each in theirs)
        megabytes = median(each.megabytes for each in theirs)
        click.echo(
            f"| {way.name} | {seconds:.2f} | {cpu:.2f} | {ratio:.1f} | {of_cpu:.1f} | {megabytes:.0f} | {theirs[0].objects:,} |"
        )


if __name__ == "__main__":
    main()
