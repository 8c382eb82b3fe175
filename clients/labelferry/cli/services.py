"""`labelferry broker`, `worker` and `up`: the services, as processes of their own."""

import os
import sys
from pathlib import Path

import click

LISTEN = "tcp://127.0.0.1:5570"

cache_option = click.option(
    "--cache-bytes",
    metavar="SIZE",
    help="Keep so much finished work for later exports; none by default, or LABELFERRY_CACHE_BYTES.",
)


@click.command()
@click.option(
    "--listen",
    metavar="ENDPOINT",
    default=LISTEN,
    show_default=True,
    help="Where to listen: tcp://HOST:PORT or ipc://DIRECTORY.",
)
@click.option("--state", metavar="DIR", help="Where ledger and bundles are kept.")
@click.option(
    "--keys",
    "keys_directory",
    metavar="DIR",
    help="Keys, made with `labelferry keys`; needed unless only this machine can connect.",
)
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="How much to log.",
)
@click.option("--keep-days", metavar="DAYS", help="Bundles go at this age; 30 days by default.")
@click.option("--keep-bytes", metavar="SIZE", help="The oldest bundles go when all take more; 50GB by default.")
@click.option("--metrics-port", metavar="PORT", help="Serve Prometheus metrics at http://127.0.0.1:PORT/metrics.")
def broker(listen: str, state: str | None, keys_directory: str | None, log_level: str, **further: str | None) -> None:
    """Run a broker until it is told to stop (Ctrl-C, SIGTERM)."""
    command = ["labelferry_broker", "--listen", listen, "--state", state or _state(), "--log-level", log_level]
    _become([*command, *(["--keys", keys_directory] if keys_directory else []), *_given(further)])


@click.command()
@click.option(
    "--broker",
    metavar="ENDPOINT",
    envvar="LABELFERRY_BROKER",
    default=LISTEN,
    show_default=True,
    help="The broker to work for.",
)
@click.option("--slots", type=click.IntRange(1, 256), help="Jobs at once; one a processor by default.")
@click.option(
    "--root", "roots", multiple=True, metavar="DIR", help="Projects may be read below this directory, repeatable."
)
@click.option("--staging", metavar="DIR", help="Where bundles are made before they are brought to the depot.")
@click.option("--key", "key_file", metavar="FILE", envvar="LABELFERRY_KEY", help="The worker's key file.")
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="How much to log.",
)
@click.option(
    "--drain-seconds", metavar="SECONDS", help="Told to stop, what runs may finish within so long; 30 by default."
)
@click.option("--stall-kill", metavar="SECONDS", help="Kill what makes no progress for so long, and try it again.")
@click.option("--checkpoint-bytes", metavar="SIZE", help="Keep so much of a job for another attempt; 20GB by default.")
@cache_option
def worker(
    broker: str,
    slots: int | None,
    roots: tuple[str, ...],
    staging: str | None,
    key_file: str | None,
    log_level: str,
    **further: str | None,
) -> None:
    """Run a worker until it is told to stop; what runs then may finish."""
    _become([*_worker_command(broker, slots, roots, staging, key_file, log_level), *_given(further)])


@click.command()
@click.option("--listen", metavar="ENDPOINT", default=LISTEN, show_default=True, help="Where to listen.")
@click.option("--state", metavar="DIR", help="Where ledger and bundles are kept.")
@click.option("--workers", "slots", type=click.IntRange(1, 256), help="Jobs at once; one a processor by default.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    help="Projects may be read below this directory, repeatable; everywhere by default.",
)
@cache_option
def up(listen: str, state: str | None, slots: int | None, roots: tuple[str, ...], **further: str | None) -> None:
    """Run a broker and a worker on this machine until Ctrl-C or SIGTERM."""
    from labelferry.cli.pair import run_pair

    broker_command = ["labelferry_broker", "--listen", listen, "--state", state or _state()]
    worker_command = [*_worker_command(listen, slots, roots, None, None, "info"), *_given(further)]
    sys.exit(run_pair(broker_command, worker_command, listen))


def _worker_command(
    broker: str, slots: int | None, roots: tuple[str, ...], staging: str | None, key_file: str | None, log_level: str
) -> list[str]:
    command = [
        "labelferry_workers",
        "--broker",
        broker,
        "--slots",
        str(slots or os.cpu_count() or 1),
        "--log-level",
        log_level,
    ]
    for root in roots:
        if not Path(root).is_dir():
            click.echo(f"There is no folder {root}: nothing can be exported from there until there is one.", err=True)
        command += ["--root", str(Path(root).absolute())]
    if staging:
        command += ["--staging", str(Path(staging).absolute())]
    return [*command, *(["--key", key_file] if key_file else [])]


def _given(options: dict[str, str | None]) -> list[str]:
    """Return the options that were given, to be handed on as they are: the service itself knows what they may be."""
    return [
        word for name, value in options.items() if value is not None for word in (f"--{name.replace('_', '-')}", value)
    ]


def _state() -> str:
    from labelferry.embedded.place import Place, state_directory

    place = Place(state_directory())
    place.prepare()
    # Beside the embedded mode's own, never in it: one ledger has one broker.
    return str(place.state / "broker")


def _become(module_and_options: list[str]) -> None:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", *module_and_options])  # noqa: S606 - our own module, our own arguments
