"""Which objects are exported by their size and place: asked when their outline is clean. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from labelferry_export.geometry.measure import areas
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
        by_size = self._by_size(shapes)
        return [
            None if shape is None else reason or self._by_place(shape, width, height)
            for shape, reason in zip(shapes, by_size, strict=True)
        ]

    def _by_size(self, shapes: Sequence[Shape | None]) -> list[Reason | None]:
        if self.least is None and self.most is None:
            return [None] * len(shapes)
        there = [index for index, shape in enumerate(shapes) if shape is not None]
        found: list[Reason | None] = [None] * len(shapes)
        measured = areas([shape for shape in shapes if shape is not None]) * self.factor
        for index, area in zip(there, measured.tolist(), strict=True):
            if (self.least is not None and area < self.least) or (self.most is not None and area > self.most):
                found[index] = Reason.AREA
        return found

    def _by_place(self, shape: Shape, width: int, height: int) -> Reason | None:
        if self.border is Border.INCLUDE:
            return None
        left, top, right, bottom = shape.bounds
        touches = min(left, top, width - right, height - bottom) <= NEAR
        return Reason.BORDER if touches == (self.border is Border.EXCLUDE) else None
