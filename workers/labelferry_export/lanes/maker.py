"""Does tasks on images, and spares what was done before: results are looked for in stores, and kept there when they are made.

A result is found by the task with its settings, by everything the snapshot says of the image and its objects, by the image's file
where the task looks at it, and by the engine that made it. So whoever finds it could have made it, and it is the same bytes. The file
stands in the key by the digest of its bytes for the cache, which anybody's export may look into at any time; for the checkpoints of one
job by its state (which file, size, dates), as the job itself tells by it whether an image is still the one it has read.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from labelferry_export.keeping.settings import NOTHING_KEPT, MakerSettings
from labelferry_export.keeping.store import Store
from labelferry_export.lanes.task import Piece, Task, encode
from labelferry_export.model import Image
from labelferry_export.picture import open_original
from labelferry_export.snapshot import Snapshot

BLOCK_BYTES = 1 << 20
CHEAP = 8
"""After so many results in a row that were too cheap to keep, a task's are not looked for any more."""
_OURS = "labelferry_export."
_piece = msgspec.msgpack.Decoder(Piece).decode


class Maker:
    """One process's way to do tasks. Without stores it does them and nothing else. `clock` counts seconds of this thread's work."""

    def __init__(
        self,
        settings: MakerSettings = NOTHING_KEPT,
        clock: Callable[[], float] = time.thread_time,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._stores = [store for store in (Store(each, wall) for each in settings.stores) if store.on]
        self._cheap: dict[bytes, int] = {}
        self.made = 0
        """How many results were made here, but for those that were looked for in vain and cost too little to be kept."""

    def pieces(self, task: Task, snapshot: Snapshot, image: Image, shelf: str = "") -> Iterator[Piece]:
        """Yield the pieces of one image: those that were kept, else new ones, which are kept on `shelf` if they are worth it."""
        name = _name_of(task)
        if not self._stores or name is None or self._cheap.get(name, 0) >= CHEAP:
            self.made += name is None or not self._stores
            yield from task(image, snapshot.instances(image.id))
            return
        sought = _Sought(self.settings.mark, name, getattr(task, "pixels", True), image, snapshot.fingerprint(image))
        for store in self._stores:
            entry = store.find(sought.key(store))
            if entry is not None:
                self._cheap[name] = 0
                with closing(entry):
                    for block in entry.blocks():
                        yield msgspec.structs.replace(_piece(block), found=True)
                return
        yield from self._made(task, snapshot, sought, shelf)

    @cached_property
    def kept(self) -> dict[str, int]:
        """How many results earlier attempts of the same job have left, by shelf and task: `SHELF/TASK`."""
        counts: dict[str, int] = {}
        for store in self._stores:
            if not store.evicts:
                counts.update(store.counts())
        return counts

    def close(self) -> None:
        """Let go of the stores."""
        for store in self._stores:
            store.close()
        self._stores = []

    def _made(self, task: Task, snapshot: Snapshot, sought: "_Sought", shelf: str) -> Iterator[Piece]:
        image, name = sought.image, sought.task
        with ExitStack() as open_drafts:
            kind = f"{shelf}/{type(task).__name__}"
            drafts = [open_drafts.enter_context(store.draft(sought.key(store), kind)) for store in self._stores]
            spent, began = 0.0, self._clock()
            for piece in task(image, snapshot.instances(image.id)):
                spent += self._clock() - began
                for draft in () if piece.is_empty else drafts:
                    draft.add(encode(piece))
                yield piece
                began = self._clock()
            worth = spent + self._clock() - began >= self.settings.least
            self.made += worth
            self._cheap[name] = 0 if worth else self._cheap.get(name, 0) + 1
            if worth and sought.unchanged:
                for draft in drafts:
                    draft.keep()


@dataclass(eq=False)
class _Sought:
    """A result, as it is looked for: `task` with its settings, on an image of which `told` is known."""

    mark: bytes
    task: bytes
    pixels: bool
    """Whether the task looks at the image's file."""
    image: Image
    told: bytes
    _seen: dict[bool, bytes] = field(default_factory=dict)
    """The image's file when it was looked at first: by its bytes (true), and by its state."""

    def key(self, store: Store) -> bytes:
        """Return what it is found by in a store."""
        seen = b""
        if self.pixels:
            seen = self._seen.get(store.evicts) or _look_at(self.image, whole=store.evicts)
            self._seen[store.evicts] = seen
        return hashlib.sha256(encode([self.mark, self.task, seen, self.told])).digest()

    @property
    def unchanged(self) -> bool:
        """Whether the file is still what stands in the keys: one that was written to meanwhile is another image."""
        return all(_look_at(self.image, whole=whole) == seen for whole, seen in self._seen.items())


def _name_of(task: Task) -> bytes | None:
    """Return a task with its settings, and the revision of one that is not ours; None for one that tells none: it is never kept."""
    kind = type(task)
    revision = getattr(task, "revision", None)
    if revision is None and not kind.__module__.startswith(_OURS):
        return None
    name: bytes = encode([kind.__module__, kind.__qualname__, revision, task])
    return name


def _look_at(image: Image, *, whole: bool) -> bytes:
    """Return a digest of an image's bytes (`whole`), or which file it is and in what state."""
    with open_original(image) as file:
        if not whole:
            state = os.fstat(file.fileno())
            told: bytes = encode([state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns])
            return told
        digest = hashlib.sha256()
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
        return digest.digest()
