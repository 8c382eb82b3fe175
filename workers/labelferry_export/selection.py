"""Which images and objects of a project are exported, and which split an image falls into. Pure: names and numbers only."""

import fnmatch
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labelferry_export.errors import ExportError
from labelferry_export.names import safe_name
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

SHARES_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Selection:
    """What of a project is wanted. Empty `patterns` and `classes` mean everything."""

    patterns: tuple[re.Pattern[str], ...] = ()
    on_whole_name: tuple[bool, ...] = ()
    classes: frozenset[str] = frozenset()
    annotated_only: bool = False

    @classmethod
    def of(cls, options: ExportOptions) -> "Selection":
        """Return the selection that the options ask for.

        A pattern without a slash is held against an image's base name, one with a slash against its whole name in the
        project; `*` matches any characters, slashes too; case counts.
        """
        return cls(
            patterns=tuple(re.compile(fnmatch.translate(each)) for each in options.select),
            on_whole_name=tuple("/" in each for each in options.select),
            classes=frozenset(options.classes),
            annotated_only=options.annotated_only,
        )

    def takes_image(self, name: str) -> bool:
        """Whether the image with this name is wanted."""
        if not self.patterns:
            return True
        base = name.rpartition("/")[2]
        return any(
            pattern.match(name if whole else base)
            for pattern, whole in zip(self.patterns, self.on_whole_name, strict=True)
        )

    def takes_class(self, name: str) -> bool:
        """Whether the objects of this class are wanted."""
        return not self.classes or name in self.classes

    def check_classes(self, known: Sequence[str]) -> None:
        """Raise `ExportError(USAGE)` when a class is asked for that the project does not have."""
        missing = sorted(self.classes - set(known))
        if missing:
            raise ExportError(
                Code.USAGE,
                f"the project has no class {missing[0]!r}; its classes are {listed(known)}",
                missing[0],
            )


def split_of(name: str, seed: int, shares: Mapping[str, float]) -> str | None:
    """Return the split of an image, `None` when there are no shares.

    The place of a hash of seed and name in 0..1, laid along the shares in their order: an image stays in its split whatever
    other images come or go.
    """
    if not shares:
        return None
    digest = hashlib.sha256(f"{seed}\0{name}".encode(errors="surrogatepass")).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    reached = 0.0
    for split, share in shares.items():
        reached += share
        if place < reached:
            return split
    return next(reversed(list(shares)))


def check_split(shares: Mapping[str, float]) -> None:
    """Raise `ExportError(USAGE)` unless the shares add up to 1 and the names can be folders side by side."""
    if not shares:
        return
    total = math.fsum(shares.values())
    if not abs(total - 1) <= SHARES_TOLERANCE:
        raise ExportError(Code.USAGE, f"the split's shares add up to {total:g}, not to 1: {_spelled(shares)}")
    for name, share in shares.items():
        if not share > 0:
            raise ExportError(
                Code.USAGE, f"the split {name!r} has the share {share:g}: leave it out or give it more than 0"
            )
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) or safe_name(name, "") != name:
            raise ExportError(
                Code.USAGE,
                f"{name!r} cannot name a split: use letters, digits, - and _ (it becomes a folder's name)",
                name,
            )
    if len({name.lower() for name in shares}) != len(shares):
        raise ExportError(Code.USAGE, f"two splits differ by case only: {_spelled(shares)}")


def listed(names: Sequence[str], limit: int = 12) -> str:
    """Return names as a person reads them, cut after `limit`."""
    shown = ", ".join(repr(each) for each in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "none"


def _spelled(shares: Mapping[str, float]) -> str:
    return ",".join(f"{name}={share:g}" for name, share in shares.items())
