"""How a dict that only grows stays small: the newest of what was put in are kept. Pure."""

from typing import Any


def keep_newest(entries: dict[Any, Any], most: int) -> None:
    """Forget of a dict what was put in first, until it has no more entries than `most`."""
    while len(entries) > most:
        del entries[next(iter(entries))]
