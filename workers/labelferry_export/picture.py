"""Image files: their size and mode from the header alone, their bytes as they are, their pixels as 8-bit RGB.

The one rule for EXIF orientation: pixels are taken as stored, and annotations are taken to lie on them as stored. Only where
the project declares the size that the turned image would have (and the stored one does not have), the annotations were made
on the turned image: then the image's canvas is the turned one, and an overlay is turned before it is drawn on. The file
itself is never changed. A quarter turn of a square image, a half turn and a mirror image leave no trace in a size: as stored.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding, Warn
from labelferry_export.model import Image
from labelferry_export.paths import open_plain
from labelferry_protocol.errors import Code

MAX_PIXELS = 500_000_000
"""An image with more is refused before a single pixel is decoded."""
READABLE = ("PNG", "JPEG", "MPO", "TIFF", "BMP", "DIB", "WEBP", "GIF", "JPEG2000", "PPM", "AVIF")
"""Pillow's names of the formats that are opened. The others are rare, or run programs (EPS), and gain nothing but danger."""
WINDOW_PERCENTILES = (0.1, 99.9)
WINDOW_SAMPLES = 4_000_000

_ORIENTATION = 0x0112
_TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
"""What shows an image of each EXIF orientation upright."""
_BACK = {**_TURNS, 6: Pillow.Transpose.ROTATE_90, 8: Pillow.Transpose.ROTATE_270}


@dataclass(frozen=True)
class Header:
    """What an image file says of itself. `width` and `height` are as stored, px; `orientation` is EXIF's, 1 to 8; `size` in bytes."""

    width: int
    height: int
    mode: str
    orientation: int
    size: int
    mtime_ns: int

    @property
    def turned(self) -> bool:
        """Whether showing it upright swaps width and height."""
        return self.orientation >= 5


@dataclass(frozen=True, eq=False)
class Picture:
    """An image's pixels on its canvas: `rgb`, shape (height, width, 3), uint8; and what was done to get them."""

    rgb: NDArray[np.uint8]
    findings: tuple[Warn, ...] = ()


def read_header(path: Path, name: str, max_pixels: int = MAX_PIXELS) -> Header:
    """Return the header of the image file at `path`; raise `ExportError(ITEM)` naming it `name` when it is none that can be read."""
    with _opened(path, name) as file:
        state = os.fstat(file.fileno())
        if state.st_size == 0:
            raise _broken(name, "is empty (0 bytes)")
        with _pillow(file, name, max_pixels) as picture:
            orientation = _orientation(picture)
            width, height = picture.size
            if picture.format == "TIFF" and orientation >= 5:
                width, height = height, width
            return Header(width, height, picture.mode, orientation, state.st_size, state.st_mtime_ns)


def open_original(image: Image) -> BinaryIO:
    """Open an image's file to copy its bytes; raise `ExportError` when it is gone, or is not the one the snapshot saw."""
    try:
        file = os.fdopen(open_plain(image.path), "rb", buffering=0)
    except OSError as error:
        raise _broken(image.name, f"cannot be opened: {error.strerror or error}") from None
    state = os.fstat(file.fileno())
    if image.mtime_ns and (state.st_size, state.st_mtime_ns) != (image.size, image.mtime_ns):
        file.close()
        raise ExportError(
            Code.SOURCE,
            f"the image {image.name!r} was changed during the export: export again when nobody writes it",
            image.name,
        )
    return file


def open_picture(image: Image, max_pixels: int = MAX_PIXELS) -> Picture:
    """Return an image decoded onto its canvas; raise `ExportError(ITEM)` when its pixels are broken or cut off.

    Transparency is laid on white. More than 8 bits a channel are windowed to the percentiles of `WINDOW_PERCENTILES`; the
    window is a finding. Of a file with several pages the first is taken; that is a finding too.
    """
    with open_original(image) as file, _pillow(file, image.name, max_pixels) as opened:
        findings = _pages_finding(opened, image)
        orientation, auto_turned = _orientation(opened), opened.format == "TIFF"
        opened.load()
        picture: Pillow.Image = opened
        if auto_turned and not image.transposed and orientation in _BACK:
            picture = picture.transpose(_BACK[orientation])
        elif image.transposed and not auto_turned and orientation in _TURNS:
            picture = picture.transpose(_TURNS[orientation])
        if picture.size != (image.width, image.height):
            raise _broken(
                image.name, f"decodes to {picture.width}x{picture.height}, not to {image.width}x{image.height}"
            )
        if _is_deep(picture.mode):
            rgb, window = _windowed(np.asarray(picture))
            return Picture(rgb, (*findings, _window_finding(window, image)))
        return Picture(np.asarray(_to_rgb(picture)), findings)


def _is_deep(mode: str) -> bool:
    return mode.startswith("I") or mode == "F"


def _to_rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        if with_alpha.getchannel("A").getextrema() != (255, 255):
            ground = Pillow.new("RGBA", picture.size, "white")
            return Pillow.alpha_composite(ground, with_alpha).convert("RGB")
        picture = with_alpha
    return picture.convert("RGB")


def _windowed(values: NDArray[np.generic]) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Return grey values of any depth, shape (h, w), as RGB, and the window (darkest, brightest) that was stretched to 0..255."""
    step = max(1, int(np.sqrt(values.size / WINDOW_SAMPLES)))
    sample = values[::step, ::step].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        sample = np.zeros(1)
    low, high = (float(each) for each in np.percentile(sample, WINDOW_PERCENTILES))
    if low == high:
        low, high = float(sample.min()), float(sample.max())
    span = high - low if high > low else 1.0
    rgb = np.empty((*values.shape, 3), np.uint8)
    rows = max(1, WINDOW_SAMPLES // max(1, values.shape[1]))
    for top in range(0, values.shape[0], rows):
        scaled = (values[top : top + rows].astype(np.float64) - low) * (255.0 / span)
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        rgb[top : top + rows] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)[..., None]
    return rgb, (low, high)


def _window_finding(window: tuple[float, float], image: Image) -> Warn:
    low, high = window
    message = f"{image.name!r} has more than 8 bits a pixel: its overlay shows the values {low:g} to {high:g} as black to white"
    return Warn(code=Finding.CONTRAST_WINDOW, message=message, image=image.name)


def _pages_finding(picture: Pillow.Image, image: Image) -> tuple[Warn, ...]:
    pages = int(getattr(picture, "n_frames", 1)) if picture.format in ("TIFF", "GIF", "WEBP") else 1
    picture.seek(0)
    if pages == 1:
        return ()
    message = f"{image.name!r} has {pages} pages: its overlay shows the first"
    return (Warn(code=Finding.OTHER, message=message, image=image.name),)


def _orientation(picture: Pillow.Image) -> int:
    # Asking a PNG for EXIF that it does not have in its header makes Pillow decode all of it.
    if picture.format != "TIFF" and "exif" not in picture.info:
        return 1
    value = picture.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@contextmanager
def _opened(path: Path, name: str) -> Iterator[BinaryIO]:
    try:
        file = os.fdopen(open_plain(path), "rb")
    except OSError as error:
        raise _broken(name, f"cannot be opened: {error.strerror or error}") from None
    with file:
        yield file


@contextmanager
def _pillow(file: BinaryIO, name: str, max_pixels: int) -> Iterator[Pillow.Image]:
    """Open `file` with Pillow; whatever it raises, until the block ends, becomes one sentence. The pixel limit is ours alone."""
    with _OWN_LIMITS.lifted():
        try:
            with Pillow.open(file, formats=_readable()) as picture:
                width, height = picture.size
                if width < 1 or height < 1:
                    raise _broken(name, f"says its size is {width}x{height}")
                if width * height > max_pixels:
                    raise _broken(
                        name,
                        f"says it has {width}x{height} pixels, over the limit of {max_pixels // 1_000_000} megapixels: "
                        "cut it into tiles, or leave it out with --on-error skip",
                    )
                yield picture
        except ExportError:
            raise
        except UnidentifiedImageError:
            raise _broken(name, "is not an image that can be read") from None
        except MemoryError:
            raise _broken(name, "is too large for this machine's memory") from None
        except Exception as error:  # noqa: BLE001 - a decoder of hostile bytes raises anything
            raise _broken(name, f"is broken or cut off: {error}") from None


def _readable() -> list[str]:
    Pillow.init()
    return [each for each in READABLE if each in Pillow.OPEN]


def _broken(name: str, what: str) -> ExportError:
    return ExportError(Code.ITEM, f"the image {name!r} {what}", name)


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
