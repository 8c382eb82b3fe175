"""Polygons in whole numbers, as most annotation files hold them, taken from json text for many objects in one pass of numpy.

The text is known to be json; nothing here checks that. What is not made of such polygons is left to the ordinary decoder.
"""

import re
from collections.abc import Sequence

import numpy as np
from msgspec import Raw
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Integers, Rings

_DIGITS_AND_BETWEEN = b"0123456789, \t\r\n"
_LISTS_OF_LISTS = re.compile(rb"(?:\[(?:\[\])++\])*+")
"""What is left of the text of polygons without digits and what is between them."""
_MOST_DIGITS = 9
"""So many fit into 32 bits."""
_OPEN = ord("[")


def polygons_in(texts: Sequence[Raw]) -> Rings | None:
    """Return the polygons in json texts, a shape each: `[[x, y, x, y, ...], ...]`, all numbers whole and not below 0.

    None where any of the texts is something else, or a ring is no pairs of numbers.
    """
    text = b",".join(texts)
    if not _LISTS_OF_LISTS.fullmatch(text.translate(None, _DIGITS_AND_BETWEEN)):
        return None
    letters = np.frombuffer(text, np.uint8)
    digits = letters - np.uint8(ord("0"))
    numbers = _numbers(digits)
    if numbers is None:
        return None
    values, ends = numbers
    places = np.flatnonzero(letters >= _OPEN)
    opens = letters[places] == _OPEN
    rings = np.flatnonzero(opens[:-1] & ~opens[1:])
    sizes = np.searchsorted(ends, places[rings + 1]) - np.searchsorted(ends, places[rings])
    # A number that stands in no ring, but beside one, is of no polygon.
    if sizes.sum() != len(ends) or (sizes % 2).any():
        return None
    opens[rings] = False
    parts = np.diff(np.searchsorted(rings, np.flatnonzero(opens)), append=len(rings))
    if len(parts) != len(texts):
        return None
    points = values.astype(np.float64).reshape(-1, 2)
    return Rings.counted(points, sizes // 2, np.ones(len(sizes), np.int64), parts)


def _numbers(digits: NDArray[np.uint8]) -> tuple[NDArray[np.int32], Integers] | None:
    """Return the numbers in a text, and where each ends; None when one is too long. What is no digit is above 9; so is the first and the last."""
    are_digits = digits < 10
    are_ends = are_digits[:-1] & ~are_digits[1:]
    ends = np.flatnonzero(are_ends)
    # Three digits together, at every letter: nearly all numbers are no longer, and what is not picked out letter by letter is quick.
    alone = (digits * are_digits).astype(np.uint16)
    together = alone.copy()
    together[1:] += alone[:-1] * np.uint16(10)
    together[2:] += alone[:-2] * are_digits[1:-1] * np.uint16(100)
    values = together[ends].astype(np.int32)
    longer = np.flatnonzero(are_ends[3:] & are_digits[2:-2] & are_digits[1:-3] & are_digits[:-4]) + 3
    for place in range(3, _MOST_DIGITS):
        if not len(longer):
            return values, ends
        values[np.searchsorted(ends, longer)] += digits[longer - place] * np.int32(10**place)
        longer = longer[are_digits[longer - place - 1]]
    return None if len(longer) else (values, ends)
