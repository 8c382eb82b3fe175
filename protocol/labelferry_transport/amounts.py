"""Numbers as people write them on a command line: `1.5` days, `50GB`."""

import argparse
import re
from math import inf, isfinite

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", re.IGNORECASE)
_THOUSANDS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def size(text: str) -> int:
    """Return a size in bytes: a number, or one with kB, MB, GB or TB (thousands) behind it."""
    match = _SIZE.fullmatch(text.strip())
    number = inf if match is None else float(match[1]) * 1000 ** _THOUSANDS[match[2].lower()]
    if not isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write 50GB, say, or a number of bytes")
    return int(number)


def days(text: str) -> float:
    """Return a number of days, 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not isfinite(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days")
    return number
