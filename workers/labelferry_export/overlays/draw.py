"""Draws an image's objects over its pixels: fills, outlines, numbers. Files are not known here; nor are categories, only their ids."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.raster import runs_of_all
from labelferry_export.geometry.ring import lay_out
from labelferry_export.instances import shapes_of
from labelferry_export.model import Instance
from labelferry_export.overlays.fill import fill
from labelferry_export.overlays.ink import lay
from labelferry_export.overlays.numbers import Numbers
from labelferry_export.overlays.palette import colours_of
from labelferry_export.overlays.stretches import Stretches
from labelferry_export.overlays.stroke import Outlines
from labelferry_protocol.options import OverlayStyle

Bytes = NDArray[np.uint8]

BATCH = 256
"""Objects that are filled at a time."""
BAND_PIXELS = 1 << 19
"""Outlines and numbers are drawn on bands of the image of about so many pixels."""


def draw_overlay(picture: Bytes, instances: Sequence[Instance], style: OverlayStyle) -> Bytes:
    """Return a copy of `picture`, shape (h, w, 3), with the objects drawn on it in their order."""
    drawn = np.array(picture, order="C")
    for _ in drawing(drawn, instances, style):
        pass
    return drawn


def drawing(picture: Bytes, instances: Sequence[Instance], style: OverlayStyle) -> Iterator[None]:
    """Draw the objects on `picture`, C-ordered, shape (h, w, 3), in place; a yield after each unit of work.

    All fills lie under all outlines, and these under all numbers. What lies outside of the image is not drawn.
    """
    if not instances:
        return
    height, width = picture.shape[:2]
    colours, rows = colours_of([each.category_id if style.color_by == "class" else each.id for each in instances])
    numbers = Numbers(height, width)
    for start in range(0, len(instances), BATCH):
        some = instances[start : start + BATCH]
        objects = Stretches.of(runs_of_all(shapes_of(some), width, height))
        if style.numbers:
            numbers.add(objects, [each.id for each in some])
        yield
        crowds = np.array([each.crowd for each in some], np.bool_)
        yield from fill(picture, objects, (colours, rows[start : start + BATCH]), crowds, style.fill_opacity)
    outlines = _outlines(instances, style, rows)
    band_rows = max(1, BAND_PIXELS // width)
    for top in range(0, height, band_rows):
        band = picture[top : top + band_rows]
        if outlines:
            lay(band, outlines.marks(top, len(band), width), colours)
            yield
        numbers.draw(band, top)
        yield


def _outlines(instances: Sequence[Instance], style: OverlayStyle, colour: Bytes) -> Outlines | None:
    if not style.stroke_width:
        return None
    return Outlines(lay_out(shapes_of(instances)), colour, style.stroke_width)
