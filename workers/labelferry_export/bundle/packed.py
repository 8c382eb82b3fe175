"""Files of a bundle that are packed away from it, whole: hashed and deflated where they are made, so that the archive only has to lay them down."""

import hashlib

import deflate
import msgspec

from labelferry_export.bundle.records import Method, method_for

TEXT_LEVEL = 2
"""Of libdeflate. On label files twice as fast as level 4 of zlib, and a little smaller; level 6 takes three times as long for 1 % more."""


class PackedFile(msgspec.Struct, frozen=True, array_like=True):
    """A file as it will lie in the zip: `data` by `method`; `size` and `crc` and `sha256` are those of the contents.

    `original` is the SHA-256 of the project's file that it was made of, where that is worth telling.
    """

    name: str
    method: int
    size: int
    crc: int
    sha256: bytes
    data: bytes
    original: bytes = b""


def pack(name: str, contents: bytes | bytearray, method: Method | None = None) -> PackedFile:
    """Return a file for the bundle, its method chosen by its name where none is given."""
    method = method_for(name) if method is None else method
    data = bytes(contents) if method is Method.STORED else bytes(deflate.deflate_compress(contents, TEXT_LEVEL))
    digest = hashlib.sha256(contents).digest()
    return PackedFile(name, method, len(contents), deflate.crc32(contents), digest, data)
