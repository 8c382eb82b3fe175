"""Masks in image files: one number a pixel, decoded without loss, and each number's region traced along the edges of its pixels."""

import base64
import binascii
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from labelferry_export.errors import ExportError
from labelferry_export.geometry.ring import Flags
from labelferry_export.geometry.shape import Shape
from labelferry_export.geometry.trace import shape_of_mask
from labelferry_export.paths import inside, open_plain
from labelferry_export.pillow_guard import guarded
from labelferry_export.sources.outlines import Unusable

MAX_MASK_PIXELS = 250_000_000
MASK_SUFFIXES = frozenset([".png", ".tif", ".tiff", ".bmp", ".gif"])
"""Files that keep every number; JPEG and lossy WebP do not."""
KEEPING = frozenset(["PNG", "TIFF", "BMP", "GIF"])
"""What Pillow calls them."""
BAND_PIXELS = 1 << 22
"""Pixels looked at in one step while the boxes around the objects are found."""
MOST_SCATTER = 256
LEAST_SCATTER = 1 << 28
"""The boxes around all objects of a mask together may have `MOST_SCATTER` times its pixels, and at least so many; more is noise."""

Labels = NDArray[np.integer]
"""A label mask, shape (height, width): 0 where there is no object."""


def read_labels(root: Path, name: str) -> Labels:
    """Return the numbers in an image file inside `root`: palette indices, grey values of any depth, 0 and 1.

    Raises `ExportError` when it cannot be read, `Unusable` when its pixels are colours and not numbers.
    """
    return _labels(*_decoded(root, name))


def read_mask(root: Path, name: str) -> Flags:
    """Return which pixels of an image file inside `root` are not black, shape (height, width); transparency has no meaning."""
    pixels, mode = _decoded(root, name)
    if mode in ("RGBA", "LA"):
        pixels = pixels[..., :-1]
    flags: Flags = (pixels != 0).any(axis=-1) if pixels.ndim == 3 else pixels != 0
    return flags


def mask_in_text(text: str, name: str) -> Flags:
    """Return the mask of a PNG in base64, shape (height, width); raise `Unusable` when it is none."""
    try:
        data = base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        raise Unusable("its mask is not base64") from None
    try:
        with guarded(io.BytesIO(data), name, MAX_MASK_PIXELS) as picture:
            flags: Flags = _labels(_pixels(picture), picture.mode) != 0
            return flags
    except ExportError as error:
        raise Unusable(f"its mask cannot be read: {error.message}") from None


def traced(mask: Flags, offset: tuple[int, int] = (0, 0)) -> Shape:
    """Return the region of a mask, moved by `offset` (x, y); only the box around its set pixels is worked on.

    Raises `Unusable` when no pixel is set.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise Unusable("its mask is empty")
    left, top = int(columns[0]), int(rows[0])
    crop = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    shape = shape_of_mask(crop, (left + offset[0], top + offset[1]))
    assert shape is not None  # noqa: S101 - a pixel is set
    return shape


def regions(labels: Labels) -> Iterator[tuple[int, Shape]]:
    """Return each number above 0 of a label mask with its region, ascending; raise `Unusable` for noise and negative numbers."""
    boxes = _boxes(labels)
    if boxes and min(boxes) < 0:
        raise Unusable(
            f"it holds the number {min(boxes)}: a label mask has 0 where there is no object, else 1 and above"
        )
    scatter = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes.values())
    if scatter > max(LEAST_SCATTER, MOST_SCATTER * labels.size):
        raise Unusable(f"its {len(boxes)} numbers are scattered all over it: it is noise, not a label mask")
    return _traced_boxes(labels, boxes)


def _traced_boxes(labels: Labels, boxes: Mapping[int, tuple[int, int, int, int]]) -> Iterator[tuple[int, Shape]]:
    for value in sorted(boxes):
        left, top, right, bottom = boxes[value]
        shape = shape_of_mask(labels[top:bottom, left:right] == value, (left, top))
        assert shape is not None  # noqa: S101 - the box is that of its pixels
        yield value, shape


def _boxes(labels: Labels) -> dict[int, tuple[int, int, int, int]]:
    """Return left, top, right and bottom (behind the last pixel) of each number but 0."""
    height, width = labels.shape
    boxes: dict[int, tuple[int, int, int, int]] = {}
    for first in range(0, height, rows := max(1, BAND_PIXELS // width)):
        y, x = np.nonzero(labels[first : first + rows])
        values = labels[y + first, x]
        if not len(values):
            continue
        order = np.argsort(values, kind="stable")
        values, x, y = values[order], x[order], y[order] + first
        starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        sides = (
            np.minimum.reduceat(x, starts),
            np.minimum.reduceat(y, starts),
            np.maximum.reduceat(x, starts) + 1,
            np.maximum.reduceat(y, starts) + 1,
        )
        for value, *box in zip(values[starts].tolist(), *(side.tolist() for side in sides), strict=True):
            left, top, right, bottom = boxes.get(value, box)
            boxes[value] = (min(left, box[0]), min(top, box[1]), max(right, box[2]), max(bottom, box[3]))
    return boxes


def _decoded(root: Path, name: str) -> tuple[NDArray[np.generic], str]:
    with os.fdopen(_open(root, name), "rb") as file, guarded(file, name, MAX_MASK_PIXELS) as picture:
        return _pixels(picture), picture.mode


def _open(root: Path, name: str) -> int:
    path = inside(root, name)
    try:
        return open_plain(path)
    except OSError as error:
        raise Unusable(f"its mask {name} cannot be opened: {error.strerror or error}") from None


def _pixels(picture: Pillow.Image) -> NDArray[np.generic]:
    if picture.format not in KEEPING:
        raise Unusable(f"its mask is a {picture.format} file, which does not keep numbers as they are: use PNG or TIFF")
    return np.asarray(picture)


def _labels(pixels: NDArray[np.generic], mode: str) -> Labels:
    if pixels.ndim == 3:
        colours = pixels[..., :-1] if mode in ("RGBA", "LA") else pixels
        if not (colours == colours[..., :1]).all():
            raise Unusable("its mask has colours: a label mask has one number a pixel (grey or palette)")
        pixels = colours[..., 0]
    if pixels.dtype.kind == "f":
        whole = pixels.astype(np.float64)
        if not (np.isfinite(whole).all() and (np.abs(whole) < 2**31).all() and (whole == np.rint(whole)).all()):
            raise Unusable("its mask holds numbers that are not whole")
        return whole.astype(np.int64)
    return pixels.astype(np.uint8) if pixels.dtype.kind == "b" else pixels  # type: ignore[return-value]  # of an integer kind
