"""Which objects are exported by their size and place: asked when their outline is clean. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelferry_export.geometry.boxes import boxes
from labelferry_export.geometry.measure import areas
from labelferry_export.geometry.ring import Flags
from labelferry_export.geometry.shape import Shape
from labelferry_export.selection.reason import Reason
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Border

NEAR = 0.5
"""An outline this near to the edge of its image, px, touches it: a pixel of the outermost row or column is in it."""


@dataclass(frozen=True)
class ShapeChoice:
    """What is asked of outlines. Areas in px^2, None where there is no bound."""

    least: float | None = None
    most: float | None = None
    border: Border = Border.INCLUDE
    factor: float = 1.0
    """What an area in px^2 is multiplied with before it is compared."""

    @classmethod
    def of(cls, options: ExportOptions) -> "ShapeChoice | None":
        """Return what the options ask, None when it is nothing. With a scale, areas are in um^2, as in the tables."""
        if options.min_area is None and options.max_area is None and options.border is Border.INCLUDE:
            return None
        factor = 1.0 if options.scale is None else options.scale**2
        return cls(options.min_area, options.max_area, options.border, factor)

    def reasons(self, shapes: Sequence[Shape | None], width: int, height: int) -> list[Reason | None]:
        """Return for each outline why its object is left out, None when it is not; an outline that is None is nobody's."""
        there = [shape for shape in shapes if shape is not None]
        left_out = [
            size or place
            for size, place in zip(self._by_size(there), self._by_place(there, width, height), strict=True)
        ]
        reasons = iter(left_out)
        return [None if shape is None else next(reasons) for shape in shapes]

    def _by_size(self, shapes: Sequence[Shape]) -> Sequence[Reason | None]:
        if self.least is None and self.most is None:
            return [None] * len(shapes)
        least = 0.0 if self.least is None else self.least
        most = np.inf if self.most is None else self.most
        measured = areas(shapes) * self.factor
        return _where(~((least <= measured) & (measured <= most)), Reason.AREA)

    def _by_place(self, shapes: Sequence[Shape], width: int, height: int) -> Sequence[Reason | None]:
        if self.border is Border.INCLUDE:
            return [None] * len(shapes)
        left, top, right, bottom = boxes(shapes).T
        touches = np.minimum.reduce([left, top, width - right, height - bottom]) <= NEAR
        return _where(touches == (self.border is Border.EXCLUDE), Reason.BORDER)


def _where(flags: Flags, reason: Reason) -> list[Reason | None]:
    return [reason if flag else None for flag in flags.tolist()]
