"""Overlays: what the stage `visualizations` makes of one image and its objects. A pure function from pixels and objects to PNG."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from labelferry_export.model import Instance
from labelferry_export.overlays.draw import draw_overlay, drawing
from labelferry_export.overlays.png import encode_png
from labelferry_protocol.options import OverlayStyle

__all__ = ["draw_overlay", "encode_png", "render"]


def render(
    rgb: NDArray[np.uint8], instances: Sequence[Instance], style: OverlayStyle, *, in_place: bool = False
) -> Iterator[bytes]:
    """Yield the PNG of an overlay, some milliseconds of work at a time; the blocks are empty while it is still being drawn.

    rgb: the image's pixels on its canvas, shape (h, w, 3) (`picture.opening`). It is not changed,
    unless it may be drawn on `in_place`: then it is C-ordered.
    """
    drawn = rgb if in_place else np.array(rgb, order="C")
    yield b""
    for _ in drawing(drawn, instances, style):
        yield b""
    yield from encode_png(drawn)
