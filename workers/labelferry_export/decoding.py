"""An image file's pixels as they are: upright, of the page that is exported, in one of few kinds. What is made of them is for others.

Up to 8 bits a channel they are a Pillow picture of the mode L, LA, RGB or RGBA: palettes, 1 bit and other colour spaces are resolved. Deeper
ones are an array, shape (h, w) for grey or (h, w, 3 or 4) for colours: uint16, int32 or float32.
"""

import sys
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from labelferry_export.findings import Finding, Warn
from labelferry_export.model import Image
from labelferry_export.orientation import upright
from labelferry_export.pillow_guard import broken, guarded

Deep = NDArray[np.uint16] | NDArray[np.int32] | NDArray[np.float32]
Pixels = Pillow.Image | Deep

_PLAIN = frozenset(["L", "LA", "RGB", "RGBA"])
_ALPHA = {"L": "LA", "La": "LA", "LA": "LA"}
"""Modes that stay grey when they become transparent; all others become RGBA."""
_LOWER = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}
"""Pillow keeps the upper byte of each 16-bit sample of a colour. Told that the bytes lie the other way round, it keeps the lower one."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels, the colour profile (ICC) that they are in, if the file has one, and what was noticed."""

    pixels: Pixels
    profile: bytes | None = None
    findings: tuple[Warn, ...] = ()


def decode(file: BinaryIO, image: Image, max_pixels: int) -> Decoded:
    """Return the pixels of an image's open file; raise `ExportError(ITEM)` when they are broken or cut off."""
    with guarded(file, image.name, max_pixels) as picture:
        picture.seek(image.page - 1)
        raw = _raw_mode(picture)
        picture.load()
        profile = picture.info.get("icc_profile")
        profile = profile if isinstance(profile, bytes) and profile else None
        turned = upright(picture, image.orientation)
        findings: tuple[Warn, ...] = ()
        pixels: Pixels
        if turned.mode.startswith("I") or turned.mode == "F":
            pixels = _values(turned)
        elif raw.endswith(tuple(_LOWER)) and raw.partition(";")[0] == picture.mode in ("RGB", "RGBA"):
            lower = _lower_bytes(file, image, max_pixels)
            pixels = np.asarray(turned).astype(np.uint16) << 8 | np.asarray(lower)
        else:
            pixels = plain(turned)
            findings = _shallow_finding(image) if ";16" in raw else ()
    height, width = (pixels.height, pixels.width) if isinstance(pixels, Pillow.Image) else pixels.shape[:2]
    if (width, height) != image.full:
        raise broken(image.name, f"decodes to {width}x{height}, not to {image.full[0]}x{image.full[1]}")
    return Decoded(pixels, profile, findings)


def plain(picture: Pillow.Image) -> Pillow.Image:
    """Return a picture of 8 bits or fewer in one of the modes L, LA, RGB and RGBA."""
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        return picture.convert(_ALPHA.get(picture.mode, "RGBA"))
    if picture.mode in _PLAIN:
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _values(picture: Pillow.Image) -> Deep:
    values = np.asarray(picture)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _raw_mode(picture: Pillow.Image) -> str:
    """Return how the samples lie in the file, in Pillow's words, as far as it says: `RGB;16B`."""
    tiles = getattr(picture, "tile", None)
    arguments = tiles[0].args if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _lower_bytes(file: BinaryIO, image: Image, max_pixels: int) -> Pillow.Image:
    with guarded(file, image.name, max_pixels) as picture:
        picture.seek(image.page - 1)
        picture.tile = [each._replace(args=_other_way_round(each.args)) for each in picture.tile]  # type: ignore[attr-defined]  # of every file
        picture.load()
        return upright(picture, image.orientation)


def _other_way_round(arguments: tuple[object, ...] | str | None) -> tuple[object, ...] | str | None:
    if isinstance(arguments, tuple):
        first, *rest = arguments
        return (f"{str(first)[:-4]}{_LOWER[str(first)[-4:]]}", *rest)
    return arguments and f"{arguments[:-4]}{_LOWER[arguments[-4:]]}"


def _shallow_finding(image: Image) -> tuple[Warn, ...]:
    message = (
        f"{image.name!r} has 16 bits a channel, of which only the upper 8 can be read: its pixels are shown by those"
    )
    return (Warn(code=Finding.IMAGE_DEPTH, message=message, image=image.name),)
