"""Does tasks on images, and spares what was done before: results are looked for in stores, and kept there when they are made.

A result is found by the task with its settings, by everything the snapshot says of the image and its objects, by the image's bytes
where the task looks at them, and by the engine that made it. So whoever finds it could have made it, and it is the same bytes.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
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
        """How many results were made here, but for those that cost too little to be kept."""

    def pieces(self, task: Task, snapshot: Snapshot, image: Image, shelf: str = "") -> Iterator[Piece]:
        """Yield the pieces of one image: those that were kept, else new ones, which are kept on `shelf` if they are worth it."""
        name = _name_of(task)
        if not self._stores or name is None or self._cheap.get(name, 0) >= CHEAP:
            self.made += name is None
            yield from task(image, snapshot.instances(image.id))
            return
        pixels = getattr(task, "pixels", True)
        seen = _digest_of(image) if pixels else b""
        key = hashlib.sha256(encode([self.settings.mark, name, seen, snapshot.fingerprint(image)])).digest()
        for store in self._stores:
            entry = store.find(key)
            if entry is not None:
                self._cheap[name] = 0
                with closing(entry):
                    for block in entry.blocks():
                        yield msgspec.structs.replace(_piece(block), found=True)
                return
        yield from self._made(task, snapshot, image, (key, name, seen), shelf)

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

    def _made(
        self, task: Task, snapshot: Snapshot, image: Image, sought: tuple[bytes, bytes, bytes], shelf: str
    ) -> Iterator[Piece]:
        key, name, seen = sought
        with ExitStack() as open_drafts:
            kind = f"{shelf}/{type(task).__name__}"
            drafts = [open_drafts.enter_context(store.draft(key, kind)) for store in self._stores]
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
            # An image that was written to meanwhile is not the one any more whose digest stands in the key.
            if worth and (not seen or _digest_of(image) == seen):
                for draft in drafts:
                    draft.keep()


def _name_of(task: Task) -> bytes | None:
    """Return a task with its settings, and the revision of one that is not ours; None for one that tells none: it is never kept."""
    kind = type(task)
    revision = getattr(task, "revision", None)
    if revision is None and not kind.__module__.startswith(_OURS):
        return None
    name: bytes = encode([kind.__module__, kind.__qualname__, revision, task])
    return name


def _digest_of(image: Image) -> bytes:
    digest = hashlib.sha256()
    with open_original(image) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.digest()
