"""The mark of the engine that makes a result: other code or other libraries may make other bytes, so they find nothing of ours."""

import hashlib
import platform
import sys
import zlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import shapely
from PIL import features

LIBRARIES = ("labelferry", "deflate", "msgspec", "numpy", "pillow", "shapely")
"""Distributions that results depend on, as far as they are installed."""
CODECS = ("jpg", "jpg_2000", "zlib", "libtiff")


@cache
def mark() -> bytes:
    """Return a digest of all that a result depends on besides its input: the engine's own code, and what it runs on."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        source = path.read_bytes()
        digest.update(f"{path.relative_to(root)} {len(source)}\n".encode())
        digest.update(source)
    for line in _surroundings():
        digest.update(f"{line}\n".encode())
    return digest.digest()


def _surroundings() -> list[str]:
    codecs = [f"{name} {features.version_codec(name)}" for name in CODECS if features.check_codec(name)]
    codecs.append(f"webp {features.version_module('webp') if features.check_module('webp') else None}")
    libraries = [f"{name} {_version(name)}" for name in LIBRARIES]
    machine = [sys.version, platform.machine(), sys.byteorder, zlib.ZLIB_RUNTIME_VERSION, shapely.geos_version_string]
    return [*codecs, *libraries, *machine]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
