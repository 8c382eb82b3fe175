"""Images that mean harm: bombs, cut files, loops, chunks without end."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

from PIL import Image as Pillow
from tests.hostile.case import DONE, SIZE, Case, beside
from tests.support.pictures import chunk, ramp, saved, tiff

BROKEN = r"the image '{}' is broken or cut off"


def header(width: int, height: int, extra: bytes = b"") -> bytes:
    """A PNG of any size that has nearly no pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(99)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + pixels + chunk(b"IEND", b"")


def small(extra: bytes) -> bytes:
    """A sound PNG of the usual size, with chunks before its pixels."""
    whole = saved(Pillow.new("RGB", SIZE, (90, 90, 90)), "PNG")
    place = whole.index(b"IDAT") - 4
    return whole[:place] + extra + whole[place:]


def noisy() -> Pillow.Image:
    return Pillow.effect_noise(SIZE, 90).convert("RGB")


def cut(form: str, name: str, **how: object) -> Case:
    """A file without its last third."""
    data = saved(noisy(), form, **how)
    return Case(lambda root: beside(root, name, data[: len(data) * 2 // 3]), BROKEN.format(name), skips=True)


def looping(root: Path) -> None:
    """A TIFF whose one page says that it comes after itself."""
    data = bytearray(saved(Pillow.new("RGB", SIZE), "TIFF"))
    start = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    beside(root, "b.tif", bytes(data))


def endless_pages(root: Path) -> None:
    """A TIFF of 20,000 pages, all the same few bytes apart."""
    whole = saved(Pillow.new("L", SIZE), "TIFF")
    start = struct.unpack_from("<I", whole, 4)[0]
    count = struct.unpack_from("<H", whole, start)[0]
    page = bytearray(whole[start : start + 2 + 12 * count + 4])
    out = bytearray(whole[:start])
    for number in range(20_000):
        following = start + (number + 1) * len(page)
        struct.pack_into("<I", page, len(page) - 4, following if number < 19_999 else 0)
        out += page
    beside(root, "b.tif", bytes(out))


def huge_tiles(root: Path) -> None:
    """A TIFF of the usual size that says its one tile is 65,520 px a side."""
    import numpy as np

    data = tiff(ramp(0, 255, np.uint8), packed=True)
    changed = bytearray(data)
    place = changed.index(struct.pack("<HHI", 278, 4, 1))
    struct.pack_into("<HHII", changed, place, 322, 4, 1, 65_520)
    beside(root, "b.tif", bytes(changed))


def gif(width: int, height: int) -> bytes:
    """A GIF that says any size."""
    data = bytearray(saved(Pillow.new("P", SIZE), "GIF"))
    struct.pack_into("<HH", data, 6, width, height)
    return bytes(data)


def jpeg(width: int, height: int) -> bytes:
    """A JPEG that says any size."""
    data = bytearray(saved(noisy(), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    struct.pack_into(">HH", data, place, height, width)
    return bytes(data)


def icc_bomb() -> bytes:
    return chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(100 << 20), 9))


LIMIT = "says it has {} pixels, over the limit of 500 megapixels"

CASES: dict[str, Case] = {
    "png of 30,000 px": Case(
        lambda root: beside(root, "b.png", header(30_000, 30_000)), LIMIT.format("30000x30000"), skips=True
    ),
    "png of 60,000 px": Case(
        lambda root: beside(root, "b.png", header(60_000, 60_000)), LIMIT.format("60000x60000"), skips=True
    ),
    "png of 2 billion px a side": Case(
        lambda root: beside(root, "b.png", header(2**31 - 1, 2**31 - 1)), "the image 'b.png'"
    ),
    "png of no px": Case(lambda root: beside(root, "b.png", header(0, 7)), "the image 'b.png'", skips=True),
    "png with pixels missing": Case(
        lambda root: beside(root, "b.png", header(*SIZE)), BROKEN.format("b.png"), skips=True
    ),
    "png with a long text": Case(
        lambda root: beside(root, "b.png", small(chunk(b"tEXt", b"a\0" + b"x" * (40 << 20)))), ends=DONE
    ),
    "png with a packed text of 100 MB": Case(
        lambda root: beside(root, "b.png", small(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 << 20), 9)))),
        "Decompressed data too large",
        skips=True,
    ),
    "png with a colour profile of 100 MB": Case(
        lambda root: beside(root, "b.png", small(icc_bomb())), "Decompressed data too large", skips=True
    ),
    "png with a wrong checksum": Case(
        lambda root: beside(root, "b.png", small(b"\0\0\0\4gAMA\0\0\0\0\0\0\0\0")), "the image 'b.png'", skips=True
    ),
    "gif of 65,535 px": Case(
        lambda root: beside(root, "b.gif", gif(65_535, 65_535)), LIMIT.format("65535x65535"), skips=True
    ),
    "jpeg of 65,500 px": Case(
        lambda root: beside(root, "b.jpg", jpeg(65_500, 65_500)), LIMIT.format("65500x65500"), skips=True
    ),
    "pgm of a size of 400 digits": Case(
        lambda root: beside(root, "b.pgm", b"P5 " + b"9" * 400 + b" 3 255\n" + bytes(9)),
        "the image 'b.pgm'",
        skips=True,
    ),
    "tiff that follows itself": Case(looping, ends=DONE),
    "tiff of 20,000 pages": Case(endless_pages, ends=DONE),
    "tiff of one huge tile": Case(huge_tiles, "the image 'b.tif'", skips=True),
    "empty image": Case(lambda root: beside(root, "b.png", b""), r"the image 'b\.png' is empty", skips=True),
    "postscript called png": Case(
        lambda root: beside(root, "b.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\nshowpage\n"),
        r"the image 'b\.png' is not an image that can be read",
        skips=True,
    ),
    "text called jpg": Case(
        lambda root: beside(root, "b.jpg", b"no image\n"), "is not an image that can be read", skips=True
    ),
    "cut png": cut("PNG", "b.png"),
    "cut jpeg": cut("JPEG", "b.jpg", quality=95),
    "cut tiff": replace(cut("TIFF", "b.tif"), says=r"the image 'b\.tif' is"),
    "cut webp": cut("WEBP", "b.webp", lossless=True),
    "cut gif": cut("GIF", "b.gif"),
    "cut bmp": cut("BMP", "b.bmp"),
    "cut jpeg 2000": cut("JPEG2000", "b.jp2"),
    "cut pgm": cut("PPM", "b.ppm"),
}
"""Each is the second image of a sound project."""
