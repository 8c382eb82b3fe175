"""What lies below a folder that other processes are changing meanwhile."""

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(*places: Path) -> Iterator[Path]:
    """Yield the files below some folders, which may not exist; what is removed while it is looked for is left out.

    `Path.rglob` raises `FileNotFoundError` where a folder goes between its listing and its own turn; `os.walk` goes on.
    """
    for place in places:
        for folder, _, names in os.walk(place):
            yield from (path for name in names if (path := Path(folder, name)).is_file())
