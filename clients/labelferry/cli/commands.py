"""The commands of `labelferry`. Each group of them is a file, read only when it is asked for, so that help is there at once."""

import importlib

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "export": ("labelferry.cli.export", "Export a project: run the job, show its progress, download the bundle."),
    "submit": ("labelferry.cli.jobs", "Hand a job to a broker and print its id."),
    "watch": ("labelferry.cli.jobs", "Show the events of a job until it ends."),
    "status": ("labelferry.cli.jobs", "Show how a job stands, or the service when no job is named."),
    "cancel": ("labelferry.cli.jobs", "Stop a job and wait for the confirmation."),
    "download": ("labelferry.cli.jobs", "Fetch the bundle of a completed job; a cut download goes on."),
    "history": ("labelferry.cli.jobs", "List jobs, newest first."),
    "template": ("labelferry.cli.templates", "Keep export options under a name."),
    "formats": ("labelferry.cli.formats", "List what can be read and written."),
    "sample": ("labelferry.cli.samples", "Make a real sample project to try things on."),
    "up": ("labelferry.cli.services", "Run a broker and a worker on this machine."),
    "broker": ("labelferry.cli.services", "Run a broker."),
    "worker": ("labelferry.cli.services", "Run a worker."),
    "keys": ("labelferry.cli.keys", "Make and list keys, for several machines."),
    "doctor": ("labelferry.cli.doctor", "Say in sentences what is right and what is wrong here."),
}


class LazyGroup(click.Group):
    """A group that imports a command's file when the command is used."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the names of all commands, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Return one command."""
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[name][0]), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above is ours
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from labelferry_protocol.software import software

        click.echo(software())
        context.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Say which labelferry this is.",
)
def labelferry() -> None:
    """Export annotated image projects as jobs, with live progress and a cancel that really stops.

    Without a broker named (--broker or LABELFERRY_BROKER), a broker and workers of your own run for as long as they are needed.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 cancelled, 4 refused, 5 broker not reachable.
    """
