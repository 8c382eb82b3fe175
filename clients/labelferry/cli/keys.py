"""`labelferry keys`: the broker's key, and one for each user, worker and admin."""

from pathlib import Path

import click

from labelferry_protocol.words import Role

DIRECTORY = click.option(
    "--keys", "directory", metavar="DIR", default="keys", show_default=True, help="Where the broker keeps its keys."
)


@click.group()
def keys() -> None:
    """Make and list keys.

    On the broker's machine: `keys broker`, then `keys user NAME` and `keys worker NAME`; hand each NAME.key to its
    owner alone. Whoever has a key file speaks as that name.
    """


@keys.command()
@DIRECTORY
def broker(directory: str) -> None:
    """Make the broker's own key; once, before all others."""
    from labelferry_transport.keys import make_broker_key

    path = make_broker_key(Path(directory))
    click.echo(f"Made {path}. Start the broker with: labelferry broker --listen tcp://HOST:5570 --keys {directory}")


def _peer_command(role: Role, what: str) -> None:
    @keys.command(str(role), help=f"Make the key of {what} and authorize it.")
    @click.argument("name")
    @DIRECTORY
    @click.option("-o", "--output", metavar="FILE", help="Where the key file goes; ./NAME.key by default.")
    def make(name: str, directory: str, output: str | None) -> None:
        from labelferry_transport.keys import make_peer_key

        path = make_peer_key(Path(directory), role, name, Path(output or f"{name}.key"))
        click.echo(
            f"Made {path}: hand it to {role} {name} alone. To take it back, remove {directory}/authorized/{role}-{name}.pub"
        )


_peer_command(Role.USER, "a user")
_peer_command(Role.WORKER, "a worker")
_peer_command(Role.ADMIN, "an admin")


@keys.command("list")
@DIRECTORY
def list_(directory: str) -> None:
    """List who may connect, and as what."""
    from labelferry_transport.keys import authorized, load_key

    load_key(Path(directory) / "broker.key")
    for role, name in sorted(authorized(Path(directory)).values()):
        click.echo(f"{role:<7} {name}")
