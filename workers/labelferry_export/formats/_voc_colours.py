"""The colours of Pascal VOC's masks: a class's (or object's) index, its bits dealt out to red, green and blue, the lowest to the highest."""

import numpy as np

from labelferry_export.overlays.png import Bytes

COLOURS = 256
BITS = 8


def voc_colours() -> Bytes:
    """Return the palette, (256, 3): row 0 black, row 1 (128, 0, 0), ..., row 255, which is void, (224, 224, 192).

    As the VOC devkit's VOClabelcolormap defines it: bits 0, 1, 2 of the index are the highest bits of red, green and blue, bits
    3, 4, 5 the next ones, and so on.
    """
    index = np.arange(COLOURS)
    palette = np.zeros((COLOURS, 3), np.uint8)
    for bit in range(BITS):
        level, channel = divmod(bit, 3)
        palette[:, channel] |= ((index >> bit & 1) << (BITS - 1 - level)).astype(np.uint8)
    return palette
