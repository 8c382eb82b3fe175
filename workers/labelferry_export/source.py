"""What a source is, and what it tells of a project. To add one: a file in `sources/`, or a package with an entry point.

A source only reads: it hands on what it finds, in the order categories, images, objects, under the ids that the project uses.
Ids that point nowhere, unsafe paths, selections, names, broken outlines and broken images are the business of the sink.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from labelferry_export.findings import Finding
from labelferry_export.geometry.ring import Rings
from labelferry_export.geometry.shape import Shape

Key = int | str
"""An id as a project uses it; unique among its categories, or among its images."""


@dataclass(frozen=True)
class FoundProject:
    """What is known before anything is read: a name, the folder that holds all files, plain values that describe it."""

    name: str
    root: Path
    info: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundCategory:
    """A class of objects, in the project's order."""

    key: Key
    name: str
    supercategory: str = ""


@dataclass(frozen=True)
class FoundImage:
    """An image: its name in the project, and the file's, `None` when it is the same; looked for below each of `folders`.

    `folders` are relative to the project's root, empty or with a slash at the end. `width` and `height` are those that the
    annotations were made on, px, `None` when the project does not say. `id` is the number to keep, if there is one.
    """

    key: Key
    name: str
    file: str | None = None
    folders: tuple[str, ...] = ("",)
    width: int | None = None
    height: int | None = None
    id: int | None = None
    subset: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An annotated object. `shape` is as the project has it, not clean yet. `label` names it in sentences: `annotation 7`.

    `id` is the number to keep, if there is one. `canvas` is the (width, height) that a mask was made for.
    """

    image: Key
    category: Key
    shape: Shape
    label: str
    id: int | None = None
    crowd: bool = False
    canvas: tuple[int, int] | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """Many objects at once, as columns: what a source that reads fast tells. Each has the number to keep; none is a mask.

    `rings` are the shapes; `label` names the object at an index in sentences; `attributes` is None when no object has any.
    """

    images: Sequence[Key]
    categories: Sequence[Key]
    ids: Sequence[int]
    crowds: Sequence[bool]
    rings: Rings
    label: Callable[[int], str]
    attributes: Sequence[Mapping[str, object]] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def bare(self, index: int) -> FoundObject:
        """Return one of them, without its shape."""
        return FoundObject(
            image=self.images[index],
            category=self.categories[index],
            shape=Shape(()),
            label=self.label(index),
            id=self.ids[index],
            crowd=self.crowds[index],
            attributes=self.attributes[index] if self.attributes else {},
        )


class Sink(Protocol):
    """Where a source tells what it finds."""

    def begin(self, project: FoundProject) -> None:
        """Say first what the project is."""

    def add_category(self, category: FoundCategory) -> None:
        """Add a class."""

    def add_image(self, image: FoundImage) -> None:
        """Add an image."""

    def add_object(self, found: FoundObject) -> None:
        """Add an object of an image and a class that were added before."""

    def add_objects(self, found: FoundObjects) -> None:
        """Add many: the same as adding them one by one, in less time."""

    def complain(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """Say that an item cannot be read: it ends the export, or, with `--on-error skip`, is left out."""

    def note(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """Say what was done about something, where nothing was lost."""


@dataclass(frozen=True)
class Reads:
    """What a source reads of a project, in a few words each, as its row in the table of sources shows it."""

    holes: str = ""
    parts: str = ""
    crowds: str = ""
    attributes: str = ""
    subsets: str = ""
    ids: str = ""


class Source(Protocol):
    """A reader of one project form. One may also have `reads`, a `Reads`: its row in the table of sources."""

    @property
    def name(self) -> str:
        """The word users type."""

    @property
    def title(self) -> str:
        """What it is called in sentences."""

    @property
    def looks_for(self) -> str:
        """By what it recognises a project, in words."""

    def recognises(self, path: Path) -> bool:
        """Whether the folder or file is a project of this form. Reads little, and never raises."""

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """Tell the sink all of it; yield how much of it is read, 0 to 1, at least every 50 ms or so.

        Raise `ExportError(SOURCE)` when it cannot be read at all.
        """


def plain_values(values: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Return those of `values` that are plain: text, finite numbers, true and false."""
    return {
        str(key): value
        for key, value in values.items()
        if isinstance(value, str | bool)
        or (isinstance(value, int) and abs(value) < 2**63)
        or (isinstance(value, float) and abs(value) < float("inf"))
    }
