"""`python -m benchmarks.soak`: a service under load whose processes are killed at random, for as long as one likes; prints what it kept and how fast.

Exits with 1 and a sentence for each promise that was not kept.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import click
from tests.soak.audit import judge, judge_end, marked
from tests.soak.flatness import judge_flatness, trends
from tests.soak.kinds import make_kinds
from tests.soak.storm import Record, Storm, Weather
from tests.support.processes import Service, running_service
from tests.support.promises import ask_ledger

from benchmarks.figures import p99

MARK = "LABELFERRY_SOAK"
WORKERS = ("worker-a", "worker-b")
BYTES_A_MINUTE = 1_200_000_000
"""What customers leave in the depot, at most; all of it is kept, to be looked at when all is over."""


@click.command()
@click.option("--minutes", default=30.0, show_default=True, help="How long processes are killed.")
@click.option(
    "--calm", default=5.0, show_default=True, help="Minutes of the same load after that, without kills but of children."
)
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same wishes and the same kills.")
@click.option("--keep", is_flag=True, help="Leave the ledger and the logs where they are.")
def main(minutes: float, calm: float, seed: int, keep: bool) -> None:
    """Soak a broker and two workers."""
    root = Path(tempfile.mkdtemp(prefix="labelferry-soak-"))
    wanted = int((minutes + calm) * BYTES_A_MINUTE)
    if shutil.disk_usage(root).free < wanted:
        root.rmdir()
        raise click.UsageError(
            f"{root.parent} has no room for {wanted / 1e9:.0f} GB of bundles: set TMPDIR, or soak for fewer minutes"
        )
    os.environ[MARK] = str(root)
    try:
        weather = Weather(seconds=60 * minutes, seed=seed, calm_seconds=60 * calm)
        broken = _soak(root, weather)
    finally:
        if keep:
            click.echo(f"kept: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    for sentence in broken:
        click.echo(f"BROKEN: {sentence}", err=True)
    sys.exit(1 if broken else 0)


def _soak(root: Path, weather: Weather) -> list[str]:
    kinds = make_kinds(root / "kinds")
    (root / "service").mkdir()
    with running_service(root / "service", *WORKERS) as service:
        record = asyncio.run(Storm(service, kinds, root, weather).blow())
        broken = judge(service, record)
        lines = list(_report(service, record, weather))
        broken += judge_end(service, lambda: marked(MARK, str(root)))
    click.echo("\n".join(lines))
    return broken + judge_flatness(record)


def _report(service: Service, record: Record, weather: Weather) -> Iterator[str]:
    trouble = record.trouble
    assert trouble is not None
    ends = Counter(type(story.end).__name__.lower() for story in record.stories)
    kills = Counter(kill.victim for kill in trouble.kills)
    ((attempts, lost),) = ask_ledger(service, "SELECT count(*), sum(outcome = 'lost') FROM attempts")
    onlookers = [story.onlooker for story in record.stories if story.onlooker is not None]
    yield f"{record.seconds / 60:.1f} minutes (the last {weather.calm_seconds / 60:.1f} calm), seed {weather.seed}\n"
    yield "| what | figure |\n|---|---|"
    yield f"| jobs | {len(record.stories)}: {_counted(ends)} |"
    yield f"| attempts, and how many of them were lost to a kill | {attempts}, {lost or 0} |"
    yield f"| kills | {sum(kills.values())}: {_counted(kills)} |"
    yield f"| other subscribers | {len(onlookers)}: {sum(each.killed for each in onlookers)} killed, the others stopped for a while |"
    started = [story.started_after for story in record.stories if story.started_after is not None]
    yield f"| submit to started, waiting for a slot included | {_spread(started)} |"
    yield f"| cancel to confirmed and cleaned, whatever was killed meanwhile | {_spread([story.cancelled_in for story in record.stories if story.cancelled_in is not None])} |"
    yield f"| kill to the next attempt of what it hit | {_spread(_run_again(service, [kill.at for kill in trouble.kills]))} |"
    for victim in ("broker", "worker"):
        back = [kill.back_after for kill in trouble.kills if kill.victim == victim and kill.back_after is not None]
        yield f"| {victim} killed to {victim} ready again | {_spread(back)} |"
    yield f"| children gone after their parent was killed | {_spread([kill.orphans_after for kill in trouble.kills if kill.back_after])} |"
    yield "\n| process | part | what | median | grew by |\n|---|---|---|---|---|"
    for trend in trends(record):
        yield f"| {trend.role} | {trend.part} | {trend.what} | {trend.median:.0f} | {trend.grew:+.1f} |"


def _run_again(service: Service, kills: list[float]) -> list[float]:
    """Return the seconds from the kill before each lost attempt's end to the next attempt's lease."""
    query = (
        "SELECT lost.ended_at, next.leased_at FROM attempts lost JOIN attempts next"
        " ON next.job_id = lost.job_id AND next.attempt = lost.attempt + 1 WHERE lost.outcome != 'finished'"
    )
    pairs = [(float(str(ended)), float(str(leased))) for ended, leased in ask_ledger(service, query)]
    return [
        leased - max(at for at in kills if at <= ended) for ended, leased in pairs if any(at <= ended for at in kills)
    ]


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    return f"median {_short(median(seconds))}, p99 {_short(p99(seconds))}, max {_short(max(seconds))} ({len(seconds)} times)"


def _short(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    main()
