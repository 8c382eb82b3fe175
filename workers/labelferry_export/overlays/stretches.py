"""The pixels of several objects as stretches of single columns, laid end to end: what fills and numbers are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelferry_export.geometry.ring import Integers
from labelferry_export.geometry.runs import Runs


@dataclass(frozen=True, eq=False)
class Stretches:
    """Vertical stretches of set pixels, (n,) each: the object (its index), column x, first row, and how many rows; by object, then column.

    width and height are those of the image, px; objects how many there are, with or without pixels.
    """

    owner: Integers
    x: Integers
    top: Integers
    length: Integers
    width: int
    height: int
    objects: int

    @classmethod
    def of(cls, masks: Sequence[Runs]) -> "Stretches":
        """Return the stretches of masks of one size, at least one mask."""
        width, height = masks[0].width, masks[0].height
        edges = np.concatenate([each.edges for each in masks])
        owner = np.repeat(np.arange(len(masks)), [len(each.edges) // 2 for each in masks])
        first, length = edges[::2], edges[1::2] - edges[::2]
        x, top = np.divmod(first, height)
        columns = (top + length - 1) // height + 1
        if (columns > 1).any():
            owner, x, top, length = _cut(owner, x, top, length, columns, height)
        return cls(owner, x, top, length, width, height, len(masks))

    def between(self, start: int, end: int) -> "Stretches":
        """Return the stretches with the indices `start` to `end` - 1."""
        part = slice(start, end)
        return Stretches(
            self.owner[part], self.x[part], self.top[part], self.length[part], self.width, self.height, self.objects
        )

    @property
    def pixels(self) -> Integers:
        """The row-major numbers of all pixels, stretch by stretch."""
        before = np.cumsum(self.length) - self.length
        first = self.top * self.width + self.x
        return np.repeat(first - before * self.width, self.length) + self.width * np.arange(int(self.length.sum()))

    @property
    def overlap(self) -> bool:
        """Whether any pixel is in two of the stretches."""
        start = self.x * self.height + self.top
        order = np.argsort(start, kind="stable")
        return bool((start[order][1:] < (start + self.length)[order][:-1]).any())


def _cut(
    owner: Integers, x: Integers, top: Integers, length: Integers, columns: Integers, height: int
) -> tuple[Integers, Integers, Integers, Integers]:
    """Cut what runs on from the foot of a column to the head of the next; `columns` says how many columns each runs through."""
    source = np.repeat(np.arange(len(x)), columns)
    nth = np.arange(len(source)) - np.repeat(np.cumsum(columns) - columns, columns)
    start = np.where(nth == 0, top[source], 0)
    end = np.minimum((top + length)[source] - nth * height, height)
    return owner[source], x[source] + nth, start, end - start
