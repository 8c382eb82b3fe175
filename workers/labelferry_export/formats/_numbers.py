"""Numbers as the text formats write them: whole ones as integers, others in the shortest form that reads back the same."""

from collections.abc import Sequence

import msgspec
import numpy as np

from labelferry_export.geometry.ring import Integers, Rings
from labelferry_export.geometry.shape import Ring

_encode_lines = msgspec.json.Encoder().encode_lines


def flat(ring: Ring) -> list[int | float]:
    """Return x and y in turn; whole numbers as int, so that json shows `10`, not `10.0`."""
    values = ring.reshape(-1)
    whole = values == np.rint(values)
    if whole.all():
        return list(values.astype(np.int64).tolist())
    numbers: list[int | float] = values.tolist()
    for place in np.flatnonzero(whole).tolist():
        numbers[place] = int(numbers[place])
    return numbers


def flat_rings(rings: Rings) -> list[list[int | float]]:
    """Return `flat` of each ring: all numbers at once."""
    numbers = flat(rings.points)
    starts, ends = (2 * rings.starts).tolist(), (2 * (rings.starts + rings.sizes)).tolist()
    return [numbers[start:end] for start, end in zip(starts, ends, strict=True)]


def joined_lines(rows: Sequence[msgspec.Struct]) -> bytes:
    """Return records as json, one a line, with commas between them."""
    # Within json text a line's end is always written as an escape.
    return _encode_lines(rows).removesuffix(b"\n").replace(b"\n", b",\n")


def spelled(units: Integers, decimals: int) -> bytes:
    """Return each number of 0..10**decimals, any shape, row by row, as a share of 1 after a blank: 250000 as ` 0.250000`.

    All numbers at once, as formatting one by one takes many times as long. Every number takes `decimals` + 3 bytes.
    """
    rest = units.reshape(-1).astype(np.uint32)
    width = decimals + 3
    text = np.empty((len(rest), width), dtype=np.uint8)
    end = width
    while end >= 6 and len(rest):
        above = rest // THOUSAND
        # Four bytes at once, from the right: the point goes where the next digits, or the real point, overwrite it.
        np.ndarray(len(rest), np.uint32, text, end - 4, (width,))[:] = _POINT_AND_DIGITS[rest - above * THOUSAND]
        rest, end = above, end - 3
    while end > 3:
        above = rest // TEN
        text[:, end - 1] = rest - above * TEN + ord("0")
        rest, end = above, end - 1
    text[:, 0], text[:, 1], text[:, 2] = ord(" "), rest + ord("0"), ord(".")
    return text.tobytes()


TEN, THOUSAND = np.uint32(10), np.uint32(1000)
_POINT_AND_DIGITS = np.frombuffer(b"".join(b".%03d" % number for number in range(1000)), np.uint32)
"""The four bytes `.000` to `.999` in the machine's own order, so that they come out as they are."""
