"""Masks read again: their depth, their values, how many objects can be seen. Large ones in strips; of others the first ones of a bundle, and a share of
all that follow, are decoded by Pillow, which has nothing of what wrote them; the rest in one go.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image as Pillow

from labelferry_export.bundle.readers import Reader
from labelferry_export.formats._recounts.plain_png import plain_png
from labelferry_export.formats._recounts.strips import HEAD_BYTES, Strips, Values, strips_of

MOST_PIXELS = 8 << 20
"""A larger mask is not decoded as a whole, which would take too much memory, but in strips."""
ALL_BY_PILLOW, EVERY_BY_PILLOW = 40, 32
"""So many masks of a bundle are all decoded by Pillow, of the others every 32nd; and all that are not of the form we write."""


class Mask:
    """A mask that was read: Pillow's word for its pixels, and, of one that is not large, the pixels, (height, width)."""

    def __init__(self, mode: str, pixels: Values | None, values: Values | None = None) -> None:
        self.mode = mode
        self.pixels = pixels
        self._values = values

    @property
    def values(self) -> Values:
        """The values there are, ascending."""
        if self._values is None and self.pixels is not None:
            flat = self.pixels.reshape(-1)
            # Those with which a run begins.
            self._values = np.unique(flat[np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)])
        return np.zeros(0, np.uint8) if self._values is None else self._values


class MaskRecount:
    """Recounts masks below `folder` that have Pillow's `modes`; `judge` gets the values of each and says how many objects they are.

    With `last` they are masks of single objects, in folders of that name, and images are not counted.
    """

    def __init__(
        self, folder: str, modes: tuple[str, ...], judge: Callable[[Values], int | None], last: str = ""
    ) -> None:
        self.images: int | None = None if last else 0
        self.objects: int | None = 0
        self._folder = folder
        self._modes = modes
        self._judge = judge
        self._last = last
        self._decoder = Decoder()

    def open(self, name: str) -> Reader | None:
        """Return the reader of a mask."""
        if not (name.startswith(self._folder) and name.endswith((".png", ".tif"))):
            return None
        if self._last and f"/{self._last}" not in name.removeprefix(self._folder):
            return None
        self.images = None if self.images is None else self.images + 1
        return MaskReader(self._check, self._decoder)

    def _check(self, mask: Mask) -> None:
        if mask.mode not in self._modes:
            raise ValueError(f"its pixels are {mask.mode}, not {' or '.join(self._modes)}")
        count = self._judge(mask.values)
        self.objects = None if count is None or self.objects is None else self.objects + count


class MaskReader:
    """A reader of one mask, which hands it on at its end."""

    def __init__(self, judge: Callable[[Mask], None], decoder: "Decoder") -> None:
        self._judge = judge
        self._decoder = decoder
        self._blocks: list[bytes] = []
        self._size = 0
        self._strips: Strips | None = None
        self._sniffed = False

    def take(self, data: bytes) -> None:
        """Keep a block, or count what is in it."""
        if self._strips is not None:
            self._strips.take(data)
            return
        self._blocks.append(data)
        self._size += len(data)
        if self._size >= HEAD_BYTES and not self._sniffed:
            self._sniff()

    def close(self) -> None:
        """Hand the mask on."""
        if not self._sniffed:
            self._sniff()
        if self._strips is not None:
            self._judge(Mask(self._strips.mode, None, self._strips.values()))
        else:
            self._judge(self._decoder.decode(b"".join(self._blocks)))

    def _sniff(self) -> None:
        self._sniffed = True
        strips = strips_of(b"".join(self._blocks)[:HEAD_BYTES])
        if strips is not None and strips.pixels > MOST_PIXELS:
            self._strips = strips
            for block in self._blocks:
                strips.take(block)
            self._blocks.clear()


class Decoder:
    """Decodes the masks of one bundle, in their order."""

    def __init__(self) -> None:
        self._count = 0

    def decode(self, data: bytes) -> Mask:
        """Return the next mask; raises ValueError where it is none."""
        self._count += 1
        found = None
        if self._count > ALL_BY_PILLOW and self._count % EVERY_BY_PILLOW:
            found = plain_png(data)
        return Mask(*(found or _by_pillow(data)))


def _by_pillow(data: bytes) -> tuple[str, Values]:
    try:
        with Pillow.open(io.BytesIO(data), formats=["PNG", "TIFF"]) as picture:
            return picture.mode, np.asarray(picture)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"it is no mask: {error}") from None


def within(classes: int, void: int) -> Callable[[Values], None]:
    """Return a judge of class masks: every value is background, a class, or void. They cannot say objects."""

    def judge(values: Values) -> None:
        wrong = values[(values > classes) & (values != void)]
        if len(wrong):
            raise ValueError(f"it has the value {wrong[0]}, which is no class")

    return judge


def numbered(values: Values) -> int:
    """Judge a mask of objects: every value but 0 is one."""
    return int((values > 0).sum())


def single(values: Values) -> int:
    """Judge a mask of one object: it has 255, and else nothing but 0."""
    if [value for value in values.tolist() if value] != [255]:
        raise ValueError(f"it has the values {values[:4].tolist()}, and not 0 and 255")
    return 1
