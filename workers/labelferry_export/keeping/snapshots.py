"""Snapshots that are kept for a job's later attempts, so that all of them work from the one picture of the project.

    FOLDER/DIGEST.snapshot  FOLDER/DIGEST.findings  FOLDER/DIGEST.seal

Hard links to the files of the attempt that read the project: nothing is copied, and they are never written again. The seal comes last.
"""

import hashlib
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from labelferry_export.keeping.mark import mark
from labelferry_export.model import Image
from labelferry_export.snapshot import Snapshot, findings_path
from labelferry_protocol.options import ExportOptions

BLOCK_BYTES = 8 << 20
IMAGES_AT_ONCE = 500


class Seal(msgspec.Struct, frozen=True):
    """What a kept snapshot is of, and the digests of its two files."""

    request: str
    snapshot: str
    findings: str


@dataclass(frozen=True)
class Changed:
    """The project is not any more what the kept snapshot says: an image was changed."""

    image: str


def request_of(source: Path, options: ExportOptions, roots: Sequence[Path]) -> str:
    """Return a digest of what is asked for, and by which engine: only the same again may have its snapshot."""
    said = [os.fsencode(source), msgspec.json.encode(options), sorted(os.fsencode(root) for root in roots)]
    return hashlib.sha256(mark() + msgspec.msgpack.encode(said)).hexdigest()


class KeptSnapshots:
    """The snapshots kept in a folder. Its generators yield between two looks at large files, and raise `OSError`."""

    def __init__(self, folder: Path, request: str) -> None:
        self._folder = folder
        self._request = request

    def keep(self, snapshot: Snapshot) -> Generator[None, None, None]:
        """Keep a sealed snapshot, unless the folder's system knows no links."""
        findings = findings_path(snapshot.path)
        digest = yield from _digest(snapshot.path)
        seal = Seal(self._request, digest, (yield from _digest(findings)))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for source, suffix in ((snapshot.path, "snapshot"), (findings, "findings")):
                kept = self._folder / f"{digest}.{suffix}"
                if source.exists() and not kept.exists():
                    kept.hardlink_to(source)
            draft = self._folder / f"{digest}.{os.getpid()}.draft"
            draft.write_bytes(msgspec.json.encode(seal))
            draft.replace(self._folder / f"{digest}.seal")
        except OSError:
            # A saving that cannot be had.
            return

    def restore(self, path: Path) -> Generator[None, None, Snapshot | Changed | None]:
        """Put a kept snapshot to `path` and return it; None where there is none that is whole, or an image that was changed since."""
        for sealed in sorted(self._folder.glob("*.seal")):
            try:
                seal = msgspec.json.decode(sealed.read_bytes(), type=Seal)
            except (OSError, ValueError, msgspec.MsgspecError):
                continue
            if seal.request == self._request and (yield from self._fetch(sealed, seal, path)):
                snapshot = Snapshot(path)
                changed = yield from _changed(snapshot)
                if changed is None:
                    return snapshot
                snapshot.close()
                _remove(path, sealed)
                return Changed(changed.name)
        return None

    def _fetch(self, sealed: Path, seal: Seal, path: Path) -> Generator[None, None, bool]:
        pairs = (
            (sealed.with_suffix(".snapshot"), path, seal.snapshot),
            (sealed.with_suffix(".findings"), findings_path(path), seal.findings),
        )
        for kept, wanted, digest in pairs:
            if (yield from _digest(kept)) != digest:
                _remove(path, sealed)
                return False
            if kept.exists():
                wanted.hardlink_to(kept)
        return True


def _remove(path: Path, sealed: Path) -> None:
    for each in (path, findings_path(path), sealed):
        each.unlink(missing_ok=True)


def _digest(path: Path) -> Generator[None, None, str]:
    """Return the digest of a file, an empty text where there is none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return ""
    digest = hashlib.sha256()
    with file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            yield
    return digest.hexdigest()


def _changed(snapshot: Snapshot) -> Generator[None, None, Image | None]:
    """Return the first image whose file is not the one that was read; its bytes are not looked at."""
    for turn, image in enumerate(snapshot.images()):
        try:
            state = image.path.stat()
        except OSError:
            return image
        if (state.st_size, state.st_mtime_ns) != (image.size, image.mtime_ns):
            return image
        if turn % IMAGES_AT_ONCE == 0:
            yield
    return None
