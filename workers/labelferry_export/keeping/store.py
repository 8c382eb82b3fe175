"""A store of results: found by a key, checked by a digest, shared by processes, bounded in bytes.

    FOLDER/index.sqlite     which entry lies where
    FOLDER/NAME.volume      entries one after the other; written by one process alone, and only at its end

An entry is in the index when all of its bytes are in the volume, and is never changed: whoever finds it reads it whole, also while
another process writes (an attempt that was given up and does not know it yet, say). Nothing needs to outlive a power cut: what
does not agree with its digest is thrown away. A store that cannot be read or written, for a full disk or any other reason, is off.

One that makes no room (checkpoints) is written far more often than it is read, so it is written cheaply: what was added within a moment
comes into the index together, room is looked for once for many entries, and the digest is a CRC.
"""

import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from labelferry_export.keeping.draft import FAULTS, Draft
from labelferry_export.keeping.entry import Crc, Entry, Place
from labelferry_export.keeping.index import NAME, Index, Volume
from labelferry_export.keeping.settings import StoreSettings

SUFFIX = ".volume"
VOLUMES = 16
"""A store that makes room has at least so many volumes when it is full, for a volume goes as a whole."""
TOGETHER_SECONDS = 0.02
"""What a store that makes no room has taken in within so long comes into the index together: so much work a kill may lose."""
TOGETHER = 256
LOOK_BYTES = 16 << 20
"""After so many bytes such a store looks again whether there is room."""


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class Store:
    """A store as one process uses it. Belongs to one thread; `wall` tells what was used last, `free` how much room a folder's disk has."""

    def __init__(
        self, settings: StoreSettings, wall: Callable[[], float], free: Callable[[Path], int] = _free_bytes
    ) -> None:
        self._settings = settings
        self._wall = wall
        self._free = free
        self._folder = Path(os.fsdecode(settings.folder))
        self._own: Volume | None = None
        """The volume that this process writes."""
        self._file: BinaryIO | None = None
        self._touched: set[int] = set()
        self._writes = True
        self._waiting: list[tuple[bytes, str, Place]] = []
        """Entries of the own volume that the index does not name yet."""
        self._told_at = float("-inf")
        self._room = 0
        """Bytes that may be written before room is looked for again."""
        self._begin = hashlib.sha256 if settings.evicts else Crc
        self._index = self._opened()

    @property
    def on(self) -> bool:
        """Whether anything can be found in it."""
        return self._index is not None

    @property
    def evicts(self) -> bool:
        """Whether it makes room for what is new, and so may have forgotten what it had."""
        return self._settings.evicts

    def find(self, key: bytes) -> Entry | None:
        """Return a sound entry, to be closed; one that is damaged is thrown away, and is none."""
        if self._index is None:
            return None
        try:
            found = self._index.find(key)
            if found is None:
                return None
            volume, place = found
            entry = Entry.opened(self._folder / volume.name, place, key, self._begin)
            if entry is None:
                self._index.forget(key, volume)
            elif volume.number not in self._touched:
                self._touched.add(volume.number)
                with suppress(sqlite3.Error):
                    self._index.touch(volume, self._wall())
        except sqlite3.Error:
            return None
        return entry

    def draft(self, key: bytes, kind: str) -> Draft:
        """Return an entry in the making, of a kind that `counts` tells."""
        return Draft(self, key, kind, self._begin)

    def counts(self) -> dict[str, int]:
        """Return how many entries there are of each kind."""
        try:
            return {} if self._index is None else self._index.counts()
        except sqlite3.Error:
            return {}

    def close(self) -> None:
        """Let go of the files."""
        self.give_up()
        if self._index is not None:
            with suppress(sqlite3.Error):
                self._index.close()
            self._index = None

    # what a draft needs

    def volume(self, size: int) -> BinaryIO | None:
        """As `Desk.volume`."""
        if self._index is None or not self._writes or not self._has_room(self._index, size):
            return None
        if self._file is None:
            name = f"{secrets.token_hex(8)}{SUFFIX}"
            self._own = self._index.begin(name, self._wall())
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._folder / name, flags, 0o600), "wb", buffering=0)
        return self._file

    def add(self, key: bytes, kind: str, place: Place) -> bool:
        """As `Desk.add`."""
        if self._index is None or self._own is None:
            return False
        if not self.evicts:
            self._room -= place.length
            self._waiting.append((key, kind, place))
            now = self._wall()
            if len(self._waiting) >= TOGETHER or not 0.0 <= now - self._told_at < TOGETHER_SECONDS:
                self._told_at = now
                self._tell(self._index)
            return True
        added = self._index.add(self._own, [(key, kind, place)])
        full = place.start + place.length > self._settings.limit // VOLUMES
        if full or not self._index.holds(self._own):
            self._end_volume()
        return added == 1

    def give_up(self) -> None:
        """As `Desk.give_up`; what is there can be found still."""
        self._writes = False
        self._end_volume()

    def _tell(self, index: Index) -> None:
        """Let what waits be found."""
        if self._waiting and self._own is not None:
            index.add(self._own, self._waiting)
        self._waiting.clear()

    def _end_volume(self) -> None:
        if self._index is not None:
            with suppress(sqlite3.Error):
                self._tell(self._index)
        if self._file is not None:
            self._file.close()
        self._file = self._own = None

    def _opened(self) -> Index | None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                return Index(self._folder)
            except sqlite3.OperationalError:
                return None
            except sqlite3.DatabaseError:
                # What was the index is no database: nothing will be found by it.
                self._clear()
                return Index(self._folder)
        except FAULTS:
            return None

    def _clear(self) -> None:
        for path in (*self._folder.glob(f"{NAME}*"), *self._folder.glob(f"*{SUFFIX}")):
            path.unlink(missing_ok=True)

    def _has_room(self, index: Index, size: int) -> bool:
        if self.evicts:
            return self._make_room(index, size)
        if size > self._room:
            self._tell(index)
            left = min(self._settings.limit - index.bytes, self._free(self._folder) - self._settings.spare)
            self._room = min(left, max(LOOK_BYTES, size))
        return size <= min(self._room, self._settings.limit // 2)

    def _make_room(self, index: Index, size: int) -> bool:
        """Whether so many bytes more have room when what was used least recently is thrown out."""
        if size > self._settings.limit // 2 or self._free(self._folder) - size < self._settings.spare:
            return False
        while index.bytes + size > self._settings.limit:
            oldest = index.oldest(-1 if self._own is None else self._own.number)
            if oldest is None:
                return False
            # The file first: killed in between, this leaves entries that nobody finds whole, not a file that nobody counts.
            (self._folder / oldest.name).unlink(missing_ok=True)
            index.drop(oldest)
        return True
