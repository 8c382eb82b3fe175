"""Pixels made fewer. The one rule: each new pixel is a weighted mean of those it covers and their neighbours, by a Hamming-windowed sinc of one lobe.

Its weights are never negative, so that no value comes out that lies beyond those that went in; the whole image becomes the whole
image, so that an outline is scaled by dividing. Transparent pixels count as much as they are seen.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from labelferry_export.decoding import Deep, Pixels
from labelferry_export.picture import RESAMPLING


def scaled(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return pixels with another size, of the same kind."""
    if isinstance(pixels, Pillow.Image):
        return pixels if pixels.size == (width, height) else pixels.resize((width, height), RESAMPLING)
    if pixels.shape[:2] == (height, width):
        return pixels
    return _grey(pixels, width, height) if pixels.ndim == 2 else _colours(pixels, width, height)


def _grey(values: Deep, width: int, height: int) -> Deep:
    # As floats, 16 bits are rounded once; whole numbers are rounded twice, which in 32 bits is nothing.
    exact = values.astype(np.float32) if values.dtype == np.uint16 else values
    smaller = np.asarray(Pillow.fromarray(exact).resize((width, height), RESAMPLING))
    return cast("Deep", (np.rint(smaller) if values.dtype == np.uint16 else smaller).astype(values.dtype))


def _colours(values: Deep, width: int, height: int) -> Deep:
    planes = np.moveaxis(values, 2, 0).astype(np.float32)
    if len(planes) == 4:
        planes[:3] *= planes[3] / 65535
    smaller = np.stack([np.asarray(Pillow.fromarray(plane).resize((width, height), RESAMPLING)) for plane in planes])
    if len(smaller) == 4:
        smaller[:3] *= 65535 / np.maximum(smaller[3], 1e-6)
    colours: NDArray[np.uint16] = np.clip(np.rint(np.moveaxis(smaller, 0, 2)), 0, 65535).astype(np.uint16)
    return colours
