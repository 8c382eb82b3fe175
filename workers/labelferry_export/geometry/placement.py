"""How outlines get from the pixels they were drawn on to an image's canvas: turned as its EXIF orientation says, then scaled."""

from dataclasses import dataclass, replace

import numpy as np

from labelferry_export.geometry.ring import Floats, Rings, lay_out
from labelferry_export.geometry.shape import Shape

_TURNS: dict[int, tuple[bool, bool, bool]] = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
"""By EXIF's number, from the stored image to the upright one: whether x and y change places; then, what is mirrored: x, y."""


@dataclass(frozen=True)
class Placement:
    """From an image of `drawn` (width, height) px, turned by `orientation` (EXIF's, 1 to 8), to a canvas of `canvas` px."""

    drawn: tuple[int, int]
    canvas: tuple[int, int]
    orientation: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height of what was drawn on, turned and not scaled."""
        return (self.drawn[1], self.drawn[0]) if self.orientation >= 5 else self.drawn

    @property
    def keeps(self) -> bool:
        """Whether every vertex stays where it is."""
        return self.orientation == 1 and self.drawn == self.canvas

    def place(self, shape: Shape) -> Shape:
        """Return a shape on the canvas. What ends at the border of the one ends at the border of the other, to the bit."""
        return shape if self.keeps else self.place_all(lay_out([shape])).shape_list()[0]

    def place_all(self, rings: Rings) -> Rings:
        """Return many shapes on the canvas."""
        return rings if self.keeps else replace(rings, points=self._moved(rings.points))

    def _moved(self, points: Floats) -> Floats:
        swapped, *mirrored = _TURNS[self.orientation]
        size = np.array(self.drawn[::-1] if swapped else self.drawn, np.float64)
        turned = points[:, ::-1] if swapped else points
        turned = size * mirrored + turned * np.where(mirrored, -1.0, 1.0)
        if tuple(size) == self.canvas:
            return turned
        # First multiplied, then divided: a border is a whole number, and comes out as one.
        with np.errstate(over="ignore", invalid="ignore"):
            return turned * np.array(self.canvas, np.float64) / size
