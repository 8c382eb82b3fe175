"""Turns what the operating system says into a sentence for a person."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_protocol.errors import Code

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def said_plainly(staging: Path) -> Iterator[None]:
    """Raise `ExportError(DISK_FULL)` or `ExportError(OUTPUT)` for an `OSError` (or SQLite's word for one) inside the block."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise _disk_full(staging) from error
        what = Path(os.fsdecode(error.filename)).name if error.filename else "the bundle"
        raise ExportError(
            Code.OUTPUT,
            f"{what} cannot be written: {error.strerror or error}: look at the rights of its folder",
            item=what,
        ) from error
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise _disk_full(staging) from error
        raise ExportError(Code.OUTPUT, f"the work file of the export failed: {error}: export again") from error


def _disk_full(staging: Path) -> ExportError:
    try:
        free = f"{shutil.disk_usage(staging).free / 1e6:.0f} MB are free"
    except OSError:
        free = "how much is free cannot be told"
    return ExportError(
        Code.DISK_FULL,
        f"disk full (or a limit on file sizes reached) while writing the bundle: {free} where the worker keeps its files",
    )
