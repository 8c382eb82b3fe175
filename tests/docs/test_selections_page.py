"""docs/selections.md shows commands that work."""

import shlex
from pathlib import Path

import click
import pytest

from labelferry.cli.export import export

PAGE = (Path(__file__).parents[2] / "docs" / "selections.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    labelferry export ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_on_the_page_is_understood(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from labelferry.cli.choices import options_from
    from labelferry_protocol.options import ExportOptions

    monkeypatch.chdir(tmp_path)
    for name in ("good.txt", "reviewed.csv"):
        (tmp_path / name).touch()
    (tmp_path / "classes.csv").write_text("wolf,dog\n")
    context = export.make_context("export", shlex.split(command)[2:])
    assert options_from(context, ExportOptions()) != ExportOptions()


def test_the_page_names_every_option_of_its_groups() -> None:
    groups = ("What is selected", "What classes are called", "How images are split")
    wanted = [
        each
        for each in export.params
        if isinstance(each, click.Option) and getattr(each, "group", "").startswith(groups)
    ]
    assert len(wanted) > 10
    assert [each.opts[0] for each in wanted if each.opts[0] not in PAGE] == []
