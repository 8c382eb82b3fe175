"""Image files as an export sees them: what the header says, the bytes as they are, the pixels as 8-bit RGB on the image's canvas.

The canvas of an image is upright: as its EXIF orientation says, and as viewers and nearly all loaders show it (docs/decisions/0014). The
file itself is never changed.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from labelferry_export.contrast import Window, shown_in, window_of
from labelferry_export.decoding import Deep, decode
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding, Warn
from labelferry_export.model import Image
from labelferry_export.orientation import orientation_of, upright_size
from labelferry_export.paths import open_plain
from labelferry_export.pillow_guard import MAX_PIXELS, broken, check_size, guarded, opened_file
from labelferry_export.plain_png import HEAD_BYTES, PlainPng, plain_png
from labelferry_protocol.errors import Code

BAND_PIXELS = 1 << 22
"""Pixels that are made RGB at a time."""
RESAMPLING = Pillow.Resampling.HAMMING
"""How pixels are made fewer: `conversion/scaling.py` says why."""
PAGED = frozenset(["TIFF", "GIF", "WEBP", "PNG", "AVIF"])
"""Formats that hold several pictures as pages. The second picture of an MPO is no page: phones keep a depth map there."""


@dataclass(frozen=True)
class Header:
    """What an image file says of itself: `width` and `height` of the upright image in px, `orientation` EXIF's, 1 to 8, `size` in bytes.

    All of it is that of one page: `page`, from 1, of `pages`.
    """

    width: int
    height: int
    mode: str
    orientation: int
    size: int
    mtime_ns: int
    page: int = 1
    pages: int = 1
    format: str = ""
    """Pillow's word for the file's format: `PNG`, `JPEG`, ..."""
    transparent: bool = False
    """Whether a palette entry or one colour stands for transparency, besides what `mode` says."""

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height as the file has them, not turned."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image's pixels on its canvas: `rgb`, shape (height, width, 3), uint8; and what was done to get them."""

    rgb: NDArray[np.uint8]
    findings: tuple[Warn, ...] = ()


def read_header(path: Path, name: str, max_pixels: int = MAX_PIXELS, page: int = 1) -> Header:
    """Return the header of the image file at `path`; raise `ExportError(ITEM)` naming it `name` when it is none that can be read.

    `page` chooses one where the file has several, and means nothing where it has one.
    """
    with opened_file(path, name) as file:
        state = os.fstat(file.fileno())
        if state.st_size == 0:
            raise broken(name, "is empty (0 bytes)")
        plain = _plain_png(file)
        if plain is not None and plain.width * plain.height <= max_pixels:
            return Header(*plain, 1, state.st_size, state.st_mtime_ns, format="PNG")
        with guarded(file, name, max_pixels) as picture:
            pages = _pages_of(picture)
            page = min(page, pages) if pages == 1 else page
            if page > pages:
                raise broken(name, f"has {pages} pages, and no page {page}")
            if pages > 1:
                picture.seek(page - 1)
                check_size(picture, name, max_pixels)
            orientation = orientation_of(picture)
            width, height = upright_size(picture, orientation)
            return Header(
                width=width,
                height=height,
                mode=picture.mode,
                orientation=orientation,
                size=state.st_size,
                mtime_ns=state.st_mtime_ns,
                page=page,
                pages=pages,
                format=picture.format or "",
                transparent="transparency" in picture.info,
            )


def open_original(image: Image) -> FileIO:
    """Open an image's file to copy its bytes; raise `ExportError` when it is gone, or is not the one the snapshot saw."""
    try:
        file = os.fdopen(open_plain(image.path), "rb", buffering=0)
    except OSError as error:
        raise broken(image.name, f"cannot be opened: {error.strerror or error}") from None
    state = os.fstat(file.fileno())
    if image.mtime_ns and (state.st_size, state.st_mtime_ns) != (image.size, image.mtime_ns):
        file.close()
        raise ExportError(
            Code.SOURCE,
            f"the image {image.name!r} was changed during the export: export again when nobody writes it",
            image.name,
        )
    return file


def original_blocks(image: Image, block_bytes: int) -> Iterator[bytes]:
    """Yield the bytes of an image's file in blocks; raise `ExportError` when they are not those the snapshot saw."""
    with open_original(image) as file:
        left = image.size
        while left and (block := file.read(min(block_bytes, left))):
            left -= len(block)
            yield block
        if left or file.read(1):
            message = f"the image {image.name!r} was changed while it was copied: export again"
            raise ExportError(Code.ITEM, message, item=image.name)


def opening(image: Image, max_pixels: int = MAX_PIXELS) -> Generator[None, None, Picture]:
    """Return an image decoded onto its canvas, in steps; raise `ExportError(ITEM)` when its pixels are broken or cut off.

    Transparency is laid on white. More than 8 bits a channel are shown in a window of their values (`contrast`), which is a finding.
    """
    with open_original(image) as file:
        decoded = decode(file, image, max_pixels)
    shown, findings = decoded.pixels, decoded.findings
    if not isinstance(shown, Pillow.Image):
        shown, window = shallow(shown)
        findings += (_window_finding(window, image),)
    yield
    if shown.size != (image.width, image.height):
        return Picture(np.array(on_white(shown).resize((image.width, image.height), RESAMPLING)), findings)
    # Band by band: as a whole, Pillow's picture and its bytes would lie in memory three times.
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(BAND_PIXELS // image.width, 1)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        band = shown if rows >= image.height else shown.crop((0, top, image.width, bottom))
        rgb[top:bottom] = np.asarray(on_white(band))
        yield
    return Picture(rgb, findings)


def shallow(values: Deep) -> tuple[Pillow.Image, Window]:
    """Return deep pixels as a Pillow picture of 8 bits, and the window of values that they are shown in. Transparency is no value."""
    window = window_of(values if values.ndim == 2 else values[..., :3])
    shown = shown_in(window, values)
    if values.shape[2:] == (4,):
        shown[..., 3] = values[..., 3].astype(np.uint16) >> 8
    return Pillow.fromarray(shown), window


def on_white(picture: Pillow.Image) -> Pillow.Image:
    """Return a picture as RGB, what is transparent laid on white."""
    if picture.mode in ("LA", "RGBA"):
        with_alpha = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        if with_alpha.getchannel("A").getextrema() != (255, 255):
            ground = Pillow.new("RGBA", picture.size, "white")
            return Pillow.alpha_composite(ground, with_alpha).convert("RGB")
    return picture.convert("RGB")


def _window_finding(window: Window, image: Image) -> Warn:
    low, high = window
    message = f"{image.name!r} has more than 8 bits a pixel: its overlay shows the values {low:g} to {high:g} as black to white"
    return Warn(code=Finding.CONTRAST_WINDOW, message=message, image=image.name, window=window)


def _plain_png(file: BinaryIO) -> PlainPng | None:
    with suppress(OSError):
        return plain_png(os.pread(file.fileno(), HEAD_BYTES, 0))
    return None


def _pages_of(picture: Pillow.Image) -> int:
    """Return how many pages the file has; what is broken behind the first page is no page."""
    if picture.format not in PAGED:
        return 1
    try:
        pages = int(getattr(picture, "n_frames", 1))
    except Exception:  # noqa: BLE001 - a decoder of hostile bytes raises anything
        pages = 1
    if picture.tell():
        picture.seek(0)
    return max(pages, 1)
