"""The options that commands share, and how the export options are made of them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.options import ExportOptions, OverlayStyle
from labelferry_protocol.words import OnError

F = TypeVar("F", bound=Callable[..., Any])

NONE = "none"
"""`--format none` and `--metrics none` leave that part out."""


def service_options(command: F) -> F:
    """Add --broker and --key: which service to use; the embedded one when none is named."""
    command = click.option(
        "--key", "key_file", metavar="FILE", envvar="LABELFERRY_KEY", help="Your key file, where the broker wants keys."
    )(command)
    return click.option(
        "--broker",
        metavar="ENDPOINT",
        envvar="LABELFERRY_BROKER",
        help="The broker, as tcp://HOST:PORT or ipc://DIRECTORY.",
    )(command)


def json_option(command: F) -> F:
    """Add --json: one JSON object an event (or one for the whole answer) on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="JSON on stdout, one line an event.")(command)


_EXPORT_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--name", metavar="TEXT", help="Name of the project in the bundle; its folder's by default."),
    click.option("--source-format", metavar="NAME", help="Form of the project; recognised by default."),
    click.option("--images/--no-images", default=True, help="Copy the original images, bit for bit."),
    click.option(
        "--page", type=click.IntRange(1), metavar="N", help="Of image files with several pages, the one to export (1)."
    ),
    click.option("--visualizations/--no-visualizations", default=True, help="Draw overlays."),
    click.option("--fill-opacity", type=click.FloatRange(0, 1), help="Of overlays; 0 leaves shapes unfilled."),
    click.option(
        "--stroke", "stroke_width", type=click.IntRange(0, 64), help="Outline width of overlays in px; 0 draws none."
    ),
    click.option("--numbers/--no-numbers", default=True, help="Draw the objects' numbers."),
    click.option("--color-by", type=click.Choice(["class", "instance"]), help="What gives an object its colour."),
    click.option(
        "--format",
        "formats",
        multiple=True,
        metavar="NAME",
        help="Annotation format, repeatable (coco and json by default; none for none).",
    ),
    click.option(
        "--format-option",
        "format_options",
        multiple=True,
        metavar="FORMAT.KEY=VALUE",
        help="An option of one format, repeatable.",
    ),
    click.option(
        "--metrics",
        multiple=True,
        metavar="NAME",
        help="Metric tables, repeatable (csv and xlsx by default; none for none).",
    ),
    click.option(
        "--scale", type=float, metavar="UM_PER_PX", help="Micrometres per pixel; lengths stay in pixels without it."
    ),
    click.option("--select", multiple=True, metavar="GLOB", help="Only images whose name matches, repeatable."),
    click.option("--class", "classes", multiple=True, metavar="NAME", help="Only objects of this class, repeatable."),
    click.option("--annotated-only", is_flag=True, help="Leave out images without objects."),
    click.option("--split", metavar="NAME=SHARE,...", help="Split the images, for example train=0.8,val=0.1,test=0.1."),
    click.option("--seed", type=int, help="Of the split."),
    click.option(
        "--on-error",
        type=click.Choice(["fail", "skip"]),
        help="What to do with what cannot be exported: end the job, or warn and go on.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="Cancel the job by itself after this time.",
    ),
    click.option("--keep-partial", is_flag=True, help="On cancel, keep the finished part as a bundle."),
    click.option("--template", metavar="NAME", help="Begin with the options saved under this name."),
)


def export_options(command: F) -> F:
    """Add every option that shapes a bundle."""
    for option in reversed(_EXPORT_OPTIONS):
        command = option(command)
    return command


def options_from(context: click.Context, base: ExportOptions) -> ExportOptions:
    """Return `base` changed by what was said on the command line; raise `click.UsageError` for a value that cannot be."""
    said = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    }
    changes: dict[str, Any] = {
        name: said[name] for name in ExportOptions.__struct_fields__ if name in said and name not in _PARSED
    }
    style = {name: said[name] for name in OverlayStyle.__struct_fields__ if name in said}
    changes["style"] = msgspec.structs.replace(base.style, **style)
    for name, parse in _PARSED.items():
        if name in said:
            changes[name] = parse(said[name])
    try:
        options = msgspec.structs.replace(base, **changes)
        checked = msgspec.convert(msgspec.to_builtins(options), ExportOptions)
        _check_with_engine(checked)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None
    return checked


def _check_with_engine(options: ExportOptions) -> None:
    from labelferry_export.check import check
    from labelferry_export.errors import ExportError

    try:
        check(options)
    except ExportError as error:
        raise Refusal(Code.USAGE, error.message) from None


def _names(said: tuple[str, ...]) -> tuple[str, ...]:
    return () if said == (NONE,) else tuple(dict.fromkeys(said))


def _split(said: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for piece in said.split(","):
        name, mark, share = piece.strip().partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            mark = ""
        if not mark or not name:
            raise click.UsageError(f"--split: {piece.strip()!r} is not NAME=SHARE, as in train=0.8,val=0.2")
    return shares


def _format_options(said: tuple[str, ...]) -> dict[str, dict[str, str | int | float | bool]]:
    options: dict[str, dict[str, str | int | float | bool]] = {}
    for piece in said:
        place, mark, value = piece.partition("=")
        name, dot, key = place.partition(".")
        if not (mark and dot and name and key):
            raise click.UsageError(f"--format-option: {piece!r} is not FORMAT.KEY=VALUE, as in coco.holes=rle")
        options.setdefault(name, {})[key] = _scalar(value)
    return options


def _scalar(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


_PARSED: dict[str, Callable[[Any], Any]] = {
    "formats": _names,
    "metrics": _names,
    "split": _split,
    "format_options": _format_options,
    "on_error": OnError,
}
