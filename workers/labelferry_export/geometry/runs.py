"""Masks as runs of set pixels, column by column: what they cover, and how they are joined. No polygon is known here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from labelferry_export.geometry.ring import Flags, Integers

Box = tuple[int, int, int, int]
"""Left column, top row, width and height, in whole pixels."""


@dataclass(frozen=True, eq=False, slots=True)
class Runs:
    """The set pixels of a mask of `width` x `height`, in COCO's order: pixel (x, y) has the number x * height + y.

    `edges` (2 k,) int64, strictly increasing, 0..width*height: run i covers the numbers edges[2 i] to edges[2 i + 1] - 1. A mask
    has exactly one such form, so two masks are equal when their edges are.
    """

    width: int
    height: int
    edges: Integers

    @classmethod
    def from_mask(cls, mask: Flags) -> Self:
        """Return the runs of a mask of shape (height, width); whatever is not 0 is set."""
        height, width = mask.shape
        padded = np.zeros(height * width + 2, dtype=np.bool_)
        padded[1:-1] = mask.T.reshape(-1)
        return cls(width, height, np.flatnonzero(padded[1:] != padded[:-1]))

    @classmethod
    def from_counts(cls, counts: Integers, width: int, height: int) -> Self:
        """Return the mask of COCO's run lengths (zeros first, then ones, ...), which add up to width * height; a run may be empty."""
        return cls(width, height, odd_ones(np.cumsum(counts)[: len(counts) // 2 * 2]))

    @property
    def counts(self) -> Integers:
        """COCO's run lengths: zeros first (0 when pixel (0, 0) is set), then ones, and so on; they add up to width * height."""
        counts = np.diff(self.edges, prepend=0, append=self.width * self.height)
        return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts

    @property
    def area(self) -> int:
        """The number of set pixels."""
        return int(self.edges[1::2].sum() - self.edges[::2].sum())

    @property
    def bbox(self) -> Box | None:
        """The smallest box that holds every set pixel; None when no pixel is set."""
        if not len(self.edges):
            return None
        first, last = self.edges[::2], self.edges[1::2] - 1
        left, right = int(first[0] // self.height), int(last[-1] // self.height)
        top, bottom = 0, self.height - 1
        if (first // self.height == last // self.height).all():
            top, bottom = int((first % self.height).min()), int((last % self.height).max())
        return left, top, right - left + 1, bottom - top + 1

    def mask(self, crop: Box | None = None) -> Flags:
        """Return the mask, shape (height, width), or the part of it within `crop`, which must lie inside the image."""
        x, y, width, height = crop or (0, 0, self.width, self.height)
        first, last = x * self.height, (x + width) * self.height
        edges = np.clip(self.edges, first, last)
        lengths = np.diff(edges, prepend=first, append=last)
        columns = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, self.height)
        return np.ascontiguousarray(columns[:, y : y + height].T)

    def union(self, *others: Self) -> Self:
        """Return what is set here or in any of `others`, masks of the same size."""
        return self._joined(others, 1)

    def minus(self, *others: Self) -> Self:
        """Return what is set here and in none of `others`, masks of the same size."""
        return self._joined(others, -1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Runs):
            return NotImplemented
        return (self.width, self.height) == (other.width, other.height) and np.array_equal(self.edges, other.edges)

    def __hash__(self) -> int:
        return hash((self.width, self.height, self.edges.tobytes()))

    def _joined(self, others: Sequence[Self], sign: int) -> Self:
        if any((other.width, other.height) != (self.width, self.height) for other in others):
            raise ValueError("masks of different sizes cannot be joined: bring them to one image first")
        edges = np.concatenate([self.edges, *(other.edges for other in others)])
        steps = 1 - 2 * (np.arange(len(edges)) % 2)
        steps[len(self.edges) :] *= sign
        return type(self)(self.width, self.height, covered(edges, steps))


@dataclass(frozen=True, eq=False, slots=True)
class Cover:
    """What several masks cover. areas: (k,) pixels; boxes: (k, 4) left, top, width, height of the box around them, zeros for an empty mask."""

    areas: Integers
    boxes: Integers


def cover(edges: Integers, ends: Integers, height: int) -> Cover:
    """Return what masks of columns of `height` pixels cover. edges: (n,) of the runs of all, as in `Runs`; ends: (k,) where those of each mask end."""
    first, last = edges[::2], edges[1::2] - 1
    cuts = ends // 2
    starts = np.concatenate([[0], cuts[:-1]]).astype(np.int64)
    there = np.flatnonzero(cuts > starts)
    areas, boxes = np.zeros(len(ends), np.int64), np.zeros((len(ends), 4), np.int64)
    if len(there):
        begin = starts[there]
        areas[there] = np.add.reduceat(last - first + 1, begin)
        left, right = first[begin] // height, last[cuts[there] - 1] // height
        # A run that goes on into the next column touches its own's last row, and the next one's first.
        whole = first // height != last // height
        top = np.minimum.reduceat(np.where(whole, 0, first % height), begin)
        bottom = np.maximum.reduceat(np.where(whole, height - 1, last % height), begin)
        boxes[there] = np.stack([left, top, right - left + 1, bottom - top + 1], axis=1)
    return Cover(areas, boxes)


def areas_of(masks: Sequence[Runs]) -> list[int]:
    """Return the number of set pixels of each mask, as `Runs.area` does of one."""
    ends = np.cumsum([0, *(len(each.edges) for each in masks)])
    edges = np.concatenate([np.empty(0, np.int64), *(each.edges for each in masks)])
    # Beginnings and ends take turns, and every mask has as many of these as of those.
    edges[::2] *= -1
    areas: list[int] = np.diff(np.concatenate([[0], np.cumsum(edges)])[ends]).tolist()
    return areas


def odd_ones(numbers: Integers) -> Integers:
    """Return, of the sorted `numbers`, once each one that occurs an odd number of times: edges that meet cancel each other."""
    if not (numbers[1:] == numbers[:-1]).any():
        return numbers
    once, times = np.unique(numbers, return_counts=True)
    odd: Integers = once[times % 2 == 1]
    return odd


def covered(edges: Integers, steps: Integers) -> Integers:
    """Return the edges of the stretches where the sum of all `steps` (+1, -1, ...) up to there is above zero; (k,) in any order."""
    order = np.argsort(edges, kind="stable")
    edges, depth = edges[order], np.cumsum(steps[order])
    last = np.ones(len(edges), dtype=np.bool_)
    last[:-1] = edges[1:] != edges[:-1]
    edges, inside = edges[last], depth[last] > 0
    changed = inside.copy()
    changed[1:] = inside[1:] != inside[:-1]
    return edges[changed]
