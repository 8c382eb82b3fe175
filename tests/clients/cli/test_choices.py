"""Export options from the command line: what is said, what is not, and what cannot be."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from labelferry.cli.choices import export_options, options_from, service_options
from labelferry_protocol.errors import Refusal
from labelferry_protocol.options import ExportOptions, OverlayStyle
from labelferry_protocol.words import Border, OnError


def options_of(*arguments: str, base: ExportOptions | None = None) -> ExportOptions:
    made: list[ExportOptions] = []

    @click.command()
    @export_options
    @service_options
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
        *("--image-format", "jpeg", "--image-quality", "80", "--max-side", "1024", "--page", "2"),
        *("--on-error", "skip", "--timeout", "60", "--keep-partial"),
    )
    assert options == ExportOptions(
        name="cells",
        images=False,
        style=OverlayStyle(fill_opacity=0.0, stroke_width=0, numbers=False, color_by="instance"),
        formats=("coco", "yolo"),
        metrics=("json",),
        scale=0.0625,
        image_format="jpeg",
        image_quality=80,
        max_side=1024,
        page=2,
        select=("a*",),
        classes=("nucleus",),
        annotated_only=True,
        split={"train": 0.8, "val": 0.2},
        seed=7,
        on_error=OnError.SKIP,
        timeout=60.0,
        keep_partial=True,
    )


def test_every_selection_and_split_said_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("a.png")
    (tmp_path / "classes.csv").write_text("old,new\nwolf,dog\n")
    options = options_of(
        *(
            "--exclude",
            "bad*",
            "--exclude",
            "x/*",
            "--images-from",
            "list.txt",
            "--objects-from",
            str(tmp_path / "list.txt"),
        ),
        *("--map-class", "cat=felid", "--map-class", "*=", "--class-map", "classes.csv", "--where", "score > 0.5"),
        *(
            "--min-area",
            "3",
            "--max-area",
            "9.5",
            "--border",
            "only",
            "--split",
            "train=1",
            "--split-by",
            r"regex:(p\d)",
        ),
    )
    assert options == ExportOptions(
        exclude=("bad*", "x/*"),
        images_from=str(tmp_path / "list.txt"),
        objects_from=str(tmp_path / "list.txt"),
        class_map={"wolf": "dog", "cat": "felid", "*": ""},
        where="score > 0.5",
        min_area=3.0,
        max_area=9.5,
        border=Border.ONLY,
        split={"train": 1.0},
        split_by=r"regex:(p\d)",
    )


def test_an_empty_value_takes_back_what_a_template_says() -> None:
    base = ExportOptions(
        select=("a",),
        exclude=("b",),
        classes=("c",),
        images_from="/list",
        class_map={"a": "b"},
        where="x",
        max_area=3.0,
        annotated_only=True,
        source_split=True,
    )
    options = options_of(
        *("--select", "", "--exclude", "", "--class", "", "--images-from", "", "--map-class", "", "--where", ""),
        *("--max-area", "inf", "--with-empty", "--split", "none"),
        base=base,
    )
    assert options == ExportOptions()


def test_a_split_by_shares_and_the_projects_own_replace_one_another() -> None:
    shares = ExportOptions(split={"train": 1.0})
    own = ExportOptions(source_split=True)
    by_folder = ExportOptions(split={"train": 1.0}, split_by="folder")
    assert options_of("--split", "source", base=shares) == own
    assert options_of("--split", "train=1", base=own) == shares
    assert options_of("--split", "source", base=by_folder) == own
    assert options_of("--split", "none", base=by_folder) == ExportOptions()


def test_a_list_need_not_be_here_when_the_workers_are_elsewhere() -> None:
    assert (
        options_of("--images-from", "/elsewhere/list.txt", "--broker", "tcp://far:1").images_from
        == "/elsewhere/list.txt"
    )
    with pytest.raises(click.UsageError, match="there is no list at /elsewhere"):
        options_of("--images-from", "/elsewhere/list.txt")


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
        ("--min-area", "nan"),
        ("--min-area", "inf"),
        ("--min-area", "-1"),
        ("--min-area", "5", "--max-area", "4"),
        ("--where", "score >"),
        ("--split-by", "patient"),
        ("--split-by", "folder"),
        ("--split", "source", "--split-by", "folder"),
        ("--map-class", "a"),
        ("--map-class", "=b"),
        ("--map-class", "a=b", "--map-class", "a=c"),
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scale", "0"), "0.0 is not in the range 0<x<=1000000.0"),
        (("--split", "train=1,val=0"), "the share of 'val' is 0; shares are above 0 and at most 1"),
        (("--split", "train=80,val=20"), "the share of 'train' is 80; shares are above 0 and at most 1"),
        (("--split", "train=nan"), "the share of 'train' is nan; shares are above 0 and at most 1"),
    ],
)
def test_a_number_out_of_its_range_is_said_in_words(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        options_of(*arguments)
    assert said in caught.value.format_message()


def repeated(option: str, times: int) -> tuple[str, ...]:
    return tuple(word for number in range(times) for word in (option, f"a{number}"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--name", "x" * 256), "--name must have at most 255 characters"),
        (("--source-format", "x" * 65), "--source-format must have at most 64 characters"),
        (("--max-side", "1000001"), "--max-side must be at most 1,000,000"),
        (("--page", "1000001"), "--page must be at most 1,000,000"),
        (("--fill-opacity", "nan"), "--fill-opacity must be at least 0"),
        (repeated("--format", 65), "--format must have at most 64 entries"),
        (("--format", ""), "--format must have at least 1 character"),
        (("--format-option", f"coco.{'x' * 65}=1"), "--format-option must have at most 64 characters"),
        (repeated("--metrics", 17), "--metrics must have at most 16 entries"),
        (("--metrics-option", f"{'x' * 65}.bom=1"), "--metrics-option must have at most 64 characters"),
        (("--scale", "nan"), "--scale must be more than 0"),
        (repeated("--select", 65), "--select must have at most 64 entries"),
        (("--select", "x" * 256), "--select must have at most 255 characters"),
        (("--exclude", "x" * 256), "--exclude must have at most 255 characters"),
        (repeated("--class", 1025), "--class must have at most 1,024 entries"),
        (("--class", "x" * 256), "--class must have at most 255 characters"),
        (("--map-class", f"a={'x' * 256}"), "--class-map must have at most 255 characters"),
        (("--map-class", f"{'x' * 256}=a"), "--class-map must have at most 255 characters"),
        (("--where", "x" * 2049), "--where must have at most 2,048 characters"),
        (("--min-area", "1e19"), "--min-area must be at most 1e+18"),
        (("--max-area", "nan"), "--max-area must be at least 0"),
        (("--split", ",".join(f"s{number}=0.05" for number in range(17))), "--split must have at most 16 entries"),
        (("--split", f"{'x' * 65}=0.5"), "--split must have at most 64 characters"),
        (("--split-by", ""), "--split-by must have at least 1 character"),
        (("--split-by", f"regex:{'x' * 512}"), "--split-by must have at most 512 characters"),
        (("--timeout", "1e10"), "--timeout must be at most 1,000,000,000"),
        (("--images-from", f"/{'x' * 4096}", "--broker", "b"), "--images-from must have at most 4,096 characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_value_beyond_what_the_contract_bounds_is_a_sentence_about_its_option(
    arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(click.UsageError) as caught:
        options_of(*arguments)
    assert caught.value.message == sentence


@pytest.mark.parametrize("seed", [-(2**63) - 1, 2**64])
def test_a_seed_that_no_message_can_hold_is_wrong_usage(seed: int) -> None:
    with pytest.raises(click.BadParameter, match="not in the range"):
        options_of("--seed", str(seed))
    assert options_of("--seed", str(2**64 - 1)).seed == 2**64 - 1


@pytest.mark.parametrize("path", ["x" * 300, "~no such person/list.txt"])
def test_a_list_whose_path_cannot_be_is_not_there(path: str) -> None:
    with pytest.raises(click.UsageError, match="there is no list at"):
        options_of("--images-from", path)
