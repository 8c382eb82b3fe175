"""The metrics tables, and who writes them: one file `..._table.py` here each, and those of third parties by the entry point group.

How a stage uses it: make `Measurements`, `add` every image, `finish`, then let every wanted writer write them, and `close`.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from labelferry_export.errors import ExportError
from labelferry_export.format import Cost
from labelferry_export.tables.measuring import Measurements
from labelferry_export.tables.writer import MetricWriter
from labelferry_protocol.errors import Code

__all__ = ["MEASURING", "Measurements", "MetricWriter", "find", "known"]

GROUP = "labelferry.metrics"
"""An entry point of this group names a `MetricWriter`."""
MEASURING = Cost(image=1.5, object=0.05)
"""What measuring takes before anything is written, ms on the machine of `costs`."""


@cache
def known() -> Mapping[str, MetricWriter]:
    """Return every writer by its name, in the order of names; ours win over a third party's of the same name."""
    found: dict[str, MetricWriter] = {point.name: point.load() for point in entry_points(group=GROUP)}
    for module in pkgutil.iter_modules(__path__):
        if module.name.endswith("_table"):
            each: MetricWriter = importlib.import_module(f"{__name__}.{module.name}").WRITER
            found[each.name] = each
    return dict(sorted(found.items()))


def find(name: str) -> MetricWriter:
    """Return the writer of this name; a usage error names the known ones."""
    try:
        return known()[name]
    except KeyError:
        raise ExportError(
            Code.USAGE, f"no metrics are called {name!r}: choose from {', '.join(known())}", item=name
        ) from None
