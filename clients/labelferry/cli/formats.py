"""`labelferry formats`: what can be read and written."""

import click

from labelferry.cli.choices import json_option


@click.command()
@json_option
def formats(as_json: bool) -> None:
    """List the project forms that are read, the annotation formats and the metric tables that are written.

    What another package brings says which; what it brings and cannot be used is a warning.
    """
    from labelferry.cli.show.json_lines import print_json
    from labelferry_export.catalogue import catalogue, problems
    from labelferry_export.plugins import OURS

    known, broken = catalogue(), [problem.message for problem in problems()]
    if as_json:
        titles = {kind: {entry.name: entry.title for entry in entries} for kind, entries in known.items()}
        origins = {kind: {entry.name: entry.origin for entry in entries} for kind, entries in known.items()}
        print_json({**titles, "origins": origins, "problems": broken})
        return
    for kind, entries in known.items():
        click.echo(f"{kind}:")
        for entry in entries:
            click.echo(f"  {entry.name:<15} {entry.title}{'' if entry.origin == OURS else f' (from {entry.origin})'}")
    for message in broken:
        click.echo(f"Warning: {message}", err=True)
