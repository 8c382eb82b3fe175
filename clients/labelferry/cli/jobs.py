"""The commands about one job, or the list of them: submit, watch, status, cancel, download, history."""

from collections.abc import Iterable
from pathlib import Path

import click

from labelferry.cli.choices import export_options, json_option, options_from, service_options
from labelferry.cli.export import exit_code_of
from labelferry.cli.grouping import GroupedCommand
from labelferry.cli.option_values import Seconds
from labelferry.cli.signals import ignore_signals
from labelferry.cli.silence import Silence
from labelferry.cli.stopper import looking_on
from labelferry_protocol.events import TERMINAL_EVENTS, Cancelled, JobEvent, Snapshot
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import State

JOB_HELP = "JOB is a job id, or enough of its beginning to be the only one in your history."


@click.command(cls=GroupedCommand)
@click.argument("source")
@export_options
@click.option(
    "--key-once",
    "idempotency_key",
    metavar="TEXT",
    help="The same text makes the same job, however often it is submitted.",
)
@service_options
@json_option
@click.pass_context
def submit(
    context: click.Context,
    /,
    source: str,
    idempotency_key: str | None,
    broker: str | None,
    key_file: str | None,
    as_json: bool,
    template: str | None,
    **_options: object,
) -> None:
    """Hand the project at SOURCE to a broker and print the job's id."""
    from labelferry.cli.session import check_source, client_for
    from labelferry.cli.show.json_lines import print_json

    if not broker:
        raise click.UsageError(
            "submit needs a broker that goes on running: name one with --broker or LABELFERRY_BROKER, or use export"
        )
    options = options_from(context, ExportOptions())
    with client_for(broker, key_file) as client:
        if template:
            options = options_from(context, client.template(template).options)
        submitted = client.submit(check_source(source, here=False), options, idempotency_key=idempotency_key)
    if as_json:
        print_json(submitted)
    else:
        click.echo(submitted.job_id)


@click.command(epilog=JOB_HELP)
@click.argument("job")
@service_options
@json_option
@click.pass_context
def watch(context: click.Context, job: str, broker: str | None, key_file: str | None, as_json: bool) -> None:
    """Show the events of JOB until it ends; Ctrl-C stops watching (exit code 130), not the job."""
    from labelferry.cli.session import client_for

    silence = Silence()
    with client_for(broker, key_file, silence=silence) as client:
        job_id = _whole_id(client, job)
        with looking_on(f"No longer watched; the job goes on. See it again with: labelferry watch {job_id}"):
            last = _follow(client.events(job_id), silence, as_json=as_json)
    context.exit(exit_code_of(last))


@click.command(epilog=JOB_HELP)
@click.argument("job", required=False)
@service_options
@json_option
def status(job: str | None, broker: str | None, key_file: str | None, as_json: bool) -> None:
    """Show how JOB stands; without one, the service."""
    from labelferry.cli.session import client_for
    from labelferry.cli.show.json_lines import print_json
    from labelferry.cli.show.tables import overview_lines, snapshot_lines

    with client_for(broker, key_file) as client:
        answer = client.status(_whole_id(client, job)) if job else client.overview()
    if as_json:
        print_json(answer)
        return
    for line in snapshot_lines(answer) if isinstance(answer, Snapshot) else overview_lines(answer):
        click.echo(line)


@click.command(epilog=JOB_HELP)
@click.argument("job")
@click.option(
    "--keep-partial/--no-keep-partial",
    default=None,
    help="Keep the finished part as a bundle, whatever the job was told.",
)
@click.option("--wait", type=Seconds(0), default=30.0, show_default=True, help="Seconds to wait for the confirmation.")
@service_options
@json_option
@click.pass_context
def cancel(
    context: click.Context,
    job: str,
    keep_partial: bool | None,
    wait: float,
    broker: str | None,
    key_file: str | None,
    as_json: bool,
) -> None:
    """Stop JOB and wait for the confirmation: who, when, how far, and whether everything is cleaned up."""
    from labelferry.cli.session import client_for
    from labelferry.cli.show.json_lines import print_json
    from labelferry.cli.show.words import ending_in_words

    with client_for(broker, key_file) as client:
        if not as_json:
            click.echo("Cancelling...", err=True)
        job_id = _whole_id(client, job)
        with looking_on(f"No longer waited for; see how the job ends with: labelferry watch {job_id}"):
            outcome = client.cancel(job_id, keep_partial=keep_partial, timeout=wait)
    if as_json:
        print_json(outcome)
    else:
        if not isinstance(outcome, Cancelled):
            click.echo("Too late to cancel: the job has ended.", err=True)
        for line in ending_in_words(outcome):
            click.echo(line)
    context.exit(exit_code_of(outcome) if exit_code_of(outcome) != 0 else 1)


@click.command(epilog=JOB_HELP)
@click.argument("job")
@click.option(
    "-o", "--output", metavar="OUT.zip", help="Where the bundle goes; its own name in this folder by default."
)
@click.option("--force", is_flag=True, help="Write over an existing output.")
@service_options
@json_option
@click.pass_context
def download(
    context: click.Context,
    job: str,
    output: str | None,
    force: bool,
    broker: str | None,
    key_file: str | None,
    as_json: bool,
) -> None:
    """Fetch the bundle of JOB, going on with what an earlier try has left; checked by its sha256 before it appears."""
    from labelferry.cli.session import client_for

    silence = Silence()
    with client_for(broker, key_file, silence=silence) as client:
        job_id = _whole_id(client, job)
        target = Path(output) if output else Path(_file_name(client.status(job_id), job_id))
        transfer = client.download(job_id, target, overwrite=force)
        last = _follow(transfer, silence, as_json=as_json, cancel=transfer.cancel)
    context.exit(exit_code_of(last))


@click.command()
@click.option("-n", "--limit", type=click.IntRange(1, 50), default=20, show_default=True, help="How many jobs.")
@click.option("--before", metavar="JOB", help="Only jobs older than this one.")
@click.option("--all", "everybody", is_flag=True, help="Everybody's jobs (for admins).")
@click.option("--downloads", "job", metavar="JOB", help="Who downloaded this job's bundle, instead.")
@service_options
@json_option
def history(
    limit: int,
    before: str | None,
    everybody: bool,
    job: str | None,
    broker: str | None,
    key_file: str | None,
    as_json: bool,
) -> None:
    """List jobs, newest first; their bundles can be downloaded again as long as they are kept."""
    from labelferry.cli.session import client_for
    from labelferry.cli.show.json_lines import print_json
    from labelferry.cli.show.tables import history_lines, transfer_lines

    with client_for(broker, key_file) as client:
        if job:
            transfers = client.transfers(_whole_id(client, job))
            lines: Iterable[str] = transfer_lines(transfers)
            whole: object = transfers
        else:
            page = client.history(limit, _whole_id(client, before) if before else None, everybody=everybody)
            lines, whole = history_lines(page, owners=everybody), page
    if as_json:
        print_json(whole)
        return
    for line in lines:
        click.echo(line)


def _follow(stream: Iterable[JobEvent], silence: Silence, *, as_json: bool, cancel: object = None) -> JobEvent | None:
    from labelferry.cli.show import show_for
    from labelferry.cli.stopper import Stopper

    show = show_for(as_json=as_json)
    silence.say = show.say
    last: JobEvent | None = None
    try:
        if callable(cancel):
            with Stopper() as stopper:
                stopper.aim(cancel, show.say)
                for last in stream:
                    if isinstance(last, TERMINAL_EVENTS):
                        ignore_signals()
                    show.event(last)
        else:
            for last in stream:
                show.event(last)
    finally:
        show.close()
    return last


def _whole_id(client: object, beginning: str) -> str:
    from labelferry.client import Client
    from labelferry_protocol.errors import Code, Refusal

    assert isinstance(client, Client)  # noqa: S101 - kept loose so that help needs no sockets
    beginning = beginning.strip().lower()
    if not beginning or len(beginning) > 32 or set(beginning) - set("0123456789abcdef"):
        raise Refusal(
            Code.USAGE,
            f"{beginning!r} is not a job id: it is 32 characters of 0-9 and a-f, as `labelferry history` shows them",
        )
    if len(beginning) == 32:
        return beginning
    found = [row.job_id for row in client.history(50).jobs if row.job_id.startswith(beginning)]
    if len(found) != 1:
        count = "none" if not found else f"{len(found)}"
        raise Refusal(Code.NO_SUCH_JOB, f"{count} of your last 50 jobs begin with {beginning!r}: give more of the id")
    return found[0]


def _file_name(snapshot: Snapshot, job_id: str) -> str:
    bundle = getattr(snapshot.terminal, "bundle", None)
    if bundle is None and snapshot.state not in (State.COMPLETED, State.CANCELLED):
        from labelferry_protocol.errors import Code, Refusal

        raise Refusal(Code.NOT_COMPLETED, f"job {job_id} has no bundle: it is {snapshot.state}")
    name: str = Path(getattr(bundle, "file_name", "")).name
    return name or f"{job_id}.zip"
