"""What becomes of an image file by the options: nothing, or which format, size, name and kind of pixels. Pure; no pixel is read here.

A file that already is what was asked for is copied bit for bit: of the format, upright, of one page, within the size, and no quality was named.
"""

from dataclasses import dataclass

from labelferry_export.errors import ExportError
from labelferry_export.picture import Header
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions

FORMATS: dict[str, tuple[str, ...]] = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg", ".jpe"),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
}
"""What can be written, and the suffixes that such a file may keep; the first is what others get."""
OWN = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp", "TIFF": "tiff"}
"""Which of them a file is, by Pillow's word. Files of other formats become PNG when they have to be written."""
LONGEST = {"jpeg": 65_500, "webp": 16_383}
"""The most pixels a side that a format, and its library, takes."""
ADJUSTABLE = frozenset(["jpeg", "webp"])
"""Those whose quality can be chosen."""
QUALITY = 90

_GREY = ("1", "L", "I", "F")
_TRANSPARENT = frozenset(["LA", "La", "PA", "RGBA", "RGBa"])


@dataclass(frozen=True)
class Conversion:
    """What is written instead of a file: `written` is the format (empty: the file itself, bit for bit), width and height in px, Pillow's mode.

    `suffixed` is the format whose suffix the name gets (empty: the name stays).
    """

    written: str
    suffixed: str
    width: int
    height: int
    mode: str
    quality: int = 0

    @property
    def too_long(self) -> int | None:
        """The most pixels a side that the format takes, where the image has more."""
        longest = LONGEST.get(self.written)
        return longest if longest is not None and max(self.width, self.height) > longest else None


def conversion_of(header: Header, options: ExportOptions) -> Conversion:
    """Return what is written of a file by the options."""
    width, height = fitted(header.width, header.height, options.max_side)
    smaller = (width, height) != (header.width, header.height)
    own = OWN.get(header.format, "")
    wanted = (own or "png") if options.image_format == "original" else options.image_format
    plain = header.orientation == 1 and header.pages == 1 and options.image_quality is None
    if not smaller and (options.image_format == "original" or (wanted == own and plain)):
        suffixed = "" if options.image_format == "original" else wanted
        return Conversion("", suffixed, width, height, header.mode)
    quality = (options.image_quality or QUALITY) if wanted in ADJUSTABLE else 0
    return Conversion(wanted, wanted, width, height, _written_mode(header, wanted), quality)


def check_quality(options: ExportOptions) -> None:
    """Raise `ExportError(USAGE)` where a quality is asked for that no image can have."""
    if options.image_quality is None:
        return
    if options.image_format == "original" and options.max_side is None:
        raise ExportError(
            Code.USAGE, "--image-quality changes nothing without --image-format jpeg or webp, or --max-side"
        )
    if options.image_format not in ("original", *ADJUSTABLE):
        raise ExportError(
            Code.USAGE, f"{options.image_format} keeps every pixel and has no quality: leave --image-quality out"
        )


def fitted(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Return the size (px) of an image whose longer side is at most `max_side`; never a larger one. The shorter is rounded half up."""
    longest = max(width, height)
    if max_side is None or longest <= max_side:
        return width, height
    return _share(width, max_side, longest), _share(height, max_side, longest)


def renamed(bundle_name: str, conversion: Conversion) -> str:
    """Return a bundle name with a suffix that fits what is written. Stems are unique in a bundle, so this name is, too."""
    stem, dot, suffix = bundle_name.rpartition(".")
    known = FORMATS.get(conversion.suffixed)
    if known is None or (dot and f".{suffix.lower()}" in known):
        return bundle_name
    return f"{stem or bundle_name}{known[0]}"


def _share(side: int, part: int, whole: int) -> int:
    return max(1, (2 * side * part + whole) // (2 * whole))


def _written_mode(header: Header, written: str) -> str:
    grey = header.mode in ("LA", "La") or (header.mode.startswith(_GREY) and header.mode != "LAB")
    transparent = header.transparent or header.mode in _TRANSPARENT
    if written == "webp":
        return "RGBA" if transparent else "RGB"
    if written == "jpeg" or not transparent:
        deep = header.mode.startswith("I;16") and written != "jpeg"
        return "I;16" if deep else "L" if grey else "RGB"
    return "LA" if grey else "RGBA"
