"""What a format does for the self-check of a bundle: it counts again, from the finished files, and holds them to its readers' rules."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, runtime_checkable

from labelferry_export.bundle.readers import Reader
from labelferry_export.findings import Loss
from labelferry_export.model import ProjectFacts
from labelferry_protocol.options import FormatOption


@dataclass(frozen=True)
class Claim:
    """What a bundle is said to hold: the project, the format's options, and what the format said that it loses."""

    facts: ProjectFacts
    options: Mapping[str, FormatOption]
    images: int
    objects: int
    losses: Mapping[str, int] = field(default_factory=dict)
    """How often the format said that something was lost, by kind."""

    @property
    def dropped(self) -> int:
        """How many objects it said that it left out."""
        return self.losses.get(Loss.DROPPED, 0)

    @property
    def classes(self) -> int:
        """How many classes the project has."""
        return len(self.facts.categories)


class Recount(Protocol):
    """Counts what a format wrote, from the finished bundle: it `Reads`, or `Looks`, or both. What is None is not compared with the claim."""

    @property
    def images(self) -> int | None:
        """How many images its files hold; None where the format has none for some."""

    @property
    def objects(self) -> int | None:
        """How many objects its files hold, those left out not among them; None where the format cannot say."""


@runtime_checkable
class Reads(Protocol):
    """A recount that reads files through, from their first byte to the last."""

    def open(self, name: str) -> Reader | None:
        """Return the reader of a file of the bundle, None for one of somebody else's, or one that needs none."""


@runtime_checkable
class Looks(Protocol):
    """A recount that must read here and there in some files; such files lie in the bundle as they are (`Method.STORED`)."""

    def wants(self, name: str) -> bool:
        """Whether this is one of the files."""

    def look(self, file: BinaryIO) -> Iterator[None]:
        """Count what is in a file; a yield now and then. Raises ValueError where it breaks the format's rules."""


def compare(name: str, found: Recount, claim: Claim) -> None:
    """Raise ValueError when a format does not hold what is claimed."""
    objects = claim.objects - claim.dropped
    if found.images not in (None, claim.images) or found.objects not in (None, objects):
        counted = "" if found.objects is None else f" and {found.objects} objects"
        raise ValueError(f"{name} holds {found.images} images{counted}, not {claim.images} and {objects}")
