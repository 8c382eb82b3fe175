"""The colours of objects: a pure function of an id, apart for colour-blind eyes, neither near black nor near white."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 158, 115),
    (230, 120, 20),
    (0, 114, 200),
    (215, 90, 160),
    (200, 165, 0),
    (60, 170, 220),
    (200, 60, 40),
    (125, 95, 205),
    (110, 165, 45),
    (165, 105, 60),
    (225, 130, 130),
)
"""Neighbours in this order differ in hue and in lightness. After the last the first comes again."""


def colours_of(ids: Sequence[int]) -> tuple[Bytes, Bytes]:
    """Return the colours of classes or objects by their ids, which begin at 1: a table (k, 3) of those that occur, and its row for each id."""
    place = (np.array(ids, np.int64) - 1) % len(COLOURS)
    used = np.bincount(place, minlength=len(COLOURS)) > 0
    return np.array(COLOURS, np.uint8)[used], (np.cumsum(used) - 1)[place].astype(np.uint8)
