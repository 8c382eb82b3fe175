"""Opens image bytes that nobody vouches for with Pillow: which formats, how many pixels, and every failure as one sentence. Pixels are not looked at here."""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from labelferry_export.errors import ExportError
from labelferry_export.paths import open_plain
from labelferry_protocol.errors import Code

MAX_PIXELS = 500_000_000
"""An image with more is refused before a single pixel is decoded."""
READABLE = ("PNG", "JPEG", "MPO", "TIFF", "BMP", "DIB", "WEBP", "GIF", "JPEG2000", "PPM", "AVIF")
"""Pillow's names of the formats that are opened. The others are rare, or run programs (EPS), and gain nothing but danger."""


@contextmanager
def opened_file(path: Path, name: str) -> Iterator[BinaryIO]:
    """Open the plain file at `path`; raise `ExportError(ITEM)` naming it `name` when that cannot be."""
    try:
        file = os.fdopen(open_plain(path), "rb")
    except OSError as error:
        raise broken(name, f"cannot be opened: {error.strerror or error}") from None
    with file:
        yield file


@contextmanager
def guarded(file: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Iterator[Pillow.Image]:
    """Open `file` with Pillow; whatever it raises, until the block ends, becomes one sentence. The pixel limit is ours alone."""
    with _OWN_LIMITS.lifted():
        try:
            with Pillow.open(file, formats=_readable()) as picture:
                check_size(picture, name, max_pixels)
                yield picture
        except ExportError:
            raise
        except UnidentifiedImageError:
            raise broken(name, _unidentified(file)) from None
        except MemoryError:
            raise broken(name, "is too large for this machine's memory") from None
        except Exception as error:  # noqa: BLE001 - a decoder of hostile bytes raises anything
            raise broken(name, f"is broken or cut off: {error}") from None


def check_size(picture: Pillow.Image, name: str, max_pixels: int) -> None:
    """Raise `ExportError(ITEM)` when a picture that is not decoded yet says it has no pixels, or more than `max_pixels`."""
    width, height = picture.size
    if width < 1 or height < 1:
        raise broken(name, f"says its size is {width}x{height}")
    if width * height > max_pixels:
        raise broken(
            name,
            f"says it has {width}x{height} pixels, over the limit of {max_pixels // 1_000_000} megapixels: "
            "cut it into tiles, or leave it out with --on-error skip",
        )


def broken(name: str, what: str) -> ExportError:
    """Return the error that the image `name` is what `what` says."""
    return ExportError(Code.ITEM, f"the image {name!r} {what}", name)


def _unidentified(file: BinaryIO) -> str:
    file.seek(0)
    if file.read(4) in (b"II*\0", b"MM\0*"):
        return "is a TIFF that is broken, or whose kind of pixels cannot be read: save it with 8 or 16 bits a channel"
    return "is not an image that can be read"


def _readable() -> list[str]:
    Pillow.init()
    return [each for each in READABLE if each in Pillow.OPEN]


class _OwnLimits:
    """Lifts Pillow's own pixel limit and its warnings, which are global to the process, while any of our files is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._restore: Callable[[], None] = lambda: None

    @contextmanager
    def lifted(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._restore = _lift()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._restore()


def _lift() -> Callable[[], None]:
    before = Pillow.MAX_IMAGE_PIXELS
    quiet = warnings.catch_warnings()
    quiet.__enter__()
    warnings.simplefilter("ignore")
    Pillow.MAX_IMAGE_PIXELS = None

    def restore() -> None:
        Pillow.MAX_IMAGE_PIXELS = before
        quiet.__exit__(None, None, None)

    return restore


_OWN_LIMITS = _OwnLimits()
