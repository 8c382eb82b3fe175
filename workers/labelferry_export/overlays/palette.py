"""The colours of objects: a pure function of an id, apart for colour-blind eyes, neither near black nor near white."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
    (90, 125, 150),
)
"""Neighbours in this order differ in hue and in lightness. After the last the first comes again."""


def colours_of(ids: Sequence[int]) -> NDArray[np.uint8]:
    """Return the colours, shape (n, 3), of classes or objects by their ids, which begin at 1."""
    table = np.array(COLOURS, np.uint8)
    return table[np.array([(each - 1) % len(COLOURS) for each in ids], np.int64)]
