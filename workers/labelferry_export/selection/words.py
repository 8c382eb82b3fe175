"""Lists of names in sentences."""

from collections.abc import Sequence


def listed(names: Sequence[str], limit: int = 12) -> str:
    """Return names as a person reads them, cut after `limit`."""
    shown = ", ".join(repr(each) for each in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "none"
