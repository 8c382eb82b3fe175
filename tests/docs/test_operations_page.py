"""docs/operations.md gives the metrics and the numbers as the code has them; the units start what there is."""

import re
import shlex
from pathlib import Path

import click
import pytest

from labelferry import stream
from labelferry.cli import services
from labelferry.cli.commands import COMMANDS, labelferry
from labelferry_broker import dispatcher
from labelferry_broker.depot import broker_lane, carrier, downloads, uploads
from labelferry_broker.exposition import TURN_BOUNDS, Readings, page_of
from labelferry_broker.fanout import MAX_SUBSCRIPTIONS
from labelferry_broker.ledger import alarms
from labelferry_broker.ledger.crew import MOST_REPLACED
from labelferry_broker.ledger.figures import Figures, Histogram
from labelferry_broker.ledger.settings import LedgerSettings
from labelferry_protocol import limits
from labelferry_transport.sockets import CHUNKS_HIGH_WATER, HIGH_WATER
from labelferry_workers import checkpoints, endings, kept, mailbox
from labelferry_workers.settings import CrewSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
NOTHING = Histogram(()).read()
FIGURES = Figures({}, 0.0, 0.0, 0, 0, 0, 0, NOTHING, 0, 0, True)


def test_the_page_names_every_metric_and_no_other() -> None:
    text = page_of(Readings(FIGURES, 0, 0, Histogram(TURN_BOUNDS).read(), 1, 0.0))
    served = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert set(re.findall(r"`(labelferry_[a-z_]+)", PAGE)) == served


def test_the_page_gives_the_limits_as_the_code_has_them() -> None:
    ledger, crew = LedgerSettings(), CrewSettings()
    assert f"| {ledger.queued_per_user:,} |" in PAGE
    assert f"| {ledger.queued_in_all:,} |" in PAGE
    assert f"older than `--keep-days` ({ledger.keep_seconds / 86400:.0f})" in PAGE
    assert f"After {crew.stall_seconds:.0f} s without progress" in PAGE


def test_the_page_gives_the_bounds_as_the_code_has_them() -> None:
    ledger = LedgerSettings()
    for row in (
        f"{HIGH_WATER:,}; chunks of bundles {CHUNKS_HIGH_WATER}",
        f"{limits.MAX_BODY_BYTES // 1024} KiB, {limits.MAX_DEPTH}, {limits.MAX_LIST:,}; a chunk 1 MiB",
        f"taken in a turn | {dispatcher.BATCH}",
        f"the end of one cancel | {ledger.waiters_per_job}",
        f"subscriptions of a connection | {MAX_SUBSCRIPTIONS:,}",
        f"templates of a user | {ledger.templates_per_user}",
        f"as many as are set and {alarms.SLACK:,}; {MOST_REPLACED}",
        f"coming in; with those that wait to be stored | {uploads.MAX_COMING}; {uploads.MAX_WAITING}",
        f"on one connection | {downloads.MAX_OPEN}; {downloads.MAX_OPEN_PER_PEER}",
        f"could not be told | {broker_lane.MAX_WAITING}; {carrier.MAX_UNTOLD:,}",
        f"of stored bundles | {uploads.MAX_STORED:,}",
        f"and {CrewSettings().bundles_per_slot} bundles a slot",
        f"known to be kept | {endings.MAX_ENDED:,}; {kept.MOST_TOLD}",
        f"a job, {checkpoints.MOST_IDLE} jobs that do not run, {checkpoints.MOST_SECONDS / 3600:.0f} hours",
        f"{mailbox.MAX_KEPT} full points",
        f"that nobody takes | {stream.MOST_READY:,}",
        f"behind a gap | {stream.REPAIR_SECONDS:.0f} s",
    ):
        assert row in PAGE, row


def options_of(command: click.Command) -> set[str]:
    """Return all words that a command takes for options, with those of the commands in it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = {word for each in command.params for word in (*each.opts, *each.secondary_opts)} | {"--help"}
    return own.union(*map(options_of, below))


@pytest.mark.parametrize(
    "page", sorted({ROOT / "README.md", *(ROOT / "docs").glob("*.md")}), ids=lambda page: page.name
)
def test_a_command_on_a_page_has_the_options_that_it_is_shown_with(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for name, rest in re.findall(r"labelferry ([a-z]+)\b((?: [^`\n]*)?)", text):
        if name in COMMANDS:
            command = labelferry.get_command(click.Context(labelferry), name)
            assert command is not None
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest)) <= options_of(command), f"labelferry {name}{rest}"


def test_the_page_names_options_that_the_services_have() -> None:
    named = set(re.findall(r"`(--[a-z][a-z-]*)", PAGE))
    assert named >= {"--drain-seconds", "--keep-days", "--staging"}
    assert named <= options_of(services.broker) | options_of(services.worker)


@pytest.mark.parametrize(("unit", "command"), [("broker", services.broker), ("worker", services.worker)])
def test_a_unit_starts_its_service_with_options_that_there_are(unit: str, command: click.Command) -> None:
    text = (ROOT / "deploy" / f"labelferry-{unit}.service").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=(.*)", text, re.MULTILINE)
    words = shlex.split(line)
    assert words[:3] == ["/usr/bin/env", "labelferry", unit]
    assert {word for word in words if word.startswith("--")} <= options_of(command)
    assert "Type=notify" in text
