"""Statistics that are exact and the same on every machine: correctly rounded sums, true medians, in bounded memory. No files here."""

import math
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelferry_export.geometry.ring import Floats

GATHERED = 1 << 19
"""So many values are held at once to find a median among them."""
DIGIT_BITS = 16
KEY_BITS = 64

Keys = NDArray[np.uint64]
Blocks = Callable[[], Iterable[Floats]]
"""Gives the same values again each time it is called, a block at a time."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of `count` values; None where one is not defined."""

    count: int
    sum: float
    mean: float | None
    median: float | None
    std: float | None
    min: float | None
    max: float | None


def summarise(blocks: Blocks) -> Generator[None, None, Summary]:
    """Return the statistics of the values in `blocks`, those that are nan left out; a yield after each block of each pass.

    The deviation is that of a sample (n - 1). Sums are rounded once a block and once in all, so they do not depend on the machine.
    """
    count, sums, low, high = 0, [0.0], math.inf, -math.inf
    held: list[Floats] = []
    for block in _defined(blocks):
        count += len(block)
        sums.append(math.fsum(block.tolist()))
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        if count <= GATHERED:
            held.append(block)
        yield
    total = math.fsum(sums)
    if not count:
        return Summary(0, total, None, None, None, None, None)
    mean = min(max(total / count, low), high)
    std = (yield from _deviation(blocks, count, mean)) if count > 1 else None
    if count <= GATHERED:
        ordered = np.sort(np.concatenate(held))
        lower, upper = float(ordered[(count - 1) // 2]), float(ordered[count // 2])
    else:
        held.clear()
        lower = yield from _ranked(blocks, (count - 1) // 2)
        upper = lower if count % 2 else (yield from _ranked(blocks, count // 2))
    return Summary(count, total, mean, (lower + upper) / 2, std, low, high)


def summarise_now(values: Floats) -> Summary:
    """Return the statistics of values that are in memory, (n,)."""
    working = summarise(lambda: (values,))
    while True:
        try:
            next(working)
        except StopIteration as end:
            summary: Summary = end.value
            return summary


def _defined(blocks: Blocks) -> Iterable[Floats]:
    for block in blocks():
        values = block[~np.isnan(block)]
        if len(values):
            yield values


def _deviation(blocks: Blocks, count: int, mean: float) -> Generator[None, None, float]:
    squares = [0.0]
    for block in _defined(blocks):
        squares.append(math.fsum(((block - mean) ** 2).tolist()))
        yield
    return math.sqrt(math.fsum(squares) / (count - 1))


def _ranked(blocks: Blocks, rank: int) -> Generator[None, None, float]:
    """Return the value that has `rank` values before it in order.

    Floats are mapped to whole numbers in the same order; these are counted by their leading digits, pass by pass, until so few
    are left that they fit into memory.
    """
    prefix, known_bits = 0, 0
    while known_bits < KEY_BITS:
        shift = KEY_BITS - known_bits - DIGIT_BITS
        counts = np.zeros(1 << DIGIT_BITS, np.int64)
        left: list[Keys] = []
        held = 0
        for block in _defined(blocks):
            keys = _keys(block)
            if known_bits:
                keys = keys[keys >> np.uint64(KEY_BITS - known_bits) == np.uint64(prefix)]
            held += len(keys)
            if held <= GATHERED:
                left.append(keys)
            counts += _counted(keys, shift)
            yield
        if held <= GATHERED:
            return _value(np.partition(np.concatenate(left), rank)[rank])
        before = np.cumsum(counts)
        digit = int(np.searchsorted(before, rank, side="right"))
        rank -= int(before[digit - 1]) if digit else 0
        prefix, known_bits = (prefix << DIGIT_BITS) | digit, known_bits + DIGIT_BITS
    return _value(np.uint64(prefix))


def _counted(keys: Keys, shift: int) -> NDArray[np.int64]:
    digits = (keys >> np.uint64(shift)) & np.uint64((1 << DIGIT_BITS) - 1)
    return np.bincount(digits.astype(np.int64), minlength=1 << DIGIT_BITS)


_SIGN = np.uint64(1 << 63)


def _keys(values: Floats) -> Keys:
    """Return whole numbers in the order of the values: IEEE 754 bits, all turned where the sign is set, else the sign alone."""
    bits = (np.ascontiguousarray(values) + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _value(key: np.uint64) -> float:
    bits = key ^ _SIGN if key & _SIGN else ~key
    return float(bits.view(np.float64))
