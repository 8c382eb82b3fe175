"""The options of a single format or metric table: the values that were chosen for all of them, or what is wrong with one."""

from collections.abc import Mapping

from labelferry_export.errors import ExportError
from labelferry_export.format import Option
from labelferry_protocol.errors import Code
from labelferry_protocol.options import FormatOption


def chosen(
    noun: str, name: str, options: Mapping[str, Option], given: Mapping[str, FormatOption]
) -> dict[str, FormatOption]:
    """Return the values of all options of the `noun` called `name`; a usage error names what is unknown or out of place."""
    for key, value in given.items():
        if key not in options:
            names = ", ".join(options) or "none"
            raise ExportError(Code.USAGE, f"the {noun} {name} has no option {key!r}; it has: {names}", item=name)
        _check_value(name, key, options[key], value)
    return {key: given.get(key, option.default) for key, option in options.items()}


def _check_value(name: str, key: str, option: Option, value: FormatOption) -> None:
    if option.choices:
        if not any(value == choice and type(value) is type(choice) for choice in option.choices):
            choices = ", ".join(str(choice) for choice in option.choices)
            raise ExportError(Code.USAGE, f"the option {key} of {name} is one of {choices}, not {value!r}", item=name)
    elif type(value) is not type(option.default) and not (type(option.default) is float and type(value) is int):
        kind = type(option.default).__name__
        raise ExportError(Code.USAGE, f"the option {key} of {name} is a {kind}, not {value!r}", item=name)
