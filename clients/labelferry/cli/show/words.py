"""What happened, in words for a person: sizes, times, and the sentence that ends a job."""

from datetime import UTC, datetime

from labelferry_protocol.events import Cancelled, Completed, ExportCounts, Failed, WarningSummary
from labelferry_protocol.words import CancelledBy, Phase


def size_in_words(count: int) -> str:
    """Return a number of bytes as people say it, in decimal units."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"


def count_in_words(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun, in the right number."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def time_in_words(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def moment_in_words(timestamp: float) -> str:
    """Return a timestamp in this machine's time, to the second."""
    return datetime.fromtimestamp(timestamp, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def completed_in_words(event: Completed) -> list[str]:
    """Return the lines that end a completed job."""
    where = event.path or f"{event.project}: the bundle can be downloaded as long as it is kept"
    facts = [size_in_words(event.bundle.size), *_counts_in_words(event.counts)]
    if event.bundle.partial:
        facts.append("the finished part of a cancelled export")
    elif event.duration:  # not known of a job that was cancelled when all of it was made
        facts.append(f"made in {time_in_words(event.duration)}")
    lines = [where, f"  {', '.join(facts)}"]
    if event.warnings:
        lines.append("  Warnings (all of them are in the bundle's README.md and manifest.json):")
    lines += [f"    {warning_in_words(warning)}" for warning in event.warnings]
    return lines


def _counts_in_words(counts: ExportCounts) -> list[str]:
    if not counts.files:  # a bundle always has files: what it holds was not said
        return []
    facts = [
        count_in_words(counts.images, "image"),
        count_in_words(counts.objects, "object"),
        count_in_words(counts.classes, "class", "classes"),
        count_in_words(counts.files, "file"),
    ]
    return [*facts, f"{count_in_words(counts.skipped, 'image')} left out"] if counts.skipped else facts


def warning_in_words(warning: WarningSummary) -> str:
    """Return a kind of warning: how often it came, what a format did about it, and an example."""
    done = ", ".join(f"{count:,} {loss}" for loss, count in warning.losses.items())
    about = f" ({warning.format}{f': {done}' if done else ''})" if warning.format else ""
    return f"{warning.code}{about} x {warning.count:,}: {warning.example}"


def failed_in_words(event: Failed) -> list[str]:
    """Return the lines that end a failed job."""
    place = f" (while at {event.stage})" if event.stage else ""
    return [f"Error: {event.message}{place}"]


def cancelled_in_words(event: Cancelled) -> list[str]:
    """Return the lines that confirm a cancel: who, when, how far, and whether everything is cleaned up."""
    who = {CancelledBy.USER: f"by {event.who}", CancelledBy.TIMEOUT: "because its time was over"}.get(
        event.cancelled_by, f"by the system ({event.who})"
    )
    doing = "processing" if event.phase is Phase.PROCESSING else "downloading"
    clean = "everything is cleaned up" if event.cleanup_completed else "the clean-up could not be confirmed"
    lines = [f"Cancelled {who} at {moment_in_words(event.timestamp)}, {event.progress:.0f} % through {doing}; {clean}."]
    if event.phase is Phase.DOWNLOADING:
        lines.append(f"The bundle stays in the history: labelferry download {event.job_id}")
    elif event.bundle is not None:
        kept = "The finished part" if event.bundle.partial else "All of it was made, and"
        lines.append(f"{kept} is kept: labelferry download {event.job_id}")
    return lines


def ending_in_words(event: Completed | Failed | Cancelled) -> list[str]:
    """Return the lines that end a job."""
    if isinstance(event, Completed):
        return completed_in_words(event)
    if isinstance(event, Failed):
        return failed_in_words(event)
    return cancelled_in_words(event)
