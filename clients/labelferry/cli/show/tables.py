"""Answers about many things, as lines for a person: the history, transfers, a snapshot, the service."""

from collections.abc import Iterator

from labelferry.cli.show.words import count_in_words, ending_in_words, moment_in_words, size_in_words, time_in_words
from labelferry_protocol.events import Snapshot, overall
from labelferry_protocol.requests import History, Overview, Transfers


def history_lines(page: History, *, owners: bool = False) -> Iterator[str]:
    """Give a line a job, newest first; with `owners`, whose it is."""
    if not page.jobs:
        yield "No jobs yet."
        return
    owner = f"{'owner':<16}  " if owners else ""
    yield f"{'job':<32}  {'state':<10} {'when':<19}  {'size':>8}  {owner}project"
    for row in page.jobs:
        owner = f"{row.owner:<16}  " if owners else ""
        size = size_in_words(row.bundle.size) if row.bundle else ""
        gone = "" if row.bundle is None or row.available else " (bundle gone)"
        note = f": {row.message}" if row.message else ""
        yield f"{row.job_id}  {row.state:<10} {moment_in_words(row.created_at)}  {size:>8}  {owner}{row.project}{gone}{note}"
    if page.more:
        yield f"Older ones: labelferry history --before {page.jobs[-1].job_id}"


def transfer_lines(transfers: Transfers) -> Iterator[str]:
    """Give a line a download, newest first."""
    if not transfers.transfers:
        yield "Nobody has downloaded it yet."
        return
    yield f"{'when':<19}  {'who':<16} {'state':<10} received"
    for row in transfers.transfers:
        yield f"{moment_in_words(row.started_at)}  {row.user:<16} {row.state:<10} {size_in_words(row.received)} of {size_in_words(row.size)}"


def snapshot_lines(snapshot: Snapshot) -> Iterator[str]:
    """Give the lines that say how a job stands."""
    yield f"{snapshot.project} ({snapshot.job_id}): {snapshot.state}, submitted {moment_in_words(snapshot.created_at)} by {snapshot.owner}"
    if snapshot.terminal is not None:
        yield from ending_in_words(snapshot.terminal)
        return
    if snapshot.position is not None:
        before = snapshot.position
        yield (
            f"  {count_in_words(before, 'job')} {'is' if before == 1 else 'are'} before it"
            if before
            else "  it is the next"
        )
    progress = snapshot.progress
    if progress is not None:
        left = (
            ""
            if progress.estimated_time_remaining is None
            else f", {time_in_words(progress.estimated_time_remaining)} left"
        )
        yield f"  {overall(progress.progress, progress.phase):.0f} % in all: {progress.message}{left}"
    if snapshot.cancel_requested_by:
        yield f"  being cancelled by {snapshot.cancel_requested_by}"


def overview_lines(overview: Overview) -> Iterator[str]:
    """Give the lines that say how the service is."""
    yield f"{overview.software}, up {time_in_words(overview.uptime)}, depot {'ready' if overview.depot_ready else 'not ready'}"
    jobs = ", ".join(f"{count:,} {state}" for state, count in overview.jobs.items() if count) or "none"
    yield f"Jobs: {jobs}"
    if not overview.workers:
        yield "Workers: none connected; jobs wait until one is"
    for worker in overview.workers:
        draining = ", draining" if worker.draining else ", paused: its disk is full" if worker.paused else ""
        yield f"Worker {worker.host} ({worker.user}): {worker.busy} of {worker.slots} slots busy, heard {worker.seen:.0f} s ago{draining}"
