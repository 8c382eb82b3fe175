"""`labelferry export`: one command from a project to a checked bundle."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import click

from labelferry.cli.choices import amount, export_options, json_option, options_from, service_options
from labelferry.cli.grouping import GroupedCommand
from labelferry.cli.signals import ignore_signals
from labelferry.cli.silence import Silence
from labelferry_protocol.errors import (
    EXIT_CANCELLED,
    EXIT_CODES,
    EXIT_DONE,
    EXIT_FAILED,
    Code,
    LabelferryError,
    Refusal,
)
from labelferry_protocol.events import TERMINAL_EVENTS, Cancelled, Completed, Failed, JobEvent, PhaseChanged, Progress
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Phase

if TYPE_CHECKING:
    # Help needs none of them.
    from labelferry.cli.show import Show
    from labelferry.cli.stopper import Stopper
    from labelferry.client import Export


@click.command(cls=GroupedCommand)
@click.argument("source")
@click.option("-o", "--output", metavar="OUT.zip", help="Where the bundle goes; ./NAME.zip by default.")
@click.option("--force", is_flag=True, help="Write over an existing output.")
@click.option("--dry-run", is_flag=True, help="Tell what would be made, and make nothing.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Jobs at once in the embedded service; they share the processors. 1 by default.",
)
@click.option(
    "--cache-bytes",
    metavar="SIZE",
    callback=amount,
    help="Keep so much finished work for later exports (50GB, say); none by default, or LABELFERRY_CACHE_BYTES. Of the embedded service, if it is not running yet.",
)
@export_options
@service_options
@json_option
@click.pass_context
def export(
    context: click.Context,
    /,
    source: str,
    output: str | None,
    force: bool,
    dry_run: bool,
    workers: int | None,
    cache_bytes: int | None,
    broker: str | None,
    key_file: str | None,
    as_json: bool,
    template: str | None,
    **_options: object,
) -> None:
    """Export the project at SOURCE (a folder, a file, or a zip of a folder) into one zip, and show how it goes.

    Ctrl-C cancels and waits for the confirmation; a second one leaves at once. So do SIGTERM and a closed terminal; output that
    nobody takes any more cancels too.
    """
    from labelferry.cli.session import DEFAULT_WORKERS, check_source, client_for
    from labelferry.cli.show import show_for
    from labelferry.cli.stopper import Stopper

    options = options_from(context, ExportOptions())
    location = check_source(source, here=broker is None)
    if dry_run:
        from labelferry.cli.dry_run import tell_beforehand

        if template:
            with client_for(broker, key_file) as client:
                options = options_from(context, client.template(template).options)
        tell_beforehand(location, options, as_json=as_json)
        return
    target = target_of(output, options.name or Path(location).stem, Path(location))
    silence = Silence()
    with (
        Stopper(hangup=True) as stopper,
        client_for(
            broker,
            key_file,
            workers=workers or DEFAULT_WORKERS,
            patience=stopper.check,
            cache_bytes=cache_bytes,
            silence=silence,
        ) as client,
    ):
        if template:
            options = options_from(context, client.template(template).options)
        stream = client.export(location, target, options, overwrite=force)
        show = show_for(as_json=as_json)
        silence.say = show.say
        stopper.aim(stream.cancel, show.say)
        last = _follow(stream, show, silence, stopper)
    context.exit(exit_code_of(last))


def _follow(stream: "Export", show: "Show", silence: Silence, stopper: "Stopper") -> JobEvent | None:
    """Show an export to its end and return its last event; where showing it fails, cancel it and raise when that is confirmed."""
    last: JobEvent | None = None
    try:
        for event in stream:
            last = event
            if isinstance(event, TERMINAL_EVENTS):
                ignore_signals()
            show.event(event)
    except LabelferryError:
        if is_made(last):
            with suppress(OSError):
                show.say(f"The bundle is made, and stays in the history: labelferry download {last.job_id}")
        raise
    except Exception:
        # Nobody would ever know of the job, and the embedded service would go on with it the next time.
        silence.say = lambda _sentence: None
        stream.cancel()
        with suppress(LabelferryError):
            for event in stream:
                last = event
        if not stopper.asked:
            raise
    finally:
        with suppress(OSError):
            show.close()
    return last


def is_made(last: JobEvent | None) -> TypeGuard[JobEvent]:
    """Return whether the bundle is published, at this event of an export."""
    return isinstance(last, PhaseChanged) or (isinstance(last, Progress) and last.phase is Phase.DOWNLOADING)


def exit_code_of(last: JobEvent | None) -> int:
    """Return what a command that followed a job to this event exits with."""
    if isinstance(last, Completed):
        return EXIT_DONE
    if isinstance(last, Failed):
        return EXIT_CODES.get(last.code, EXIT_FAILED)
    return EXIT_CANCELLED if isinstance(last, Cancelled) else EXIT_FAILED


def target_of(output: str | None, name: str, source: Path) -> Path:
    """Return where the bundle goes: never over the zip that it is made of."""
    target = Path(output or f"{_bundle_name(name)}.zip")
    if target.resolve() != source.resolve():
        return target
    if output:
        raise Refusal(Code.USAGE, f"{output} is the project itself: choose another name for the bundle")
    return target.with_stem(f"{target.stem}-export")


def _bundle_name(name: str) -> str:
    return (
        "".join(character if character.isalnum() or character in "._- " else "_" for character in name).strip(" .")
        or "export"
    )
