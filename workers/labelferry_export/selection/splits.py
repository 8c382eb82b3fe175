"""Which split an image falls into: with its group by shares, or as the project itself has it. Pure."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.model import Attribute
from labelferry_export.selection.shares import check_shares, split_of
from labelferry_export.selection.split_names import ROLES, role_of, safe_split_names
from labelferry_export.selection.words import listed
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

UNASSIGNED = "unassigned"
MOST_SUBSETS = 64


@dataclass(frozen=True)
class Grouping:
    """What makes images a group that no split cuts: `name`, `folder`, `regex:REGEX` or `attribute:NAME`."""

    kind: str
    pattern: "re.Pattern[str] | None" = None
    attribute: str = ""

    @classmethod
    def of(cls, said: str) -> "Grouping":
        """Return the grouping that the option says; raise `ExportError(USAGE)` when it says none."""
        kind, mark, rest = said.partition(":")
        if said in ("name", "folder"):
            return cls(said)
        if kind == "attribute" and rest:
            return cls(kind, attribute=rest)
        if kind == "regex" and mark:
            return cls(kind, pattern=_pattern(rest))
        raise ExportError(
            Code.USAGE,
            f"{said!r} is nothing to split by: use name, folder, regex:REGEX (its first group) or attribute:NAME (of the images)",
            said,
        )

    def key(self, name: str, attributes: Mapping[str, Attribute]) -> str | None:
        """Return the group of an image, None when it has none."""
        if self.kind == "folder":
            return posixpath.dirname(name.replace("\\", "/"))
        if self.pattern is not None:
            found = self.pattern.search(name)
            return found.group(1) or None if found else None
        if self.kind == "attribute":
            return _as_key(attributes.get(self.attribute))
        return name

    @property
    def of_attribute(self) -> bool:
        """Whether it looks at the attributes of images."""
        return self.kind == "attribute"


class Splits:
    """The splits of one export. `begin`, then `of` each image, then `findings`."""

    def __init__(self, options: ExportOptions) -> None:
        self._options = options
        self._grouping = Grouping.of(options.split_by)
        self._safe: dict[str, str] = {}
        self._rest: str | None = None
        self._without = 0
        self._example = ""
        self.names: tuple[str, ...] = tuple(options.split)
        """The splits, in order; empty when the project is exported in one piece."""

    @property
    def needs_attributes(self) -> bool:
        """Whether `of` is to be given the attributes of images."""
        return bool(self._options.split) and self._grouping.of_attribute

    def begin(self, subsets: Sequence[str | None]) -> None:
        """Take in the subsets that the project puts its images in, None for images in none (or in several).

        Raise `ExportError(USAGE)` when they are to be the splits and there is none.
        """
        if not self._options.source_split:
            return
        named = [each for each in subsets if each]
        if not named:
            raise ExportError(
                Code.USAGE,
                "the project does not say which split an image belongs to: split by shares, as in --split train=0.8,val=0.2",
            )
        if len(named) > MOST_SUBSETS:
            message = f"the project has {len(named):,} subsets, more than the {MOST_SUBSETS} that can be splits: {listed(named, 4)}"
            raise ExportError(Code.USAGE, message)
        self._safe = safe_split_names(sorted(named, key=_rank))
        self.names = tuple(self._safe.values())
        if len(named) < len(subsets):
            taken = {each.lower() for each in self.names}
            candidates = (UNASSIGNED, *(f"{UNASSIGNED}_{turn}" for turn in range(2, MOST_SUBSETS + 3)))
            self._rest = next(each for each in candidates if each not in taken)
            self.names = (*self.names, self._rest)

    def of(self, name: str, subset: str | None, attributes: Mapping[str, Attribute]) -> str | None:
        """Return the split of an image, None when there are none."""
        if self._options.source_split:
            if subset in self._safe:
                return self._safe[subset]
            self._miss(name)
            return self._rest
        if not self._options.split:
            return None
        key = self._grouping.key(name, attributes)
        if key is None:
            self._miss(name)
        return split_of(name if key is None else key, self._options.seed, self._options.split)

    def findings(self) -> Iterator[tuple[Finding, str]]:
        """Yield what was decided on the way: subsets that were renamed, images without a subset or a group."""
        for subset, safe in self._safe.items():
            if subset != safe:
                yield Finding.SPLIT_RENAMED, f"the subset {subset!r} is called {safe!r} in the bundle"
        if self._without and self._options.source_split:
            what = f"the project puts into no subset, or into several: they are the split {self._rest!r}"
            yield Finding.SPLIT_UNASSIGNED, f"{_images(self._without)} {what}; the first is {self._example!r}"
        elif self._without:
            what = f"without a group by {self._options.split_by!r}: each is split by its own name"
            yield Finding.SPLIT_UNASSIGNED, f"{_images(self._without)} {what}; the first is {self._example!r}"

    def _miss(self, name: str) -> None:
        self._without += 1
        self._example = self._example or name


def check_split(options: ExportOptions) -> None:
    """Raise `ExportError(USAGE)` unless the options' split can be made."""
    Grouping.of(options.split_by)
    if options.split_by != "name" and not options.split:
        raise ExportError(
            Code.USAGE,
            f"there is no split by shares that {options.split_by!r} could keep together: add --split, as in train=0.8,val=0.2, or leave --split-by out",
            options.split_by,
        )
    if options.source_split and options.split:
        raise ExportError(Code.USAGE, "a split is by shares or the project's own, not both")
    check_shares(options.split)


def _pattern(text: str) -> "re.Pattern[str]":
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ExportError(Code.USAGE, f"the regex {text!r} to split by cannot be read: {error}", text) from None
    if pattern.groups == 0:
        message = f"the regex {text!r} to split by has no group: put brackets around what images of a group share"
        raise ExportError(Code.USAGE, message, text)
    return pattern


def _as_key(value: Attribute | None) -> str | None:
    """Return an attribute's value as text, the same for 1 and 1.0; None for none, and for an empty text."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if value == int(value) else repr(value)


def _rank(subset: str) -> int:
    role = role_of(subset)
    return len(ROLES) if role is None else list(ROLES).index(role)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
