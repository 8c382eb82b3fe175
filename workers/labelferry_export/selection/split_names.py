"""Names of splits: each is a folder, a part of file names, and a key of data files. Pure."""

import re
from collections.abc import Sequence

from labelferry_export.names import safe_name

MOST_CHARACTERS = 64
ROLES: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""What splits are for, in the order they are listed, and what they are usually called; a year may follow: train2017."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def safe_split_names(subsets: Sequence[str]) -> dict[str, str]:
    """Return a name that can be a folder for each of `subsets`: itself where it can, all different whatever their case."""
    taken: set[str] = set()
    found: dict[str, str] = {}
    # Those that are safe as they are keep their name, whoever comes first.
    for subset in sorted(subsets, key=lambda each: not is_split_name(each)):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", subset).strip("_")[: MOST_CHARACTERS - 4]
        stem = subset if is_split_name(subset) else plain
        stem = stem if is_split_name(stem) else f"split_{plain}".rstrip("_")
        name, turn = stem, 1
        while name.lower() in taken:
            turn += 1
            name = f"{stem[: MOST_CHARACTERS - 4]}_{turn}"
        taken.add(name.lower())
        found[subset] = name
    return {subset: found[subset] for subset in subsets}


def role_of(name: str) -> str | None:
    """Return which of `ROLES` a split fills by its name, None for none."""
    word = re.sub(r"[-_ .]?\d+$", "", name.lower())
    return next((role for role, words in ROLES.items() if word in words), None)


def is_split_name(name: str) -> bool:
    """Whether a name can be a split's: that of a folder on every system."""
    return bool(_NAME.fullmatch(name)) and len(name) <= MOST_CHARACTERS and safe_name(name, "") == name
