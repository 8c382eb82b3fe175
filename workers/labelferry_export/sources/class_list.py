"""Lists of class names in text files, one name a line."""

from collections.abc import Sequence
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.sources.folder_files import read_bytes
from labelferry_protocol.errors import Code

MAX_BYTES = 4 << 20


def read_class_list(root: Path, names: Sequence[str]) -> list[str]:
    """Return the lines of the first of the files `names` (inside `root`) that is there, without empty ones; none when none is.

    Raises `ExportError` when it is not UTF-8 text.
    """
    name = next((each for each in names if (root / each).is_file()), None)
    if name is None:
        return []
    return list(dict.fromkeys(filter(None, map(str.strip, read_text(root, name).splitlines()))))


def read_text(root: Path, name: str) -> str:
    """Return a short text file inside `root`; raise `ExportError` when it is not UTF-8, or longer than `MAX_BYTES`."""
    try:
        return read_bytes(root, name, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExportError(Code.SOURCE, f"{name} is not UTF-8 text: at byte {error.start}", name) from None
