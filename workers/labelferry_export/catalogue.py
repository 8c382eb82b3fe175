"""What the engine can read and write, by name and title, and whose it is: what `labelferry formats` lists."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from labelferry_export import formats, sources, stages, tables
from labelferry_export.plugins import OURS, Origin, Problem


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One thing to choose: the word users type, what it is called in sentences, and the package that brings it."""

    name: str
    title: str
    origin: str = OURS


class _Titled(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...


def catalogue() -> dict[str, tuple[CatalogueEntry, ...]]:
    """Return the sources, formats and metrics that are there, those of third parties included, each in the order of names."""
    return {
        "sources": _entries(map(sources.find_source, sources.source_names()), sources.origin),
        "formats": _entries(formats.known().values(), formats.origin),
        "metrics": _entries(tables.known().values(), tables.origin),
    }


def problems() -> tuple[Problem, ...]:
    """Return what other packages bring and cannot be used, each with a sentence that says why."""
    found = (sources.others(), formats.others(), tables.others(), stages.others())
    return tuple(problem for each in found for problem in each.problems)


def _entries(things: Iterable[_Titled], origin: Callable[[str], Origin | None]) -> tuple[CatalogueEntry, ...]:
    return tuple(CatalogueEntry(each.name, each.title, str(origin(each.name) or OURS)) for each in things)
