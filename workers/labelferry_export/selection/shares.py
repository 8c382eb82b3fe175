"""A split by shares: which share a group falls into, for ever. Pure.

The place of a group is SHA-256 of the seed, a zero byte and its key, the first 8 bytes as a number in 0..1, laid along the shares in their order.
"""

import hashlib
import math
from collections.abc import Mapping

from labelferry_export.errors import ExportError
from labelferry_export.selection.split_names import is_split_name
from labelferry_protocol.errors import Code

SHARES_TOLERANCE = 1e-6


def split_of(key: str, seed: int, shares: Mapping[str, float]) -> str | None:
    """Return the split of a group, `None` when there are no shares: it stays there whatever other groups come or go."""
    if not shares:
        return None
    digest = hashlib.sha256(f"{seed}\0{key}".encode(errors="surrogatepass")).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    reached = 0.0
    for split, share in shares.items():
        reached += share
        if place < reached:
            return split
    return next(reversed(list(shares)))


def check_shares(shares: Mapping[str, float]) -> None:
    """Raise `ExportError(USAGE)` unless the shares add up to 1 and the names can be folders side by side."""
    if not shares:
        return
    total = math.fsum(shares.values())
    if not abs(total - 1) <= SHARES_TOLERANCE:
        raise ExportError(Code.USAGE, f"the split's shares add up to {total:g}, not to 1: {_spelled(shares)}")
    for name, share in shares.items():
        if not share > 0:
            raise ExportError(
                Code.USAGE, f"the split {name!r} has the share {share:g}: leave it out or give it more than 0"
            )
        if not is_split_name(name):
            raise ExportError(
                Code.USAGE,
                f"{name!r} cannot name a split: use letters, digits, - and _ (it becomes a folder's name)",
                name,
            )
    if len({name.lower() for name in shares}) != len(shares):
        raise ExportError(Code.USAGE, f"two splits differ by case only: {_spelled(shares)}")


def _spelled(shares: Mapping[str, float]) -> str:
    return ",".join(f"{name}={share:g}" for name, share in shares.items())
