"""Masks read again by Pillow, not by what wrote them: their depth, their values, how many objects can be seen."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from labelferry_export.bundle.readers import Reader, Whole

MOST_BYTES = 16 << 20
MOST_PIXELS = 32 << 20
"""A mask beyond either is not decoded again, as it would take too much memory; its bytes are checked as everybody's."""

Values = NDArray[np.integer]


class MaskRecount:
    """Recounts masks below `folder` that have Pillow's `modes`; `judge` gets the values of each and says how many objects they are.

    With `last` they are masks of single objects, in folders of that name, and images are not counted.
    Of masks that are too large nothing is counted, and then no object at all.
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

    def open(self, name: str) -> Reader | None:
        """Return the reader of a mask."""
        if not (name.startswith(self._folder) and name.endswith((".png", ".tif"))):
            return None
        if self._last and f"/{self._last}" not in name.removeprefix(self._folder):
            return None
        self.images = None if self.images is None else self.images + 1
        return _Mask(self)

    def check(self, data: bytes | None) -> None:
        """Check a mask, None for one that is too large."""
        count = None if data is None else self._count(data)
        self.objects = None if count is None or self.objects is None else self.objects + count

    def _count(self, data: bytes) -> int | None:
        try:
            with Pillow.open(io.BytesIO(data), formats=["PNG", "TIFF"]) as picture:
                if picture.mode not in self._modes:
                    raise ValueError(f"its pixels are {picture.mode}, not {' or '.join(self._modes)}")
                if picture.width * picture.height > MOST_PIXELS:
                    return None
                seen = np.bincount(np.asarray(picture).reshape(-1))
        except (OSError, SyntaxError) as error:
            raise ValueError(f"it is no mask: {error}") from None
        return self._judge(np.flatnonzero(seen))


class _Mask:
    """A reader of one mask."""

    def __init__(self, recount: MaskRecount) -> None:
        self._recount = recount
        self._size = 0
        self._whole = Whole(recount.check, MOST_BYTES)

    def take(self, data: bytes) -> None:
        """Keep a block."""
        self._size += len(data)
        self._whole.take(data)

    def close(self) -> None:
        """Have the mask checked."""
        if self._size > MOST_BYTES:
            self._recount.check(None)
        self._whole.close()


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
