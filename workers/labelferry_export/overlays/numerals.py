"""Digits as tiles of coverage, made once a size from Pillow's own font, and how wide numbers are. Where they go: numbers.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from labelferry_export.geometry.ring import Integers
from labelferry_export.overlays.ink import Marks

Bytes = NDArray[np.uint8]

SIZES = (8, 9, 10, 11, 12, 14, 16, 19, 22, 26, 31, 37, 44)
"""Heights of the font, px."""
DIGITS = "0123456789"


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

    def marks(self, digits: Integers, pen: tuple[Integers, Integers], size: tuple[int, int]) -> tuple[Marks, Marks]:
        """Return halos and glyphs of `digits`, the pen of each at (x, y), in an image of `size` (height, width); what is outside is left out."""
        counts = self.counts[digits]
        which = np.repeat(np.arange(len(digits)), counts)
        at = np.arange(len(which)) + np.repeat(self.starts[digits] - (np.cumsum(counts) - counts), counts)
        x, y = pen[0][which] + self.x[at], pen[1][which] + self.y[at]
        inside = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
        pixel, at = (y * size[1] + x)[inside], at[inside]
        solid = self.glyph[at] > 0
        none = np.zeros(len(at), np.int64)
        return Marks(pixel, self.halo[at], none), Marks(pixel[solid], self.glyph[at][solid], none[solid])


@cache
def numerals(size: int) -> Numerals:
    """Return the digits of Pillow's own font at a height of `size` px."""
    font = ImageFont.load_default(size)
    top, bottom = _extent(font)
    rim = max(1, round(size / 14))
    tiles = [_tile(font, digit, top, bottom, rim) for digit in DIGITS]
    halos = [_widened(tile, rim) for tile in tiles]
    places = [np.nonzero(halo) for halo in halos]
    counts = np.array([len(y) for y, _ in places], np.int64)
    return Numerals(
        x=np.concatenate([x for _, x in places]) - rim,
        y=np.concatenate([y for y, _ in places]) - rim,
        glyph=np.concatenate([tile[place] for tile, place in zip(tiles, places, strict=True)]),
        halo=np.concatenate([halo[place] for halo, place in zip(halos, places, strict=True)]),
        starts=np.cumsum(counts) - counts,
        counts=counts,
        advance=np.array([round(font.getlength(digit)) for digit in DIGITS], np.int64),
        height=bottom - top,
    )


def _extent(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[int, int]:
    boxes = [font.getbbox(digit) for digit in DIGITS]
    return int(min(box[1] for box in boxes)), int(np.ceil(max(box[3] for box in boxes)))


def _tile(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, digit: str, top: int, bottom: int, rim: int) -> Bytes:
    """Return a digit's coverage with `rim` px of nothing around it."""
    width = int(np.ceil(font.getlength(digit))) + 1
    tile = Image.new("L", (width + 2 * rim, bottom - top + 2 * rim))
    ImageDraw.Draw(tile).text((rim, rim - top), digit, fill=255, font=font)
    return np.asarray(tile)


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
