"""What a lane does, and the messages between an export and its lanes. Msgpack both ways; no object travels but these."""

import importlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from labelferry_export.bundle.packed import PackedFile
from labelferry_export.findings import Warn
from labelferry_export.keeping.settings import MakerSettings
from labelferry_export.model import Image, Instance


class Piece(msgspec.Struct, frozen=True, array_like=True, tag="piece"):
    """A part of a task's outcome: bytes, or a whole file of the bundle; how many objects it is of, and what was noticed.

    An empty one is a moment at which the task may be stopped, and no more.
    """

    data: bytes = b""
    objects: int = 0
    findings: tuple[Warn, ...] = ()
    last: bool = False
    """Whether the image is finished with it, for tasks that say so."""
    found: bool = False
    """Whether it was made before, and kept."""
    file: PackedFile | None = None
    packed: bytes = b""
    """`data` as a stretch of a deflated file, where the task has packed it."""

    @property
    def weight(self) -> int:
        """How many bytes it holds."""
        return len(self.data) + len(self.packed) + (len(self.file.data) if self.file else 0)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.data or self.objects or self.findings or self.last or self.file)


class Task(Protocol):
    """Work on one image: a frozen `msgspec.Struct` at the top of a module, its fields the settings, so that a lane can be told of it.

    It depends on nothing else, and yields pieces of some milliseconds of work each. Raises `ExportError` where the image is broken.
    So its results can be kept. A task that never opens the image's file says so with `pixels: ClassVar[bool] = False`. One that is not the
    engine's own is kept only if it has a `revision: ClassVar[int]`, another one whenever the same input makes other bytes.
    """

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the pieces of one image."""


class Span(msgspec.Struct, frozen=True, array_like=True, tag="span"):
    """Export -> lane: do the task on this stretch of a file: `length` bytes at `offset`, which are `count` rows, `first` before them."""

    offset: int
    length: int
    first: int
    count: int


class SpanTask(Protocol):
    """Work on a stretch of a file that the task's settings name; otherwise as `Task`, but that nothing is kept of it."""

    def __call__(self, span: Span) -> Iterator[Piece]:
        """Yield the pieces of one stretch."""


class BeginSpans(msgspec.Struct, frozen=True, array_like=True, tag="begin-spans"):
    """Export -> lane: the task that the next stretches are for."""

    module: str
    name: str
    settings: bytes


class Begin(msgspec.Struct, frozen=True, array_like=True, tag="begin"):
    """Export -> lane: the task that the next orders are for, where the snapshot lies, and where results are kept, on which shelf."""

    module: str
    name: str
    settings: bytes
    snapshot: bytes
    maker: MakerSettings
    shelf: str


class Order(msgspec.Struct, frozen=True, array_like=True, tag="order"):
    """Export -> lane: do the task on this image."""

    image_id: int


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """Lane -> export: an order is finished."""


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """Lane -> export: an order ended with an `ExportError`."""

    code: str
    message: str
    item: str | None


class Crashed(msgspec.Struct, frozen=True, array_like=True, tag="crashed"):
    """Lane -> export: an order ended with something nobody foresaw; the lane ends."""

    error: str
    number: int | None = None
    """The operating system's, where it was its error; `error` is its own word then."""
    file: str = ""


Said = Piece | Done | Refused | Crashed
encode = msgspec.msgpack.Encoder().encode
decode_said = msgspec.msgpack.Decoder(Said).decode
decode_told = msgspec.msgpack.Decoder(Begin | Order | BeginSpans | Span).decode


def begin(task: Task, snapshot: Path, maker: MakerSettings, shelf: str) -> bytes:
    """Return the message that tells a lane of a task."""
    kind = type(task)
    return encode(Begin(kind.__module__, kind.__qualname__, encode(task), os.fsencode(snapshot), maker, shelf))


def begin_spans(task: SpanTask) -> bytes:
    """Return the message that tells a lane of a task on stretches of a file."""
    kind = type(task)
    return encode(BeginSpans(kind.__module__, kind.__qualname__, encode(task)))


def task_of(told: Begin | BeginSpans) -> Any:
    """Return the task that a message tells of: a `Task`, or a `SpanTask`."""
    kind: Any = importlib.import_module(told.module)
    for name in told.name.split("."):
        kind = getattr(kind, name)
    return msgspec.msgpack.decode(told.settings, type=kind)
