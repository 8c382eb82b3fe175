"""The void border around objects in masks of VOC: 5 pixels wide in VOC2012, so that nobody is judged by where exactly an outline runs."""

from collections.abc import Generator, Sequence

import numpy as np

from labelferry_export.findings import Loss, Warn
from labelferry_export.format import loss
from labelferry_export.formats._painting import Painting
from labelferry_export.formats._voc_lists import NAME
from labelferry_export.geometry.ring import Flags
from labelferry_export.lanes.task import Piece
from labelferry_export.model import Image, Instance

WIDTHS = (0, 5)


def void_border(painting: Painting, width: int) -> Generator[Piece, None, Flags]:
    """Return which pixels are border, (width * height,) column by column; yields empty pieces in between.

    The middle of it are the outermost pixels of each object, those with another object or the background right beside them; at the
    edge of the image there is none. It lies half within the object and half around it, as a pen of so many pixels would draw it.
    """
    border = np.zeros(painting.width * painting.height, np.bool_)
    for _ in painting.borders(border, width // 2):
        yield Piece()
    return border


def border_losses(image: Image, order: Sequence[Instance], painting: Painting, border: Flags) -> list[Warn]:
    """Return a finding for each painted object of which something was seen, and nothing is beside its border."""
    before, after = painting.seen(), painting.seen(~border)
    gone = np.flatnonzero((before > 0) & (after == 0))
    return [
        loss(Loss.REDUCED, NAME, f"object {each.id} is all border: no pixel of it is left in masks", image, each.id)
        for each in (order[place - 1] for place in gone.tolist() if place)
        if not each.crowd
    ]
