"""`labelferry template`: export options kept under a name, at the broker, for each user."""

import click

from labelferry.cli.choices import export_options, json_option, options_from, service_options
from labelferry.cli.grouping import GroupedCommand
from labelferry_protocol.options import ExportOptions


@click.group()
def template() -> None:
    """Keep export options under a name, to use with `--template NAME`."""


@template.command(cls=GroupedCommand)
@click.argument("template_name", metavar="NAME")
@export_options
@service_options
@click.pass_context
def save(
    context: click.Context,
    /,
    template_name: str,
    broker: str | None,
    key_file: str | None,
    template: str | None,
    **_options: object,
) -> None:
    """Keep the options given here under NAME; an older one of that name is replaced."""
    from labelferry.cli.session import client_for

    with client_for(broker, key_file) as client:
        base = client.template(template).options if template else ExportOptions()
        client.save_template(template_name, options_from(context, base))
    click.echo(f"Saved. Use it with: labelferry export SOURCE --template {template_name}")


@template.command("list")
@service_options
@json_option
def list_(broker: str | None, key_file: str | None, as_json: bool) -> None:
    """List the names of your templates."""
    from labelferry.cli.session import client_for
    from labelferry.cli.show.json_lines import print_json

    with client_for(broker, key_file) as client:
        names = client.templates()
    if as_json:
        print_json(names)
        return
    for name in names:
        click.echo(name)


@template.command()
@click.argument("template_name", metavar="NAME")
@service_options
@json_option
def show(template_name: str, broker: str | None, key_file: str | None, as_json: bool) -> None:
    """Show the options kept under NAME."""
    import msgspec

    from labelferry.cli.session import client_for
    from labelferry.cli.show.json_lines import print_json

    with client_for(broker, key_file) as client:
        found = client.template(template_name)
    if as_json:
        print_json(found)
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(found.options)).decode())


@template.command()
@click.argument("template_name", metavar="NAME")
@service_options
def delete(template_name: str, broker: str | None, key_file: str | None) -> None:
    """Forget the options kept under NAME."""
    from labelferry.cli.session import client_for

    with client_for(broker, key_file) as client:
        client.delete_template(template_name)
    click.echo(f"Deleted {template_name}.")
