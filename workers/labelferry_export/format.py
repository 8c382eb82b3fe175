"""What a format is, and what it sees of a job. To add one: a file in `formats/`, or a package with an entry point."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from labelferry_export.bundle.archive import EntryWriter
from labelferry_export.bundle.packed import stretch
from labelferry_export.findings import Finding, Loss, Warn
from labelferry_export.lanes.task import Piece, Task
from labelferry_export.lossiness import Lossiness
from labelferry_export.model import Image, Instance, ProjectFacts
from labelferry_export.plan import Step
from labelferry_export.recount import Claim, Recount
from labelferry_protocol.options import FormatOption

BATCH = 1000
"""Objects written in one unit of work: some tens of milliseconds."""


@dataclass(frozen=True)
class Properties:
    """What a format can say of a project, in a few words each, as its row in the table of formats shows it.

    `depth` says what becomes of 16 bits: of the images it holds or names, and of its masks.
    """

    holes: str
    parts: str
    crowds: str
    attributes: str
    splits: str
    coordinates: str
    depth: str = "images as they are"


@dataclass(frozen=True)
class Option:
    """An option of a format or table: its default, its allowed values (empty: any of the default's type), and what it does."""

    default: FormatOption
    help: str
    choices: tuple[FormatOption, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What writing takes, ms on the machine of `costs`: per image and per object."""

    image: float
    object: float

    def of(self, images: int, objects: int) -> float:
        """Return the cost of so many images with so many objects, ms."""
        return self.image * images + self.object * objects


class FormatJob(Protocol):
    """What a format sees: the project as it is exported, and the bundle it writes into."""

    @property
    def facts(self) -> ProjectFacts:
        """The project, its categories in order with ids 1..K."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in the order of the options; empty when the project is exported in one piece."""

    @property
    def has_images(self) -> bool:
        """Whether the bundle holds the image files."""

    @property
    def options(self) -> Mapping[str, FormatOption]:
        """The format's own options, every one with a value."""

    def images(self, split: str | None = None) -> Iterator[Image]:
        """Yield the images that are exported, in order; those of one split, or all."""

    def instances(self, image: Image) -> Sequence[Instance]:
        """Return the objects of an image, in order."""

    def pieces(self, task: Task, split: str | None = None) -> Iterator[tuple[Image, Piece, Step]]:
        """Do a task on every image (or every one of a split), on several cores at once; yield its pieces in order, image by image.

        Each comes with the step to yield for it; their findings are reported already. In between come empty pieces (no data, no objects,
        not the last) for the steps alone.
        """

    def files(self, task: Task) -> Iterator[Step]:
        """Do a task whose pieces are files on every image; put them into the bundle, in order."""

    def open(self, name: str) -> EntryWriter:
        """Begin a file of the bundle, a context manager with `write(bytes)`."""

    def report(self, warn: Warn) -> None:
        """Say what was bridged, split, filled, dropped, renamed, clipped or rounded."""

    def step(self, image: Image, objects: int, last: bool = True) -> Step:
        """Return the unit of work that so many objects of an image were; `last` says that the image is finished."""


@dataclass(frozen=True)
class Needs:
    """A library that a format stands on and labelferry does not bring along: the module, and what `pip install` takes."""

    module: str
    install: str


@dataclass(frozen=True)
class Format:
    """A format: what it is called, what it can say, and how it is written.

    `cost` is told by `cost_with` instead where the options matter to it. `usage` is a paragraph of markdown for the bundle's README: how to load it from the unzipped bundle. `write` writes the whole
    project, a yield after every batch of objects; nothing is left open when it ends. `recount`, where there is one, reads the files again
    before the bundle is published.
    """

    name: str
    title: str
    usage: str
    properties: Properties
    cost: Cost
    write: Callable[[FormatJob], Iterator[Step]]
    options: Mapping[str, Option] = field(default_factory=dict)
    needs: Needs | None = None
    recount: Callable[[Claim], Recount] | None = None
    lossiness: Lossiness = field(default_factory=Lossiness)
    cost_with: Callable[[Mapping[str, FormatOption]], Cost] | None = None

    def cost_of(self, options: Mapping[str, FormatOption]) -> Cost:
        """Return what writing takes with these options, every one with a value."""
        return self.cost_with(options) if self.cost_with else self.cost


@dataclass(frozen=True, slots=True)
class Written:
    """What a pure per-image function returns: bytes for the file, and what could not be said."""

    data: bytes
    losses: tuple[Warn, ...] = field(default=())


def loss(kind: Loss, format_name: str, message: str, image: Image, object_id: int | None = None) -> Warn:
    """Return the finding that a format cannot say something of an object, or of a whole image, and what it does instead."""
    code = Finding.FORMAT_LOSS
    return Warn(code=code, message=message, image=image.name, object_id=object_id, format=format_name, loss=kind)


def no_pixel(kind: Loss, format_name: str, message: str, image: Image, object_id: int) -> Warn:
    """Return the finding that an object covers no pixel centre, and what that loses."""
    return msgspec.structs.replace(loss(kind, format_name, message, image, object_id), code=Finding.OBJECT_NO_PIXEL)


def loss_of_all(kind: Loss, format_name: str, message: str) -> Warn:
    """Return the finding that a format cannot say something of the project as a whole."""
    return Warn(code=Finding.FORMAT_LOSS, message=message, format=format_name, loss=kind)


def batches(instances: Sequence[Instance]) -> Iterator[tuple[Sequence[Instance], bool]]:
    """Yield an image's objects, at most `BATCH` at a time, each with whether it is the last; one empty batch for an image without."""
    for start in range(0, max(len(instances), 1), BATCH):
        yield instances[start : start + BATCH], start + BATCH >= len(instances)


def pieces_of(
    image: Image, instances: Sequence[Instance], written: Callable[[Image, Sequence[Instance]], Written]
) -> Iterator[Piece]:
    """Yield what a pure function writes of an image's objects, batch by batch, packed too: the body of a format's task."""
    for batch, last in batches(instances):
        each = written(image, batch)
        packed = stretch(each.data) if each.data else b""
        yield Piece(each.data, len(batch), each.losses, last, packed=packed)
