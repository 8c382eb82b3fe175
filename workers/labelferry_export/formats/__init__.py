"""The formats a bundle can hold: one file here each, and those of third parties by the entry point group `labelferry.formats`.

A file here whose name does not begin with an underscore has a constant `FORMAT`, which is a `Format`; an entry point names one.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from functools import cache

from labelferry_export.chosen_options import chosen
from labelferry_export.errors import ExportError
from labelferry_export.format import Cost, Format
from labelferry_export.plugins import Brought, Origin, brought, checked
from labelferry_protocol.errors import Code
from labelferry_protocol.options import FormatOption

GROUP, NOUN = "labelferry.formats", "format"


def known() -> Mapping[str, Format]:
    """Return every format that can be used by its name, in the order of names."""
    return dict(sorted({**others().things, **ours()}.items()))


@cache
def ours() -> Mapping[str, Format]:
    """Return our own formats."""
    names = (module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    found: list[Format] = [importlib.import_module(f"{__name__}.{name}").FORMAT for name in names]
    return {each.name: each for each in found}


@cache
def others() -> Brought[Format]:
    """Return the formats of other packages."""
    return brought(GROUP, NOUN, lambda found: checked(Format, found), frozenset(ours()))


def origin(name: str) -> Origin | None:
    """Return the package that brings the one of this name; None where it is ours."""
    return None if name in ours() else others().origins.get(name)


def find(name: str) -> Format:
    """Return the format of this name; a usage error names the known ones, or says why it cannot be used."""
    if name in ours():
        return ours()[name]
    return others().find(name, f"no format is called {name!r}: choose from {', '.join(known())}")


def check_needs(wanted: Format) -> None:
    """Raise a usage error when a library that a format stands on is not installed; it says how to install it."""
    needs = wanted.needs
    if needs is not None and importlib.util.find_spec(needs.module) is None:
        raise ExportError(
            Code.USAGE,
            f"the format {wanted.name} needs {needs.module}, which is not installed here: pip install '{needs.install}'",
            item=wanted.name,
        )


def resolve(wanted: Format, given: Mapping[str, FormatOption]) -> dict[str, FormatOption]:
    """Return the values of all options of a format; a usage error names what is unknown or out of place."""
    return chosen(NOUN, wanted.name, wanted.options, given)


def cost(name: str, given: Mapping[str, Mapping[str, FormatOption]]) -> Cost:
    """Return what writing a format takes with the options that are `given`, by format."""
    wanted = find(name)
    return wanted.cost_of(resolve(wanted, given.get(name, {})))
