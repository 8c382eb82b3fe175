"""Export options from the command line: what is said, what is not, and what cannot be."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from labelferry.cli.choices import export_options, options_from
from labelferry_protocol.errors import Refusal
from labelferry_protocol.options import ExportOptions, OverlayStyle
from labelferry_protocol.words import OnError


def options_of(*arguments: str, base: ExportOptions | None = None) -> ExportOptions:
    made: list[ExportOptions] = []

    @click.command()
    @export_options
    @click.pass_context
    def command(context: click.Context, /, **_options: Any) -> None:
        made.append(options_from(context, base or ExportOptions()))

    result = CliRunner().invoke(command, list(arguments), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return made[0]


def test_nothing_said_is_the_defaults() -> None:
    assert options_of() == ExportOptions()


def test_everything_said_arrives() -> None:
    options = options_of(
        *(
            "--name",
            "cells",
            "--no-images",
            "--fill-opacity",
            "0",
            "--stroke",
            "0",
            "--no-numbers",
            "--color-by",
            "instance",
        ),
        *("--format", "coco", "--format", "yolo", "--format", "coco", "--metrics", "json", "--scale", "0.0625"),
        *("--select", "a*", "--class", "nucleus", "--annotated-only", "--split", "train=0.8, val=0.2", "--seed", "7"),
        *("--on-error", "skip", "--timeout", "60", "--keep-partial"),
    )
    assert options == ExportOptions(
        name="cells",
        images=False,
        style=OverlayStyle(fill_opacity=0.0, stroke_width=0, numbers=False, color_by="instance"),
        formats=("coco", "yolo"),
        metrics=("json",),
        scale=0.0625,
        select=("a*",),
        classes=("nucleus",),
        annotated_only=True,
        split={"train": 0.8, "val": 0.2},
        seed=7,
        on_error=OnError.SKIP,
        timeout=60.0,
        keep_partial=True,
    )


def test_none_leaves_a_part_out() -> None:
    assert options_of("--format", "none", "--metrics", "none") == ExportOptions(formats=(), metrics=())


def test_what_is_said_changes_a_template_and_nothing_else_of_it() -> None:
    base = ExportOptions(formats=("yolo",), scale=0.5, style=OverlayStyle(stroke_width=5))
    assert options_of("--fill-opacity", "1", base=base) == ExportOptions(
        formats=("yolo",), scale=0.5, style=OverlayStyle(stroke_width=5, fill_opacity=1.0)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--split", "train"),
        ("--split", "train=x"),
        ("--split", "=1"),
        ("--scale", "0"),
        ("--scale", "nan"),
        ("--format-option", "coco"),
    ],
)
def test_a_value_that_cannot_be_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    with pytest.raises((click.UsageError, Refusal)):
        options_of(*arguments)


def test_an_unknown_format_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(Refusal, match="coco") as refused:
        options_of("--format", "cocoo")
    assert refused.value.exit_code == 2
