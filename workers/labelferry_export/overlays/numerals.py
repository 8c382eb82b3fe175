"""Digits as tiles of coverage, made once a size from Pillow's own font, and how wide numbers are. Where they go: numbers.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from labelferry_export.geometry.ring import Integers
from labelferry_export.overlays.ink import FULL

Bytes = NDArray[np.uint8]

TINY = 5
"""The height of the digits below: smaller than any font can be drawn well."""
SIZES = (TINY, 8, 9, 10, 11, 12, 14, 16, 19, 22, 26, 31, 37, 44)
"""Heights of the digits' font, px."""
DIGITS = "0123456789"
TINY_ROWS = (
    "111 010 110 110 101 111 011 111 111 111",
    "101 110 001 001 101 100 100 001 101 101",
    "101 010 010 110 111 110 111 010 111 111",
    "101 010 100 001 001 001 101 010 101 001",
    "111 111 111 110 001 110 111 010 111 110",
)
"""The ten digits side by side, row by row."""


@dataclass(frozen=True, eq=False)
class Numerals:
    """The digits at one size. Every digit is a list of pixels: `starts` (10,) and `counts` (10,) say where in `x`, `y`, `glyph`, `halo`.

    x and y (n,) px from the pen, which is at the top left; glyph and halo (n,) coverage; advance (10,) and height in px.
    """

    x: Integers
    y: Integers
    glyph: Bytes
    halo: Bytes
    starts: Integers
    counts: Integers
    advance: Integers
    height: int

    def widths(self, digits: Integers, starts: Integers) -> Integers:
        """Return the widths, px, of numbers whose digits lie end to end in `digits`, each beginning at one of `starts`."""
        return np.add.reduceat(self.advance[digits], starts)

    def place(
        self, digits: Integers, pen: tuple[Integers, Integers], size: tuple[int, int]
    ) -> tuple[Integers, Bytes, Bytes]:
        """Return pixel, coverage of the halo and coverage of the glyph, (n,), of digits with their pens at (x, y).

        Pixels are row-major numbers in an image of `size` (height, width); what is outside of it is left out.
        """
        counts = self.counts[digits]
        which = np.repeat(np.arange(len(digits)), counts)
        at = np.arange(len(which)) + np.repeat(self.starts[digits] - (np.cumsum(counts) - counts), counts)
        x, y = pen[0][which] + self.x[at], pen[1][which] + self.y[at]
        inside = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
        pixel, at = (y * size[1] + x)[inside], at[inside]
        return pixel, self.halo[at], self.glyph[at]


@cache
def numerals(size: int) -> Numerals:
    """Return the digits at a height of `size` px: our own pixels where it is `TINY`, else Pillow's own font."""
    rim = max(1, round(size / 14))
    tiles, advance = _tiny_tiles() if size == TINY else _font_tiles(size)
    glyphs = [np.pad(tile, rim) for tile in tiles]
    halos = [_widened(glyph, rim) for glyph in glyphs]
    places = [np.nonzero(halo) for halo in halos]
    counts = np.array([len(y) for y, _ in places], np.int64)
    return Numerals(
        x=np.concatenate([x for _, x in places]) - rim,
        y=np.concatenate([y for y, _ in places]) - rim,
        glyph=np.concatenate([glyph[place] for glyph, place in zip(glyphs, places, strict=True)]),
        halo=np.concatenate([halo[place] for halo, place in zip(halos, places, strict=True)]),
        starts=np.cumsum(counts) - counts,
        counts=counts,
        advance=np.array(advance, np.int64),
        height=len(tiles[0]),
    )


def _tiny_tiles() -> tuple[list[Bytes], list[int]]:
    rows = [row.split() for row in TINY_ROWS]
    tiles = [np.array([[int(bit) * FULL for bit in row[digit]] for row in rows], np.uint8) for digit in range(10)]
    return tiles, [tile.shape[1] + 1 for tile in tiles]


def _font_tiles(size: int) -> tuple[list[Bytes], list[int]]:
    """Return the digits' coverage, all of one height, and how far the pen moves at each, px."""
    font = ImageFont.load_default(size)
    boxes = [font.getbbox(digit) for digit in DIGITS]
    top, bottom = min(int(box[1]) for box in boxes), max(int(np.ceil(box[3])) for box in boxes)
    tiles = []
    for digit, box in zip(DIGITS, boxes, strict=True):
        tile = Image.new("L", (int(np.ceil(box[2])) + 1, bottom - top))
        ImageDraw.Draw(tile).text((0, -top), digit, fill=FULL, font=font)
        tiles.append(np.asarray(tile))
    return tiles, [round(font.getlength(digit)) for digit in DIGITS]


def _widened(tile: Bytes, rim: int) -> Bytes:
    """Return what lies within `rim` px of the glyph, the corners rounded."""
    height, width = tile.shape
    padded = np.pad(tile, rim)
    reach = [(x, y) for x in range(-rim, rim + 1) for y in range(-rim, rim + 1) if x * x + y * y <= rim * rim + 1]
    shifted = [padded[rim + y : rim + y + height, rim + x : rim + x + width] for x, y in reach]
    widened: Bytes = np.max(shifted, axis=0)
    return widened


def digits_of(numbers: Sequence[int]) -> tuple[Integers, Integers]:
    """Return the digits of `numbers` end to end, and where each number begins."""
    texts = [str(number) for number in numbers]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    digits = np.frombuffer("".join(texts).encode("ascii"), np.uint8).astype(np.int64) - ord("0")
    return digits, np.cumsum(lengths) - lengths
