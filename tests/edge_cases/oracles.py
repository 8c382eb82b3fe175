"""What pycocotools' own rasteriser makes of polygons in a 40 x 40 image: computed once with it, kept as constants."""

from dataclasses import dataclass

FINDCONTOURS_RING = [10, 10, 19, 10, 19, 19, 10, 19]
"""What cv2.findContours gives for a filled block of 10 x 10 pixels: pixel centres, not edges."""


@dataclass(frozen=True)
class Oracle:
    """A polygon (x, y, ...), the pixels it covers, and the box around them (x, y, width, height)."""

    ring: list[float]
    area: int
    bbox: tuple[float, float, float, float]


POLYGONS: dict[str, Oracle] = {
    "square: coordinates are pixel edges": Oracle([10, 10, 20, 10, 20, 20, 10, 20], 100, (10, 10, 10, 10)),
    "pixel-centre contour: loses a row and a column": Oracle(list(FINDCONTOURS_RING), 81, (10, 10, 9, 9)),
    "half-pixel outset: repairs it": Oracle([9.5, 9.5, 19.5, 9.5, 19.5, 19.5, 9.5, 19.5], 100, (10, 10, 10, 10)),
    "square shifted by 0.4 px: the mask's box is not the vertices'": Oracle(
        [10.4, 10.4, 20.4, 10.4, 20.4, 20.4, 10.4, 20.4], 100, (10, 10, 10, 10)
    ),
    "right triangle: not the shoelace's 200": Oracle([5, 5, 25, 5, 5, 25], 190, (5, 5, 19, 19)),
    "the same triangle, other winding": Oracle([5, 5, 5, 25, 25, 5], 190, (5, 5, 19, 19)),
    "out of the image: clipped": Oracle([-10, 10, 20, 10, 20, 20, -10, 20], 200, (0, 10, 20, 10)),
    "bow-tie: even-odd": Oracle([10, 10, 20, 20, 20, 10, 10, 20], 50, (10, 10, 10, 9)),
}
EMPTY: dict[str, list[float]] = {
    "2-point line": [5, 5, 25, 25],
    "3 collinear points": [5, 5, 10, 10, 25, 25],
    "sub-pixel triangle": [5.6, 5.6, 5.8, 5.6, 5.6, 5.8],
}
"""A valid call that gives an empty mask."""
HOLED_OUTER, HOLED_HOLE = [5, 5, 30, 5, 30, 30, 5, 30], [10, 10, 20, 10, 20, 20, 10, 20]
"""A ring of 25 x 25 with one of 10 x 10 in it."""
HOLED_AREA, FILLED_AREA = 525, 625
"""Rings in one `segmentation` are a union: the hole is filled. Four numbers as a part are a box x, y, width, height: 625 too."""
BLOCK_COUNTS = [32, 6, 4, 6, 4, 2]
"""How the run lengths of a 6 x 6 block with a 2 x 2 hole in an image of 12 x 10 begin; they add up to 120, the area is 32."""
ONES_COUNTS = [0, 4]
"""Run lengths of an all-ones mask of 2 x 2."""
