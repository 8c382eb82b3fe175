"""COCO's run-length encoding, read and written: run lengths as a list, or packed into a string. Pixels are the business of runs.py.

The string packs each number into characters '0'..'o' of 6 bits, least significant first: 5 bits of the number, then one that says
whether more follow; the highest bit of the last is the sign. From the fourth number on, the difference to the one
two places before is packed (rleToString of COCO's reference).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Integers
from labelferry_export.geometry.runs import Runs

MOST_PIXELS = 2**32 - 1
"""The reference counts pixels in 32 bits."""
MOST_CHARACTERS = 7
"""Characters of one packed number: 32 bits and a sign."""
FIRST_CHARACTER = 48
DIGIT, MORE, SIGN = 0x1F, 0x20, 0x10
DIGIT_BITS = 5


class RleError(ValueError):
    """A run-length encoding cannot be read; the text says why."""


def runs_of_rle(counts: object, width: int, height: int) -> Runs:
    """Return the mask of `counts`, a list of run lengths or a packed string, as they stand in a COCO file.

    Raises RleError for anything that is not a mask of exactly `width` x `height` pixels; nothing is allocated for the pixels.
    """
    if isinstance(counts, str):
        try:
            counts = counts.encode("ascii")
        except UnicodeEncodeError:
            raise RleError("the packed run lengths hold a character that is not ASCII") from None
    if isinstance(counts, bytes):
        return _runs(unpack(counts), width, height)
    if not isinstance(counts, list | tuple | np.ndarray):
        raise RleError(f"run lengths must be a list or a string, not {type(counts).__name__}")
    return _runs(_numbers(counts), width, height)


def size_of_rle(size: object) -> tuple[int, int]:
    """Return (width, height) from the `size` of a COCO RLE, which is [height, width]; raises RleError when it is not that."""
    if isinstance(size, list | tuple) and len(size) == 2:
        height, width = size
        if type(height) is int and type(width) is int and min(height, width) >= 1 and height * width <= MOST_PIXELS:
            return width, height
    raise RleError("size must be [height, width], two positive whole numbers")


def counts_of(runs: Runs) -> list[int]:
    """Return COCO's run lengths as plain numbers: zeros first, then ones, and so on."""
    counts: list[int] = runs.counts.tolist()
    return counts


def packed_counts_of(runs: Runs) -> str:
    """Return COCO's run lengths as the packed string that pycocotools reads and writes."""
    return pack(runs.counts).decode("ascii")


def pack(counts: Integers) -> bytes:
    """Return run lengths, (k,) int64, as COCO's packed string."""
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    digits, open_ = [], []
    more = np.ones(len(values), dtype=np.bool_)
    while more.any():
        digit = values & DIGIT
        values >>= DIGIT_BITS
        open_.append(more)
        more = more & np.where(digit & SIGN, values != -1, values != 0)
        digits.append(digit + np.where(more, MORE, 0) + FIRST_CHARACTER)
    table = np.stack(digits, axis=1).astype(np.uint8) if digits else np.empty((0, 0), dtype=np.uint8)
    return table[np.stack(open_, axis=1)].tobytes() if digits else b""


def unpack(text: bytes) -> Integers:
    """Return the run lengths, (k,) int64, of COCO's packed string, unchecked against a size. Raises RleError when it is not one."""
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - FIRST_CHARACTER
    wrong = np.flatnonzero((codes < 0) | (codes > (DIGIT | MORE)))
    if len(wrong):
        raise RleError(f"the packed run lengths hold a character they cannot, at place {wrong[0]}")
    if not len(codes):
        raise RleError("the packed run lengths are empty")
    if codes[-1] & MORE:
        raise RleError("the packed run lengths end in the middle of a number")
    ends = np.flatnonzero(codes & MORE == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() >= MOST_CHARACTERS:
        raise RleError("the packed run lengths hold a number of more than 32 bits")
    shift = (np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)) * DIGIT_BITS
    values = np.add.reduceat((codes & DIGIT) << shift, starts)
    values -= np.where(codes[ends] & SIGN, np.left_shift(1, shift[ends] + DIGIT_BITS), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _numbers(counts: Sequence[object] | NDArray[np.generic]) -> Integers:
    """Return run lengths from a file's list, which may hold anything, as int64."""
    try:
        numbers = np.asarray(counts)
    except (ValueError, OverflowError):
        raise RleError("run lengths must be whole numbers") from None
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or (numbers > MOST_PIXELS).any():
        raise RleError("run lengths must be a flat list of whole numbers of at most 32 bits")
    return numbers.astype(np.int64)


def _runs(counts: Integers, width: int, height: int) -> Runs:
    pixels = width * height
    if width < 1 or height < 1 or pixels > MOST_PIXELS:
        raise RleError(f"a mask cannot have the size {width} x {height}")
    if len(counts) > pixels + 1:
        raise RleError(f"{len(counts)} run lengths are more than a mask of {width} x {height} pixels can have")
    if (counts < 0).any():
        raise RleError(f"run length {np.flatnonzero(counts < 0)[0]} is negative")
    total = sum(counts.tolist()) if len(counts) and counts.max() > MOST_PIXELS else int(counts.sum())
    if total != pixels:
        raise RleError(
            f"the run lengths add up to {total}, not to the {width} x {height} = {pixels} pixels of the image"
        )
    return Runs.from_counts(counts, width, height)
