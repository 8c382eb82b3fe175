"""Names in a bundle: safe on every system, unique there, and the same whatever the other options are. The rule: docs/decisions/0004."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator

MAX_STEM_BYTES = 235
MAX_SUFFIX_BYTES = 16
"""Together under the 255 bytes that file systems take, with room for other suffixes behind the stem (`.parquet`)."""

_UNSAFE = re.compile(r'[<>:"/\\|?*]')
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of control characters, marks of direction and the like. Not `Cn`: what is unassigned changes with Python's version."""
_JOINERS = "\u200c\u200d"
"""Part of Persian words and of emoji; some file systems look past them, and so does `unique_key`."""
_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{device}{digit}" for device in ("COM", "LPT") for digit in "0123456789\u00b9\u00b2\u00b3"]
)


def choose_name(source_name: str, position: int, take: Callable[[str], bool]) -> str:
    """Return the bundle name of an image: the first candidate whose key `take` takes (true: it was free and is taken now).

    `source_name` may hold folders. `position` (1 for the project's first image) makes the last candidates differ.
    """
    for candidate in candidates(source_name, position):
        if take(unique_key(candidate)):
            return candidate
    raise AssertionError("the candidates never end")


def candidates(source_name: str, position: int) -> Iterator[str]:
    """Yield names for an image, the best first, without end."""
    folders = [part for part in re.split(r"[\\/]", source_name) if part not in ("", ".", "..")]
    base = folders.pop() if folders else ""
    stem, suffix = split_suffix(base)
    yield safe_name(stem, suffix)
    prefix = ""
    for folder in reversed(folders):
        prefix = f"{folder}__{prefix}"
        yield safe_name(prefix + stem, suffix)
    if suffix:
        yield safe_name(f"{prefix}{stem}_{suffix[1:]}", suffix)
    yield safe_name(f"{prefix}{stem}~{position}", suffix)
    turn = 0
    while True:
        yield safe_name(f"{prefix}{stem}~{_digest(f'{source_name}/{position}/{turn}')}", suffix)
        turn += 1


def safe_name(stem: str, suffix: str) -> str:
    """Return one path component that every common system can hold, from a stem and a suffix (with its dot, or empty)."""
    stem = _clean(stem)
    if stem.startswith("."):
        stem = f"_{stem[1:]}"
    stem = stem.rstrip(" ") if suffix else stem.rstrip(". ")
    if stem.split(".")[0].rstrip(" ").upper() in _RESERVED:
        stem = f"_{stem}"
    return _shorten(stem or "image") + _clean(suffix)


def split_suffix(base: str) -> tuple[str, str]:
    """Return stem and suffix (with its dot) of a name without folders, cut at the last dot.

    What is no suffix by its looks (long, blank, odd) stays in the stem, which then has no dot, so that every reader cuts alike.
    """
    base = base.rstrip(". ")
    stem, _, suffix = base.rpartition(".")
    if stem.strip(". ") and suffix.isalnum() and len(suffix.encode(errors="replace")) < MAX_SUFFIX_BYTES:
        return stem, f".{suffix}"
    return base.replace(".", "_"), ""


def unique_key(name: str) -> str:
    """Return what no two images of a project share: the stem, whatever its case and its unicode form."""
    stem = name.rpartition(".")[0] or name
    seen = stem.translate(dict.fromkeys(map(ord, _JOINERS)))
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", seen).casefold())


def _clean(text: str) -> str:
    if text.isascii() and text.isprintable():
        return _UNSAFE.sub("_", text)
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", text))
    return "".join(each if each in _JOINERS or unicodedata.category(each) not in _UNSEEN else "_" for each in text)


def _shorten(stem: str) -> str:
    data = stem.encode()
    if len(data) <= MAX_STEM_BYTES:
        return stem
    tail = f"~{_digest(stem)}"
    return data[: MAX_STEM_BYTES - len(tail)].decode(errors="ignore") + tail


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
