"""Image files of every pixel kind, made by hand where Pillow cannot write them. All show the same: dark on the left, bright on the right."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

WIDTH, HEIGHT = 48, 32


def ramp(low: float, high: float, kind: Any = np.float64) -> NDArray[Any]:
    """Values from left to right, shape (HEIGHT, WIDTH)."""
    return np.broadcast_to(np.linspace(low, high, WIDTH), (HEIGHT, WIDTH)).astype(kind)


def saved(picture: Pillow.Image, form: str, **how: Any) -> bytes:
    """A picture as a file of Pillow's format."""
    out = io.BytesIO()
    picture.save(out, form, **how)
    return out.getvalue()


def png(pixels: NDArray[np.uint16], colours: int, *, extra: bytes = b"") -> bytes:
    """A PNG of 16 bits a channel, shape (h, w, channels); `colours` is its colour type, `extra` chunks before the pixels."""
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colours, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(pixels: NDArray[Any], *, order: str = "<", packed: bool = False, bits: int | None = None) -> bytes:
    """A baseline TIFF of one strip: grey of shape (h, w) or colours of shape (h, w, channels), of any whole kind.

    With `bits`, `pixels` are rows of bytes that hold grey values of so many bits, `WIDTH` in a row.
    """
    height = pixels.shape[0]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()  # type: ignore[arg-type]  # "<" or ">"
    data = zlib.compress(data) if packed else data
    depths = struct.pack(f"{order}{channels}H", *[bits or 8 * pixels.dtype.itemsize] * channels)
    start = 10 + 12 * 10 + 4
    values = [
        *((256, 4, WIDTH), (257, 4, height), (259, 3, 8 if packed else 1), (262, 3, 2 if channels > 1 else 1)),
        *((273, 4, start + len(depths)), (277, 3, channels), (278, 4, height), (279, 4, len(data))),
        (339, 3, 2 if pixels.dtype.kind == "i" else 1),
    ]
    entries = [
        (tag, struct.pack(f"{order}HHI", tag, kind, 1) + _value(order, kind, value)) for tag, kind, value in values
    ]
    inline = depths.ljust(4, b"\0") if channels == 1 else struct.pack(f"{order}I", start)
    entries.append((258, struct.pack(f"{order}HHI", 258, 3, channels) + inline))
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return head + b"".join(entry for _, entry in sorted(entries)) + bytes(4) + depths + data


def _value(order: str, kind: int, value: int) -> bytes:
    return struct.pack(f"{order}I", value) if kind == 4 else struct.pack(f"{order}HH", value, 0)


def _twelve_bits() -> bytes:
    """Grey values of 12 bits, two in three bytes."""
    pairs = ramp(0, 4095, np.uint32).reshape(HEIGHT, WIDTH // 2, 2)
    joined = pairs[..., 0] << 12 | pairs[..., 1]
    data = np.stack([joined >> 16, joined >> 8 & 255, joined & 255], axis=-1).astype(np.uint8)
    return tiff(data.reshape(HEIGHT, -1), bits=12)


def _grey() -> Pillow.Image:
    return Pillow.fromarray(ramp(0, 255, np.uint8))


def _colour(mode: str) -> Pillow.Image:
    return Pillow.merge("RGB", [_grey()] * 3).convert(mode)


def _with_alpha(mode: str) -> Pillow.Image:
    picture = _colour(mode)
    picture.putalpha(Pillow.new("L", picture.size, 255))
    return picture


def _palette(**how: Any) -> bytes:
    return saved(_colour("RGB").quantize(64), "PNG", **how)


def _pages(form: str) -> bytes:
    others = [Pillow.new("L", (WIDTH, HEIGHT), 0), Pillow.new("L", (WIDTH, HEIGHT), 255)]
    return saved(_grey(), form, save_all=True, append_images=others, **({"lossless": True} if form == "WEBP" else {}))


def _deep(channels: int) -> NDArray[np.uint16]:
    """Colours of 12 bits in 16: what a reader of the upper bytes shows nearly black."""
    return np.repeat(ramp(0, 4095, np.uint16)[..., None], channels, axis=2)


KINDS: dict[str, Callable[[], bytes]] = {
    "l.png": lambda: saved(_grey(), "PNG"),
    "la.png": lambda: saved(_with_alpha("L"), "PNG"),
    "rgb.png": lambda: saved(_colour("RGB"), "PNG"),
    "rgba.png": lambda: saved(_with_alpha("RGB"), "PNG"),
    "palette.png": _palette,
    "palette-transparent.png": lambda: _palette(transparency=bytes([255] * 64)),
    "one.png": lambda: saved(Pillow.fromarray(ramp(0, 255) > 127), "PNG"),
    "one.tif": lambda: saved(Pillow.fromarray(ramp(0, 255) > 127), "TIFF", compression="group4"),
    "cmyk.jpg": lambda: saved(_colour("CMYK"), "JPEG", quality=95),
    "cmyk.tif": lambda: saved(_colour("CMYK"), "TIFF"),
    "rgb.jpg": lambda: saved(_colour("RGB"), "JPEG", quality=95),
    "l.jpg": lambda: saved(_grey(), "JPEG", quality=95),
    "rgb.bmp": lambda: saved(_colour("RGB"), "BMP"),
    "palette.bmp": lambda: saved(_colour("RGB").quantize(64), "BMP"),
    "rgb.webp": lambda: saved(_colour("RGB"), "WEBP", lossless=True),
    "rgba.webp": lambda: saved(_with_alpha("RGB"), "WEBP", lossless=True),
    "palette.gif": lambda: saved(_colour("RGB").quantize(64), "GIF"),
    "rgb.jp2": lambda: saved(_colour("RGB"), "JPEG2000"),
    "grey.pgm": lambda: saved(_grey(), "PPM"),
    "sixteen.png": lambda: saved(Pillow.fromarray(ramp(300, 3000, np.uint16)), "PNG"),
    "sixteen.tif": lambda: saved(Pillow.fromarray(ramp(300, 3000, np.uint16)), "TIFF"),
    "sixteen-big-endian.tif": lambda: tiff(ramp(300, 3000, np.uint16), order=">"),
    "sixteen-packed.tif": lambda: tiff(ramp(300, 3000, np.uint16), packed=True),
    "twelve.tif": _twelve_bits,
    "thirty-two.tif": lambda: saved(Pillow.fromarray(ramp(100_000, 900_000, np.int32)), "TIFF"),
    "thirty-two-big-endian.tif": lambda: tiff(ramp(100_000, 900_000, np.int32), order=">"),
    "float.tif": lambda: saved(Pillow.fromarray(ramp(-0.25, 0.75, np.float32)), "TIFF"),
    "rgb-sixteen.png": lambda: png(_deep(3), 2),
    "rgba-sixteen.png": lambda: png(np.concatenate([_deep(3), np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)], 2), 6),
    "rgb-sixteen.tif": lambda: tiff(_deep(3)),
    "rgb-sixteen-big-endian.tif": lambda: tiff(_deep(3), order=">"),
    "rgb-sixteen-packed.tif": lambda: tiff(_deep(3), packed=True),
    "pages.tif": lambda: _pages("TIFF"),
    "pages.gif": lambda: _pages("GIF"),
    "pages.webp": lambda: _pages("WEBP"),
    "pages.png": lambda: _pages("PNG"),
}
"""A file of each kind, by its name."""
DEEP = [
    name for name in KINDS if name.startswith(("sixteen", "twelve", "thirty", "float", "rgb-sixteen", "rgba-sixteen"))
]
"""Those of more than 8 bits a channel."""
