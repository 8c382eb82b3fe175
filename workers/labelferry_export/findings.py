"""What an export noticed and did about it: every drop, repair, clip or rename is a typed finding, and none is silent."""

from enum import StrEnum

from msgspec import Struct


class Finding(StrEnum):
    """The kinds of findings; the value travels in events, the manifest and the README of a bundle, and never changes."""

    IMAGE_MISSING = "image-missing"
    IMAGE_BROKEN = "image-broken"
    IMAGE_SIZE = "image-size"
    """The file's size is not the one the project says."""
    IMAGE_RENAMED = "image-renamed"
    OBJECT_DROPPED = "object-dropped"
    OBJECT_REPAIRED = "object-repaired"
    OBJECT_CLIPPED = "object-clipped"
    OBJECT_RENUMBERED = "object-renumbered"
    OBJECT_NO_PIXEL = "object-no-pixel"
    """A sliver or dot that covers no pixel centre: kept, with an empty mask."""
    REFERENCE_BROKEN = "reference-broken"
    """An id that points nowhere."""
    FORMAT_LOSS = "format-loss"
    """A format cannot say it: bridged, split, filled, dropped or rounded."""
    CONTRAST_WINDOW = "contrast-window"
    OTHER = "other"


class Warn(Struct, frozen=True, kw_only=True):
    """One finding: its kind, the image (and object, and format) it is about, and a sentence for a person."""

    code: Finding
    message: str
    image: str | None = None
    object_id: int | None = None
    format: str | None = None
