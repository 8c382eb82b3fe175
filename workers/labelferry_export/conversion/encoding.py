"""Pixels as an image file: PNG and TIFF by our own writers, JPEG and WebP by Pillow. What a format cannot hold is made so that it can."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from labelferry_export.contrast import Window
from labelferry_export.conversion.tiff import encode_tiff
from labelferry_export.decoding import Deep, Pixels
from labelferry_export.overlays.png import Extras, encode_png
from labelferry_export.picture import on_white, shallow

GREATEST = 65535


@dataclass(frozen=True, eq=False)
class Holdable:
    """Pixels that a format can hold, and the window of values they are shown in where they had to become 8 bits."""

    pixels: Pixels
    window: Window | None = None


def holdable(pixels: Pixels, written: str) -> Holdable:
    """Return pixels as the format `written` can hold them.

    PNG: up to 16 bits; TIFF: all; JPEG and WebP: 8 bits; JPEG without transparency, which is laid on white. What is too deep is shown in
    a window of its values.
    """
    window: Window | None = None
    if not isinstance(pixels, Pillow.Image) and written != "tiff":
        fitting = _sixteen_bits(pixels) if written == "png" else None
        if fitting is not None:
            return Holdable(fitting)
        pixels, window = shallow(pixels)
    if isinstance(pixels, Pillow.Image) and written == "jpeg" and pixels.mode in ("LA", "RGBA"):
        pixels = on_white(pixels).convert("L") if pixels.mode == "LA" else on_white(pixels)
    return Holdable(pixels, window)


def encoded(pixels: Pixels, written: str, quality: int, profile: bytes | None) -> Iterator[bytes]:
    """Yield a file of the format `written`, block by block; some may be empty. `pixels` are holdable; `profile` is their ICC profile."""
    profile = profile if profile and _fits(profile, pixels) else None
    if written in ("png", "tiff"):
        values = np.asarray(pixels)
        if written == "tiff":
            yield from encode_tiff(values, profile)
        else:
            yield from encode_png(_channels(values), Extras(profile=profile, flat=False))
        return
    picture = pixels if isinstance(pixels, Pillow.Image) else shallow(pixels)[0]
    out = io.BytesIO()
    if written == "jpeg":
        # Colours at full resolution: at the borders of objects, half of it shows.
        picture.save(out, "JPEG", quality=quality, subsampling=0, icc_profile=profile)
    else:
        picture.save(out, "WEBP", quality=quality, method=4, icc_profile=profile)
    yield out.getvalue()


def _sixteen_bits(values: Deep) -> NDArray[np.uint16] | None:
    """Return whole numbers that fit into 16 bits so, None for others."""
    if values.dtype == np.uint16:
        return values.astype(np.uint16, copy=False)
    if values.dtype == np.int32 and values.min() >= 0 and values.max() <= GREATEST:
        return values.astype(np.uint16)
    return None


def _channels(values: NDArray[np.generic]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    return values.astype(np.uint16, copy=False) if values.dtype == np.uint16 else values.astype(np.uint8, copy=False)


def _fits(profile: bytes, pixels: Pixels) -> bool:
    """Whether an ICC profile is one of the pixels' kind: grey or RGB (ICC.1, 7.2.6: bytes 16 to 19)."""
    channels = len(pixels.getbands()) if isinstance(pixels, Pillow.Image) else (*pixels.shape, 1)[2]
    return profile[16:20] == (b"RGB " if channels > 2 else b"GRAY")
