"""The classes of an export: which of the project's are wanted, what they are called, and which are one. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.selection.reason import Reason
from labelferry_export.selection.words import listed
from labelferry_export.source import FoundCategory, Key
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

EVERY_OTHER = "*"
"""In a mapping: all classes that it does not name."""


@dataclass
class _Member:
    """A class of the project: what it becomes (None: it is dropped), its number there, and how many objects it has."""

    name: str
    target: str | None
    number: int | None
    objects: int = 0


class Classes:
    """The classes as the project tells of them; each is added once, in order. Numbers are 1, 2, ... by the first member of each."""

    def __init__(self, options: ExportOptions) -> None:
        self._mapping: Mapping[str, str] = options.class_map
        self._wanted = frozenset(options.classes)
        self._members: dict[Key, _Member] = {}
        self._numbers: dict[str, int] = {}
        """By name in the bundle; of the first where several classes of the project share one name."""
        self._mapped: set[str] = set()
        self._count = 0

    def __len__(self) -> int:
        """How many classes the project has so far."""
        return len(self._members)

    def __contains__(self, key: Key) -> bool:
        """Whether the project has a class with this key."""
        return key in self._members

    @property
    def asks(self) -> bool:
        """Whether `reason` can have an answer, or `count` is to be called."""
        return bool(self._mapping or self._wanted)

    @property
    def counts(self) -> bool:
        """Whether `count` is to be called: where classes are mapped, what became of their objects is told."""
        return bool(self._mapping)

    def add(self, category: FoundCategory) -> FoundCategory | None:
        """Take in a class with a new key; return what it is in the bundle, None when it is dropped or one with an earlier class."""
        name = category.name
        target = self._mapping.get(name, self._mapping.get(EVERY_OTHER, name)) or None
        if target is None:
            self._members[category.key] = _Member(name, None, None)
            return None
        if target != name:
            self._mapped.add(target)
        joins = target in self._numbers and target in self._mapped
        if not joins:
            self._count += 1
            self._numbers.setdefault(target, self._count)
        number = self._numbers[target] if joins else self._count
        self._members[category.key] = _Member(name, target, number)
        return None if joins else replace(category, name=target)

    def number(self, key: Key) -> int:
        """Return the number of a class in the bundle, 0 when it is dropped."""
        return self._members[key].number or 0

    def name(self, key: Key) -> str:
        """Return what a class is called in the bundle; what the project calls it when it is dropped."""
        member = self._members[key]
        return member.target or member.name

    def reason(self, key: Key) -> Reason | None:
        """Return why objects of a class are left out, None when they are not."""
        target = self._members[key].target
        if target is None:
            return Reason.CLASS_MAP
        return None if not self._wanted or target in self._wanted else Reason.CLASSES

    def count(self, key: Key) -> None:
        """Count an object of a class, whatever becomes of it."""
        self._members[key].objects += 1

    def check(self) -> None:
        """Raise `ExportError(USAGE)` when a class is asked for, or mapped, that the project does not have."""
        names = list(dict.fromkeys(each.name for each in self._members.values()))
        unknown = [each for each in self._mapping if each not in names and each != EVERY_OTHER]
        if unknown:
            message = f"the project has no class {unknown[0]!r} that could be mapped; its classes are {listed(names)}"
            raise ExportError(Code.USAGE, message, unknown[0])
        targets = list(dict.fromkeys(each.target for each in self._members.values() if each.target is not None))
        missing = sorted(self._wanted - set(targets))
        if missing:
            raise ExportError(Code.USAGE, self._why_missing(missing[0], targets), missing[0])

    def findings(self) -> Iterator[tuple[Finding, str]]:
        """Yield what the mapping did, a sentence for each class that came of it, with the numbers of objects."""
        by_target: dict[str, list[_Member]] = {}
        for each in self._members.values() if self._mapping else ():
            if each.target is None:
                yield Finding.CLASS_DROPPED, f"the class {each.name!r} is left out ({_objects(each.objects)})"
            else:
                by_target.setdefault(each.target, []).append(each)
        for target in sorted(self._mapped, key=lambda each: self._numbers[each]):
            members = by_target[target]
            if len(members) == 1:
                first = members[0]
                yield (
                    Finding.CLASS_RENAMED,
                    f"the class {first.name!r} is called {target!r} ({_objects(first.objects)})",
                )
            else:
                said = ", ".join(f"{each.name!r} ({_objects(each.objects)})" for each in members)
                yield Finding.CLASS_MERGED, f"{len(members)} classes are one, {target!r}: {said}"

    def _why_missing(self, name: str, targets: list[str]) -> str:
        for each in self._members.values():
            if each.name == name and each.target != name:
                became = "is dropped" if each.target is None else f"is called {each.target!r}"
                return (
                    f"the class {name!r} {became} by the mapping: classes are selected by the names they have after it"
                )
        return f"the project has no class {name!r}; its classes are {listed(targets)}"


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count:,} objects"
