"""The options that commands share, and how the export options are made of them."""

import argparse
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from labelferry.cli.option_table import EXPORT_OPTIONS
from labelferry.cli.option_values import changes_from
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.options import ExportOptions, OverlayStyle

_OUT_OF_BOUNDS = re.compile(r"Expected `(\w+)`( of length)? (>=|<=|>) (\S+) - at `(?:key` in `)?\$\.(?:style\.)?(\w+)")
_SIGNS = {">=": "at least", "<=": "at most", ">": "more than"}

F = TypeVar("F", bound=Callable[..., Any])


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


def amount(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Return a size in bytes, as a service would read it."""
    from labelferry_transport.amounts import size

    try:
        return None if value is None else size(value)
    except argparse.ArgumentTypeError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def export_options(command: F) -> F:
    """Add every option that shapes a bundle."""
    for option in reversed(EXPORT_OPTIONS):
        command = option(command)
    return command


def options_from(context: click.Context, base: ExportOptions) -> ExportOptions:
    """Return `base` changed by what was said on the command line; raise `click.UsageError` for a value that cannot be."""
    said = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    }
    changes: dict[str, Any] = {name: said[name] for name in ExportOptions.__struct_fields__ if name in said}
    changes |= changes_from(said, here=context.params.get("broker") is None)
    style = {name: said[name] for name in OverlayStyle.__struct_fields__ if name in said}
    changes["style"] = msgspec.structs.replace(base.style, **style)
    try:
        options = msgspec.structs.replace(base, **changes)
        checked = msgspec.convert(msgspec.to_builtins(options), ExportOptions)
        _check_with_engine(checked)
    except msgspec.ValidationError as error:
        raise click.UsageError(_in_words(context, str(error))) from None
    return checked


def _in_words(context: click.Context, error: str) -> str:
    """Return what the contract says of a value that is out of its bounds as a sentence about the option."""
    found = _OUT_OF_BOUNDS.match(error)
    if found is None:
        return error
    kind, counted, sign, bound, field = found.groups()
    option = next((each.opts[0] for each in context.command.params if each.name == field), f"--{field}")
    words = f"{option.replace('_', '-')} must {'have' if counted else 'be'} {_SIGNS[sign]} {float(bound):,.15g}"
    if not counted:
        return words
    one, many = ("character", "characters") if kind == "str" else ("entry", "entries")
    return f"{words} {one if bound == '1' else many}"


def _check_with_engine(options: ExportOptions) -> None:
    from labelferry_export.check import check
    from labelferry_export.errors import ExportError

    try:
        check(options)
    except ExportError as error:
        raise Refusal(Code.USAGE, error.message) from None
