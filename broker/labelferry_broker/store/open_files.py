"""The files that a broker has open, looked for under their names: SQLite and a lock go on with what was moved away or removed as if nothing were."""

import os
from collections.abc import Iterable
from pathlib import Path

from labelferry_broker.store.diverged import Diverged


class OpenFiles:
    """Files that are open now; `check` tells whether they still are what a next broker would find."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._known = {path: os.stat(path) for path in paths}  # noqa: PTH116 - half the time, in the way of each turn

    def check(self) -> None:
        """Raise `Diverged` when one of them is no longer there under its name."""
        for path, known in self._known.items():
            if not _is_there(path, known):
                raise Diverged(
                    f"{path} was moved away, removed or replaced while the broker ran:"
                    " put the state directory back, then start the broker again"
                )


def _is_there(path: Path, known: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), known)  # noqa: PTH116 - as above
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # Nobody can tell now (the disk fails, a folder was shut): whether it can be written is seen when it is.
        return True
