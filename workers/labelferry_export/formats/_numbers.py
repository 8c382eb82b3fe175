"""Numbers as the text formats write them: whole ones as integers, others in the shortest form that reads back the same."""

import numpy as np

from labelferry_export.geometry.ring import Integers
from labelferry_export.geometry.shape import Ring


def flat(ring: Ring) -> list[int | float]:
    """Return x and y in turn; whole numbers as int, so that json shows `10`, not `10.0`."""
    values = ring.reshape(-1)
    whole = values == np.rint(values)
    if whole.all():
        return list(values.astype(np.int64).tolist())
    numbers: list[int | float] = values.tolist()
    if whole.any():
        return [int(number) if number.is_integer() else number for number in map(float, numbers)]
    return numbers


def spelled(units: Integers, decimals: int) -> bytes:
    """Return each number of 0..10**decimals, any shape, row by row, as a share of 1 after a blank: 250000 as ` 0.250000`.

    All digits at once, as formatting one by one takes ten times as long. Every number takes `decimals` + 3 bytes.
    """
    rest = units.reshape(-1)
    text = np.full((len(rest), decimals + 3), ord("."), dtype=np.uint8)
    text[:, 0] = ord(" ")
    for place in range(decimals):
        rest, digit = np.divmod(rest, 10)
        text[:, -1 - place] = digit + ord("0")
    text[:, 1] = rest + ord("0")
    return text.tobytes()
