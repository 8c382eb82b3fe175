"""Numbers as the text formats write them: whole ones as integers, others in the shortest form that reads back the same."""

import numpy as np

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
