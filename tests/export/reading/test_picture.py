"""Image files: headers without decoding, pixels as RGB, and everything that can be wrong with them."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from labelferry_export import picture as picture_module
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.model import Image
from labelferry_export.picture import Picture, open_original, opening, read_header
from labelferry_export.pillow_guard import MAX_PIXELS
from labelferry_protocol.errors import Code

Pixels = NDArray[Any]


def image_at(path: Path, width: int, height: int, **more: Any) -> Image:
    state = path.stat()
    return Image(1, path.name, path, width, height, size=state.st_size, mtime_ns=state.st_mtime_ns, **more)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says any size, and has one chunk of pixels that is too short."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


def open_picture(image: Image, max_pixels: int = MAX_PIXELS) -> Picture:
    """The image decoded, all steps of it done."""
    steps = opening(image, max_pixels)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            picture: Picture = end.value
            return picture


def error_of(act: Callable[[], object]) -> ExportError:
    with pytest.raises(ExportError) as caught:
        act()
    return caught.value


def marked(mode: str = "L", size: tuple[int, int] = (40, 30)) -> Pillow.Image:
    """Black, with white in the stored image's top left corner."""
    picture = Pillow.new(mode, size)
    picture.paste("white", (0, 0, 10, 5))
    return picture


def exif(orientation: int) -> Pillow.Exif:
    tags = Pillow.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.png", "RGBA"),
        ("a.png", "P"),
        ("a.png", "I;16"),
        ("a.png", "1"),
        ("a.jpg", "CMYK"),
        ("a.tif", "F"),
        ("a.bmp", "RGB"),
        ("a.webp", "RGB"),
        ("a.gif", "P"),
    ],
)
def test_the_header_says_size_and_mode(tmp_path: Path, name: str, mode: str) -> None:
    path = tmp_path / name
    Pillow.new(mode, (41, 30)).save(path)
    header = read_header(path, name)
    assert (header.width, header.height, header.mode, header.orientation) == (41, 30, mode, 1)
    assert (header.size, header.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)


def test_a_header_is_read_without_decoding_a_pixel(tmp_path: Path) -> None:
    path = tmp_path / "short.png"
    path.write_bytes(png_header(20_000, 20_000))
    assert read_header(path, path.name).width == 20_000


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the image 'x.png' is empty (0 bytes)"),
        (b"not an image", "the image 'x.png' is not an image that can be read"),
        (b"\x89PNG\r\n\x1a\n\0\0", "the image 'x.png' is"),
        (png_header(30_000, 30_000), "says it has 30000x30000 pixels, over the limit of 500 megapixels"),
        (png_header(0, 5), "the image 'x.png' "),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image that can be read"),
    ],
)
def test_what_is_no_image_is_named_in_one_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    error = error_of(lambda: read_header(path, path.name))
    assert error.code is Code.ITEM
    assert sentence in str(error)


def test_a_missing_file_a_link_and_a_pipe_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(png_header(3, 3))
    (tmp_path / "link.png").symlink_to("real.png")
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("none.png", "link.png", "pipe.png"):
        assert "cannot be opened" in str(error_of(lambda name=name: read_header(tmp_path / name, name)))  # type: ignore[misc]  # bound at once


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_upright_whatever_the_orientation(tmp_path: Path, name: str, orientation: int) -> None:
    path = tmp_path / name
    marked("RGB").save(path, exif=exif(orientation))
    header = read_header(path, name)
    assert (header.stored, header.orientation) == ((40, 30), orientation)
    upright = np.asarray(ImageOps.exif_transpose(Pillow.open(path)).convert("RGB"))
    assert (header.height, header.width) == upright.shape[:2]
    rgb = open_picture(image_at(path, header.width, header.height, orientation=orientation)).rgb
    assert np.array_equal(rgb, upright)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "1"])
def test_a_large_picture_is_made_rgb_band_by_band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Of RGBA every pixel of the upper half is opaque: a band without transparency is no picture without it."""
    dice = np.random.default_rng(3).integers(0, 255, (30, 40, 4), np.uint8)
    dice[:15, :, 3] = 255
    path = tmp_path / "a.tif"
    Pillow.fromarray(dice).convert("RGB" if mode == "CMYK" else "RGBA").convert(mode).save(path)
    whole = open_picture(image_at(path, 40, 30)).rgb
    monkeypatch.setattr(picture_module, "BAND_PIXELS", 40 * 7)
    steps = list(opening(image_at(path, 40, 30)))
    assert len(steps) == 1 + 5
    assert np.array_equal(open_picture(image_at(path, 40, 30)).rgb, whole)
    assert whole.std() > 10


def test_deep_pixels_are_turned_upright_too(tmp_path: Path, ramp: Pixels) -> None:
    path = tmp_path / "deep.png"
    Pillow.fromarray(ramp).save(path, exif=exif(6))
    rgb = open_picture(image_at(path, 30, 40, orientation=6)).rgb
    assert (rgb[0].max(), rgb[39].min()) == (0, 255)


def test_sixteen_bits_are_windowed_and_the_window_is_told(tmp_path: Path, ramp: Pixels) -> None:
    path = tmp_path / "deep.png"
    Pillow.fromarray(ramp).save(path)
    picture = open_picture(image_at(path, 40, 30))
    assert picture.rgb[0, 0].tolist() == [0, 0, 0]
    assert picture.rgb[0, 39].tolist() == [255, 255, 255]
    assert abs(int(picture.rgb[0, 20, 0]) - 131) <= 1
    assert [(warn.code, warn.message) for warn in picture.findings] == [
        (
            Finding.CONTRAST_WINDOW,
            "'deep.png' has more than 8 bits a pixel: its overlay shows the values 1000 to 4000 as black to white",
        )
    ]
    assert picture.findings[0].window == (1000, 4000)


def test_float_pixels_with_nan_are_windowed(tmp_path: Path, ramp: Pixels) -> None:
    values = ramp.astype(np.float32) / 4000
    values[0, :5] = np.nan
    path = tmp_path / "float.tif"
    Pillow.fromarray(values).save(path)
    rgb = open_picture(image_at(path, 40, 30)).rgb
    assert rgb[0, 0, 0] == 0
    assert rgb[1, 39, 0] == 255


def test_a_flat_deep_image_is_no_division_by_zero(tmp_path: Path) -> None:
    path = tmp_path / "flat.png"
    Pillow.fromarray(np.full((30, 40), 777, np.uint16)).save(path)
    assert open_picture(image_at(path, 40, 30)).rgb.max() == 0


def test_palette_alpha_cmyk_and_bilevel_become_the_colours_one_sees(tmp_path: Path) -> None:
    red = Pillow.new("RGB", (4, 4), (200, 10, 20))
    half = Pillow.new("RGBA", (4, 4), (0, 0, 0, 0))
    grey = Pillow.new("LA", (4, 4), (100, 255))
    cases = {
        "p.png": (red.quantize(4), (200, 10, 20)),
        "rgba.png": (half, (255, 255, 255)),
        "la.png": (grey, (100, 100, 100)),
        "cmyk.tif": (red.convert("CMYK"), (200, 10, 20)),
        "one.png": (Pillow.new("1", (4, 4), 1), (255, 255, 255)),
    }
    for name, (picture, colour) in cases.items():
        picture.save(tmp_path / name)
        rgb = open_picture(image_at(tmp_path / name, 4, 4)).rgb
        assert rgb.dtype == np.uint8
        assert np.abs(rgb[0, 0].astype(int) - colour).max() <= 2, name


def test_a_cut_off_image_is_broken_not_half_black(tmp_path: Path) -> None:
    for name in ("cut.jpg", "cut.png"):
        path = tmp_path / name
        noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
        Pillow.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:-2000])
        error = error_of(lambda path=path: open_picture(image_at(path, 80, 60)))  # type: ignore[misc]  # bound at once
        assert f"the image '{name}' is broken or cut off" in str(error)


def save_pages(path: Path) -> None:
    """Three pages of 10, 100 and 200, the last of another size."""
    pages = [Pillow.new("L", (40, 30), 100), Pillow.new("L", (20, 10), 200)]
    Pillow.new("L", (40, 30), 10).save(path, save_all=True, append_images=pages)


def test_of_several_pages_one_is_the_image(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    save_pages(path)
    headers = [read_header(path, path.name, page=page) for page in (1, 2, 3)]
    assert [(each.width, each.height, each.page, each.pages) for each in headers] == [
        (40, 30, 1, 3),
        (40, 30, 2, 3),
        (20, 10, 3, 3),
    ]
    shown = [open_picture(image_at(path, each.width, each.height, page=each.page)).rgb.max() for each in headers]
    assert shown == [10, 100, 200]


def test_a_page_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    save_pages(path)
    error = error_of(lambda: read_header(path, path.name, page=4))
    assert str(error) == "the image 'pages.tif' has 3 pages, and no page 4"


def test_a_file_of_one_page_is_taken_whichever_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "one.tif"
    Pillow.new("L", (40, 30)).save(path)
    assert read_header(path, path.name, page=4).page == 1


def test_a_file_that_changed_since_the_snapshot_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Pillow.new("L", (4, 4)).save(path)
    image = image_at(path, 4, 4)
    with open_original(image) as file:
        assert file.read() == path.read_bytes()
    path.write_bytes(path.read_bytes() + b"x")
    assert "'a.png' was changed during the export" in str(error_of(lambda: open_original(image)))


def test_pillows_own_limit_is_as_it_was_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png_header(15_000, 15_000))
    before = Pillow.MAX_IMAGE_PIXELS
    read_header(path, path.name)
    assert before is not None
    assert before == Pillow.MAX_IMAGE_PIXELS


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["a.png", "a.jpg", "a.tif", "a.gif", "a.bmp", "a.webp"]))
def test_no_mutated_bytes_raise_anything_but_an_export_error(tmp_path: Path, data: st.DataObject, name: str) -> None:
    whole = tmp_path / f"whole-{name}"
    if not whole.exists():
        marked("RGB").save(whole)
    raw = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / name
    path.write_bytes(raw[: data.draw(st.integers(1, len(raw)))])
    sentence = f"{name} is read"
    try:
        header = read_header(path, name, max_pixels=1_000_000)
        open_picture(image_at(path, header.width, header.height), max_pixels=1_000_000)
    except ExportError as error:
        sentence = str(error)
    assert name in sentence
