"""What other packages bring: things named by entry points, loaded one by one, so that one that is broken spoils nothing else."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from labelferry_export.errors import ExportError
from labelferry_protocol.errors import Code

OURS = "labelferry"
"""The package that everything built in comes from."""

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Origin:
    """The package that brings something: its name and version, as far as it says them."""

    package: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.package} {self.version}".rstrip()


@dataclass(frozen=True)
class Problem:
    """Something that another package brings and that cannot be used: what it is called, whose it is, and a sentence."""

    name: str
    origin: Origin
    message: str


@dataclass(frozen=True)
class Brought(Generic[Thing]):
    """What other packages bring of one kind: what can be used, by name; whose that is; and what cannot be used."""

    things: Mapping[str, Thing]
    origins: Mapping[str, Origin]
    problems: tuple[Problem, ...] = ()

    def find(self, name: str, unknown: str) -> Thing:
        """Return what is called `name`; raise `ExportError(USAGE)` saying why it cannot be used, or `unknown` when nobody brings it."""
        if name in self.things:
            return self.things[name]
        for problem in self.problems:
            if problem.name == name:
                raise ExportError(Code.USAGE, problem.message, name)
        raise ExportError(Code.USAGE, unknown, name)


def brought(
    group: str, noun: str, shaped: Callable[[object], Thing], taken: frozenset[str] = frozenset()
) -> Brought[Thing]:
    """Load all that is named by the entry points of `group`, in the order of names; nothing is raised.

    `noun` is what one is called in sentences. `shaped` returns what was loaded as what it should be, or raises TypeError saying what it
    lacks. A name of ours, in `taken`, or one that came before, is a problem of the package that takes it again.
    """
    things: dict[str, Thing] = {}
    origins: dict[str, Origin] = {}
    problems: list[Problem] = []
    for point in points(group):
        origin = origin_of(point)
        try:
            if point.name in taken or point.name in things:
                raise TypeError(f"the name is that of one of {origins.get(point.name, Origin(OURS)).package}")
            things[point.name] = shaped(point.load())
            origins[point.name] = origin
        except (Exception, SystemExit) as error:  # noqa: BLE001 - another package's code
            message = (
                f"the {noun} {point.name!r} of the package {origin} ({point.value}) cannot be used: {_said(error)}: "
                "update that package, or uninstall it"
            )
            problems.append(Problem(point.name, origin, message))
    return Brought(things, origins, tuple(problems))


def points(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group, in the order of their names."""
    return tuple(sorted(entry_points(group=group), key=lambda each: (each.name, each.value)))


def origin_of(point: EntryPoint) -> Origin:
    """Return whose an entry point is."""
    if point.dist is None:
        return Origin(point.value.partition(":")[0].partition(".")[0])
    return Origin(point.dist.name, point.dist.version)


def checked(kind: type[Thing], found: object) -> Thing:
    """Return what was loaded when it is a `kind`; raise TypeError saying what it is instead."""
    if not isinstance(found, kind):
        raise TypeError(f"it is of the type {type(found).__name__}, not {kind.__module__}.{kind.__name__}")
    return found


@contextmanager
def blamed(noun: str, name: str, origin: Origin | None) -> Iterator[None]:
    """Turn whatever another package's code raises inside the block into an `ExportError` that names the package; None: it is ours."""
    try:
        yield
    except (ExportError, OSError, sqlite3.Error):
        raise
    except Exception as error:
        if origin is None:
            raise
        message = f"the {noun} {name!r} of the package {origin} failed: {_said(error)}: tell the makers of that package"
        raise ExportError(Code.INTERNAL, message, name) from error


def _said(error: BaseException) -> str:
    """Return an error on one line, with its kind where its text alone would say little."""
    text = " ".join(str(error).split())
    return text if text and isinstance(error, TypeError | ImportError) else f"{type(error).__name__} {text}".rstrip()
