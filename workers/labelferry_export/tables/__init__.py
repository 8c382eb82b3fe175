"""The metrics tables, and who writes them: one file `..._table.py` here each, and those of third parties by the entry point group.

How a stage uses it: make `Measurements`, `add` every image, `finish`, then let every wanted writer write them, and `close`.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from labelferry_export.chosen_options import chosen
from labelferry_export.format import Cost
from labelferry_export.plugins import Brought, Origin, brought, checked
from labelferry_export.tables.measuring import Measurements
from labelferry_export.tables.writer import MetricWriter
from labelferry_protocol.options import FormatOption

__all__ = ["MEASURING", "Measurements", "MetricWriter", "find", "known"]

GROUP, NOUN = "labelferry.metrics", "metric writer"
"""An entry point of this group names a `MetricWriter`."""
MEASURING = Cost(image=1.1, object=0.031)
"""What measuring takes before anything is written, ms on the machine of `costs`."""


def known() -> Mapping[str, MetricWriter]:
    """Return every writer that can be used by its name, in the order of names."""
    return dict(sorted({**others().things, **ours()}.items()))


@cache
def ours() -> Mapping[str, MetricWriter]:
    """Return our own writers."""
    names = (module.name for module in pkgutil.iter_modules(__path__) if module.name.endswith("_table"))
    found: list[MetricWriter] = [importlib.import_module(f"{__name__}.{name}").WRITER for name in names]
    return {each.name: each for each in found}


@cache
def others() -> Brought[MetricWriter]:
    """Return the writers of other packages."""
    return brought(GROUP, NOUN, lambda found: checked(MetricWriter, found), frozenset(ours()))


def origin(name: str) -> Origin | None:
    """Return the package that brings the one of this name; None where it is ours."""
    return None if name in ours() else others().origins.get(name)


def find(name: str) -> MetricWriter:
    """Return the writer of this name; a usage error names the known ones, or says why it cannot be used."""
    if name in ours():
        return ours()[name]
    return others().find(name, f"no metrics are called {name!r}: choose from {', '.join(known())}")


def resolve(wanted: MetricWriter, given: Mapping[str, FormatOption]) -> dict[str, FormatOption]:
    """Return the values of all options of a writer; a usage error names what is unknown or out of place."""
    return chosen(NOUN, wanted.name, wanted.options, given)
