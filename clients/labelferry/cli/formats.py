"""`labelferry formats`: what can be read and written."""

import click

from labelferry.cli.choices import json_option


@click.command()
@json_option
def formats(as_json: bool) -> None:
    """List the project forms that are read, the annotation formats and the metric tables that are written."""
    from labelferry.cli.show.json_lines import print_json
    from labelferry_export.exporter import catalogue

    known = catalogue()
    if as_json:
        print_json({kind: {entry.name: entry.title for entry in entries} for kind, entries in known.items()})
        return
    for kind, entries in known.items():
        click.echo(f"{kind}:")
        for entry in entries:
            click.echo(f"  {entry.name:<12} {entry.title}")
