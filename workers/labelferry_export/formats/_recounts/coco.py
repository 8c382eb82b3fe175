"""COCO's annotations read again, hundreds at a time: run lengths that add up, areas and boxes that are those of the masks.

Run lengths are decoded here from what COCO says of its form, not with the functions that wrote them. Area and box of polygons are held
to those of the vertices, which no mask can exceed by more than its outline's length. The first polygons of a file, and a share of all others, are
drawn again from the numbers in the file: then area and box are exactly those of what is drawn.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from labelferry_export.formats._recounts.lines import LEAST_RING, JsonRecount
from labelferry_export.geometry.raster import cover_of_all
from labelferry_export.geometry.ring import Flags, Floats, Rings
from labelferry_export.geometry.rle import RleError, unpack

BATCH = 500
ALL_DRAWN, DRAWN_EVERY = 1000, 8
"""So many polygons of a file are drawn again all, of the others every eighth."""
SLACK = 4.0
"""px^2 by which a mask may exceed what its outline allows: rounding at the corners."""


class RleRow(msgspec.Struct):
    """Run lengths, as a list or packed."""

    size: tuple[int, int]
    counts: list[int] | str


class AnnotationRow(msgspec.Struct):
    """What is looked at of an element of `annotations`."""

    id: int
    image_id: int
    category_id: int
    segmentation: list[list[float]] | RleRow
    area: int
    bbox: tuple[float, float, float, float]
    iscrowd: int


class Polygon(NamedTuple):
    """What is kept of an annotation until its outlines are looked at: `rings` is how many there are, which are kept apart."""

    id: int
    area: int
    bbox: tuple[float, float, float, float]
    rings: int


class CocoRecount(JsonRecount):
    """Recounts COCO's files, and decodes every segmentation."""

    def __init__(self, folder: str, classes: int) -> None:
        super().__init__(folder, "annotations", classes, AnnotationRow)
        self._polygons: list[Polygon] = []
        self._rings: list[Floats] = []
        """Of the polygons, as they come: so no list of numbers lives for longer than its row is looked at."""
        self._checked = 0

    def check(self, row: AnnotationRow) -> None:
        """Check an annotation, or keep it until there are enough of them."""
        if isinstance(row.segmentation, RleRow):
            check_runs(row, row.segmentation)
            return
        self._rings += [np.array(ring, np.float64) for ring in row.segmentation]
        self._polygons.append(Polygon(row.id, row.area, row.bbox, len(row.segmentation)))
        if len(self._polygons) >= BATCH:
            self._flush()

    def close(self) -> None:
        """Check what is left, and say that the file has ended."""
        self._flush()
        self._checked = 0
        super().close()

    def _flush(self) -> None:
        rows = self._polygons
        if rows:
            outlines = check_polygons(rows, self._rings)
            if self._checked >= ALL_DRAWN:
                chosen = np.arange(-self._checked % DRAWN_EVERY, len(rows), DRAWN_EVERY)
                rows, outlines = [rows[place] for place in chosen.tolist()], outlines.taken(chosen)
            if rows:
                draw_polygons(rows, outlines)
        self._checked += len(self._polygons)
        self._polygons.clear()
        self._rings.clear()


def check_runs(row: AnnotationRow, rle: RleRow) -> None:
    """Raise ValueError when run lengths are no mask of their size, or area and box are not those of the mask."""
    height, width = rle.size
    try:
        counts = np.array(rle.counts, np.int64) if isinstance(rle.counts, list) else unpack(rle.counts.encode())
    except RleError as error:
        raise ValueError(f"object {row.id}: {error}") from None
    if (counts < 0).any() or counts.sum() != height * width:
        raise ValueError(
            f"object {row.id}: its run lengths add up to {counts.sum()}, not to {width} x {height} = {width * height}"
        )
    ends = np.cumsum(counts)
    first, last = (ends - counts)[1::2], ends[1::2] - 1
    first, last = first[counts[1::2] > 0], last[counts[1::2] > 0]
    area = int((last - first + 1).sum())
    if area != row.area:
        raise ValueError(f"object {row.id}: its mask has {area} pixels, its area says {row.area}")
    if not area:
        return
    left, right = int((first // height).min()), int((last // height).max())
    top, bottom = int((first % height).min()), int((last % height).max())
    if (first // height != last // height).any():
        top, bottom = 0, height - 1
    if row.bbox != (left, top, right - left + 1, bottom - top + 1):
        raise ValueError(f"object {row.id}: its box {row.bbox} is not that of its mask")


def check_polygons(rows: Sequence[Polygon], rings: Sequence[Floats]) -> Rings:
    """Return the outlines. Raises ValueError when a ring has fewer than three points, or an area or box cannot be that of the rings."""
    counts = np.array([row.rings for row in rows])
    sizes = np.array([len(ring) for ring in rings], np.int64)
    wrong = counts == 0
    wrong[np.repeat(np.arange(len(rows)), counts)[(sizes < LEAST_RING) | (sizes % 2 == 1)]] = True
    if wrong.any():
        number = rows[int(wrong.argmax())].id
        raise ValueError(f"object {number}: a ring of its segmentation is none of three or more points")
    # Each ring is a part of its own.
    outlines = Rings.counted(np.concatenate(rings).reshape(-1, 2), sizes // 2, np.ones_like(sizes), counts)
    allowed = _allowed(outlines)
    areas, boxes = np.array([row.area for row in rows]), np.array([row.bbox for row in rows])
    low, size = boxes[:, :2], boxes[:, 2:]
    near = (low >= allowed.low - 1).all(axis=1) & (low + size <= allowed.high + 1).all(axis=1)
    # Comparisons that are false for what is not a number.
    right = near & (areas >= allowed.least) & (areas <= allowed.most) & (areas <= size.prod(axis=1))
    if not right.all():
        raise _wrong(rows, right)
    return outlines


def draw_polygons(rows: Sequence[Polygon], outlines: Rings) -> None:
    """Raise ValueError when an area or box is not that of the outlines, drawn again; `check_polygons` has passed them."""
    # Outlines lie in their image: beyond the last vertex there is nothing to draw.
    width, height = np.maximum(np.ceil(outlines.points.max(axis=0)), 1).astype(int).tolist()
    drawn = cover_of_all(outlines, width, height)
    areas, boxes = np.array([row.area for row in rows]), np.array([row.bbox for row in rows])
    right = (drawn.areas == areas) & ((drawn.boxes == boxes).all(axis=1) | (areas == 0))
    if not right.all():
        raise _wrong(rows, right)


def _wrong(rows: Sequence[Polygon], right: Flags) -> ValueError:
    wrong = rows[int(np.flatnonzero(~right)[0])]
    return ValueError(f"object {wrong.id}: its area {wrong.area} and box {wrong.bbox} are not those of its rings")


class _Allowed(NamedTuple):
    """What the masks of objects can be: corners of the box around their vertices, (n, 2), and the least and greatest area, (n,)."""

    low: Floats
    high: Floats
    least: Floats
    most: Floats


def _allowed(outlines: Rings) -> _Allowed:
    """Return what the masks of objects of these rings can be: an area differs from the enclosed one by the outline's length at most."""
    counts, starts, points = outlines.parts_of_shape, outlines.starts, outlines.points
    firsts = np.cumsum(counts) - counts
    ahead = points[outlines.following]
    enclosed = np.abs(np.add.reduceat(points[:, 0] * ahead[:, 1] - ahead[:, 0] * points[:, 1], starts)) / 2
    length = np.add.reduceat(np.hypot(*(ahead - points).T), starts)
    # Rings of one object may overlap: then its mask may be as small as one of them.
    least = np.where(counts > 1, 0.0, np.add.reduceat(enclosed - length, firsts) - SLACK)
    return _Allowed(
        low=np.minimum.reduceat(np.minimum.reduceat(points, starts), firsts),
        high=np.maximum.reduceat(np.maximum.reduceat(points, starts), firsts),
        least=least,
        most=np.add.reduceat(enclosed + length, firsts) + SLACK,
    )
