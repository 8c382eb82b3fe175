"""An image's file as it is in the bundle, block by block: the original's bytes, or those of a file made of its pixels."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from labelferry_export.conversion.encoding import encoded, holdable
from labelferry_export.conversion.scaling import scaled
from labelferry_export.decoding import decode
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding, Warn
from labelferry_export.model import Image
from labelferry_export.picture import open_original, original_blocks
from labelferry_export.pillow_guard import MAX_PIXELS, broken

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Original:
    """The file that another one was made of: its SHA-256, and what was noticed in making it."""

    sha256: bytes
    findings: tuple[Warn, ...] = ()


def convert(image: Image) -> Iterator[Original | bytes]:
    """Yield the original, then the new file's blocks, for an image that has to be made anew; raise `ExportError` when its pixels are broken."""
    with open_original(image) as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        decoded = decode(file, image, MAX_PIXELS)
    kept = holdable(decoded.pixels, image.written)
    findings = decoded.findings
    if kept.window is not None:
        low, high = kept.window
        message = f"{image.name!r} has more bits than {image.written} holds: it shows the values {low:g} to {high:g} as black to white"
        findings += (Warn(code=Finding.CONTRAST_WINDOW, message=message, image=image.name, window=kept.window),)
    yield Original(digest, findings)
    try:
        pixels = scaled(kept.pixels, image.width, image.height)
        yield from encoded(pixels, image.written, image.quality, decoded.profile)
    except ExportError:
        raise
    except MemoryError:
        raise broken(image.name, "is too large for this machine's memory") from None
    except (ValueError, OSError) as error:
        raise broken(image.name, f"cannot be written as {image.written}: {error}") from None


def blocks_of(image: Image) -> Iterator[bytes]:
    """Yield an image's file as it is in the bundle, for who puts it into another file; what is noticed was told when it was written there."""
    if not image.written:
        yield from original_blocks(image, BLOCK_BYTES)
        return
    yield from (block for block in convert(image) if isinstance(block, bytes))
