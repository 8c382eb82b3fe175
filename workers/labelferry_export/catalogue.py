"""What the engine can read and write, by name and title: what `labelferry formats` lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from labelferry_export import formats, sources, tables


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One thing to choose: the word users type, and what it is called in sentences."""

    name: str
    title: str


class _Titled(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...


def catalogue() -> dict[str, tuple[CatalogueEntry, ...]]:
    """Return the sources, formats and metrics that are there, those of third parties included, each in the order of names."""
    return {
        "sources": _entries(map(sources.find_source, sources.source_names())),
        "formats": _entries(formats.known().values()),
        "metrics": _entries(tables.known().values()),
    }


def _entries(things: Iterable[_Titled]) -> tuple[CatalogueEntry, ...]:
    return tuple(CatalogueEntry(each.name, each.title) for each in things)
