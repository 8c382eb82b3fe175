"""Values of more than 8 bits, or of any unit, shown as 8 bits: the window of values that is stretched from black to white, and how."""

import numpy as np
from numpy.typing import NDArray

WINDOW_PERCENTILES = (0.1, 99.9)
WINDOW_SAMPLES = 4_000_000
"""The percentiles are those of about so many values, evenly spread."""

Window = tuple[float, float]
"""The values that become black and white; what lies beyond is cut off at them."""


def window_of(values: NDArray[np.generic]) -> Window:
    """Return the window of a picture's values, shape (h, w) or (h, w, channels): the percentiles of all finite ones together.

    Where these are one value, the least and the greatest; where there is no finite value, 0 and 0.
    """
    step = max(1, int(np.sqrt(values.size / WINDOW_SAMPLES)))
    sample = values[::step, ::step].astype(np.float64).ravel()
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 0.0
    low, high = (float(each) for each in np.percentile(sample, WINDOW_PERCENTILES))
    return (low, high) if low < high else (float(sample.min()), float(sample.max()))


def shown_in(window: Window, values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return values as 8 bits, of the same shape. Nan is black."""
    low, high = window
    span = high - low if high > low else 1.0
    shown = np.empty(values.shape, np.uint8)
    rows = max(1, WINDOW_SAMPLES // max(1, values[:1].size))
    for top in range(0, values.shape[0], rows):
        scaled = (values[top : top + rows].astype(np.float64) - low) * (255.0 / span)
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        shown[top : top + rows] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return shown
