"""What the parts of an export cost: milliseconds on the machine they were taken on.

Only the ratios matter: the meter learns how fast the machine at hand is. To calibrate, run an export of real images part by part
and put in what it took.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is to export: images, objects, their pixels in millions, the files' bytes in millions."""

    images: int
    objects: int
    megapixels: float
    megabytes: float


TYPICAL = Totals(images=100, objects=3500, megapixels=20.0, megabytes=15.0)
"""What a project is taken for until it is read: shares, not sizes, come from it."""

READ_IMAGE = 0.9
READ_OBJECT = 0.09
COPY_IMAGE = 0.1
COPY_MEGABYTE = 2.0
DRAW_IMAGE = 2.8
DRAW_OBJECT = 0.08
DRAW_MEGAPIXEL = 65.0
"""To decode, draw on and encode a megapixel."""
FINISH_FILE = 0.02
FINISH_LEAST = 3.0
CHECK_MEGABYTE = 3.0
OVERLAY_MEGABYTES = 1.2
"""About what the overlay of a megapixel takes."""
TEXT_MEGABYTES = 0.0004
"""About what an object takes in all formats."""


def reading(totals: Totals) -> float:
    """Return the cost of reading a project into its snapshot, ms."""
    return READ_IMAGE * totals.images + READ_OBJECT * totals.objects


def copying(images: int, megabytes: float) -> float:
    """Return the cost of copying image files into the bundle, ms."""
    return COPY_IMAGE * images + COPY_MEGABYTE * megabytes


def drawing(images: int, objects: int, megapixels: float) -> float:
    """Return the cost of overlays, ms."""
    return DRAW_IMAGE * images + DRAW_OBJECT * objects + DRAW_MEGAPIXEL * megapixels


def finishing(files: int) -> float:
    """Return the cost of listing so many files in the manifest, the checksums and the zip's directory, ms."""
    return FINISH_LEAST + FINISH_FILE * files


def bundle_megabytes(images: bool, visualizations: bool, totals: Totals) -> float:
    """Return about how large a bundle will be, MB."""
    pictures = totals.megabytes * images + OVERLAY_MEGABYTES * totals.megapixels * visualizations
    return pictures + TEXT_MEGABYTES * totals.objects


def checking(megabytes: float) -> float:
    """Return the cost of reading a finished bundle again, ms."""
    return CHECK_MEGABYTE * megabytes
