"""COCO's annotations read again, hundreds at a time: run lengths that add up, areas and boxes that are those of the masks.

Decoded here from what COCO says of its form, not with the functions that wrote it. A polygon is not drawn again; its area and box are held
to those of its vertices, which no mask of it can exceed by more than its outline's length.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from labelferry_export.bundle.readers import Lines, Reader
from labelferry_export.formats._recounts.lines import LEAST_RING, JsonRecount
from labelferry_export.geometry.ring import Floats
from labelferry_export.geometry.rle import RleError, unpack

BATCH = 500
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


class CocoRecount(JsonRecount):
    """Recounts COCO's files, and decodes every segmentation."""

    def __init__(self, folder: str, classes: int) -> None:
        super().__init__(folder, "annotations", classes, AnnotationRow)
        self._polygons: list[AnnotationRow] = []

    def open(self, name: str) -> Reader | None:
        """Return the reader of a file of this format."""
        return Lines(self) if self.is_ours(name) else None

    def check(self, row: AnnotationRow) -> None:
        """Check an annotation, or keep it until there are enough of them."""
        if isinstance(row.segmentation, RleRow):
            check_runs(row, row.segmentation)
            return
        self._polygons.append(row)
        if len(self._polygons) >= BATCH:
            self._flush()

    def close(self) -> None:
        """Check what is left, and say that the file has ended."""
        self._flush()
        super().close()

    def _flush(self) -> None:
        if self._polygons:
            check_polygons(self._polygons)
        self._polygons.clear()


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


def check_polygons(rows: Sequence[AnnotationRow]) -> None:
    """Raise ValueError when a ring has fewer than three points, or an area or box cannot be that of the rings."""
    rings = [row.segmentation if isinstance(row.segmentation, list) else [] for row in rows]
    for row, each in zip(rows, rings, strict=True):
        if not each or any(len(ring) < LEAST_RING or len(ring) % 2 for ring in each):
            raise ValueError(f"object {row.id}: a ring of its segmentation is none of three or more points")
    allowed = _allowed(rings)
    areas, boxes = np.array([row.area for row in rows]), np.array([row.bbox for row in rows])
    low, size = boxes[:, :2], boxes[:, 2:]
    near = (low >= allowed.low - 1).all(axis=1) & (low + size <= allowed.high + 1).all(axis=1)
    # Comparisons that are false for what is not a number.
    right = near & (areas >= allowed.least) & (areas <= allowed.most) & (areas <= size.prod(axis=1))
    if not right.all():
        wrong = rows[int(np.flatnonzero(~right)[0])]
        raise ValueError(f"object {wrong.id}: its area {wrong.area} and box {wrong.bbox} are not those of its rings")


class _Allowed(NamedTuple):
    """What the masks of objects can be: corners of the box around their vertices, (n, 2), and the least and greatest area, (n,)."""

    low: Floats
    high: Floats
    least: Floats
    most: Floats


def _allowed(rings: Sequence[Sequence[Sequence[float]]]) -> _Allowed:
    """Return what the masks of objects of these rings can be: an area differs from the enclosed one by the outline's length at most."""
    flat = [ring for each in rings for ring in each]
    counts = np.array([len(each) for each in rings])
    firsts = np.cumsum(counts) - counts
    sizes = np.array([len(ring) // 2 for ring in flat])
    starts = np.cumsum(sizes) - sizes
    points = np.concatenate([np.asarray(ring, np.float64) for ring in flat]).reshape(-1, 2)
    following = np.arange(1, len(points) + 1)
    following[starts + sizes - 1] = starts
    ahead = points[following]
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
