"""What the parts of an export cost: milliseconds on the machine they were taken on.

Only the ratios matter: the meter learns how fast the machine at hand is. To calibrate, run an export of real images part by part
and put in what it took.
"""

from dataclasses import dataclass

from labelferry_protocol.options import ExportOptions


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is to export: images, objects, their pixels in millions, the files' bytes in millions."""

    images: int
    objects: int
    megapixels: float
    megabytes: float
    full_megapixels: float = 0.0
    """Of the files, before they are scaled."""
    converted: float = 1.0
    """The share of these whose files are made anew, where that is asked for at all."""


TYPICAL = Totals(images=100, objects=3500, megapixels=20.0, megabytes=15.0, full_megapixels=20.0)
"""What a project is taken for until it is read: shares, not sizes, come from it."""

UNPACK_FILE = 0.08
UNPACK_MEGABYTE = 5.0
READ_IMAGE = 0.3
READ_OBJECT = 0.016
COPY_IMAGE = 0.1
COPY_MEGABYTE = 2.0
CONVERT_IMAGE = 0.3
DECODE_MEGAPIXEL = 16.0
"""To decode a megapixel of a file: between JPEG (4) and PNG (21)."""
SCALE_MEGAPIXEL = 3.0
"""To scale it, besides."""
ENCODE_MEGAPIXEL = {"png": 11.0, "jpeg": 4.0, "webp": 58.0, "tiff": 15.0}
CONVERTED_MEGABYTES = {"png": 1.2, "jpeg": 0.3, "webp": 0.18, "tiff": 1.3}
"""About what a megapixel takes in each."""
DRAW_IMAGE = 1.7
DRAW_OBJECT = 0.04
DRAW_MEGAPIXEL = 34.0
"""To decode, draw on and encode a megapixel."""
FINISH_FILE = 0.02
FINISH_LEAST = 3.0
CHECK_MEGABYTE = 2.2
RECOUNT_FORMATS, RECOUNT_TABLES = 0.4, 0.2
"""What it costs to read formats and tables again, of what it cost to write them."""
OVERLAY_MEGABYTES = 1.2
"""About what the overlay of a megapixel takes."""
TEXT_MEGABYTES = 0.0004
"""About what an object takes in all formats."""


def unpacking(files: int, megabytes: float) -> float:
    """Return the cost of unpacking so many files that a project came packed in, ms."""
    return UNPACK_FILE * files + UNPACK_MEGABYTE * megabytes


def reading(totals: Totals) -> float:
    """Return the cost of reading a project into its snapshot, ms."""
    return READ_IMAGE * totals.images + READ_OBJECT * totals.objects


def copying(images: int, megabytes: float) -> float:
    """Return the cost of copying image files into the bundle, ms."""
    return COPY_IMAGE * images + COPY_MEGABYTE * megabytes


def converting(images: float, full_megapixels: float, megapixels: float, image_format: str) -> float:
    """Return the cost of making image files anew, ms: decoding `full_megapixels`, scaling them, encoding `megapixels`."""
    encode = ENCODE_MEGAPIXEL.get(image_format, ENCODE_MEGAPIXEL["png"])
    scaled = SCALE_MEGAPIXEL * full_megapixels if full_megapixels > megapixels else 0.0
    return CONVERT_IMAGE * images + DECODE_MEGAPIXEL * full_megapixels + scaled + encode * megapixels


def drawing(images: int, objects: int, megapixels: float) -> float:
    """Return the cost of overlays, ms; pixels that are decoded and scaled away cost `decoding` besides."""
    return DRAW_IMAGE * images + DRAW_OBJECT * objects + DRAW_MEGAPIXEL * megapixels


def decoding(megapixels: float) -> float:
    """Return the cost of decoding and scaling away so many pixels of files, ms."""
    return (DECODE_MEGAPIXEL + SCALE_MEGAPIXEL) * max(megapixels, 0.0)


def finishing(files: int) -> float:
    """Return the cost of listing so many files in the manifest, the checksums and the zip's directory, ms."""
    return FINISH_LEAST + FINISH_FILE * files


def image_megabytes(options: ExportOptions, totals: Totals) -> float:
    """Return how large the images are in the bundle, MB: to the byte where none is converted, else about."""
    if not options.images:
        return 0.0
    if not converts(options):
        return totals.megabytes
    per_megapixel = CONVERTED_MEGABYTES.get(
        options.image_format, totals.megabytes / totals.full_megapixels if totals.full_megapixels else 0.0
    )
    return totals.megabytes * (1 - totals.converted) + per_megapixel * totals.megapixels * totals.converted


def converts(options: ExportOptions) -> bool:
    """Whether files are made anew where they are not yet as the options want them."""
    return options.image_format != "original" or options.max_side is not None


def bundle_megabytes(options: ExportOptions, totals: Totals) -> float:
    """Return about how large a bundle will be, MB."""
    overlays = OVERLAY_MEGABYTES * totals.megapixels * options.visualizations
    return image_megabytes(options, totals) + overlays + TEXT_MEGABYTES * totals.objects


def checking(megabytes: float) -> float:
    """Return the cost of reading a finished bundle again, ms."""
    return CHECK_MEGABYTE * megabytes
