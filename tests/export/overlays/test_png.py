"""PNG files of ours, as Pillow reads them back."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from labelferry_export.overlays.png import STRIP_PIXELS, WHOLE_BYTES, encode_png

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def decoded(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.generic]:
    data = b"".join(encode_png(pixels))
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return np.asarray(picture)


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    at, found = 8, []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        assert crc == zlib.crc32(kind + body)
        found.append((kind, body))
        at += 12 + length
    return found


@given(sizes.flatmap(lambda size: arrays.arrays(np.uint8, (*size, 3))))
def test_an_rgb_image_is_read_back_as_it_was(pixels: NDArray[np.uint8]) -> None:
    assert np.array_equal(decoded(pixels), pixels)


@given(sizes.flatmap(lambda size: arrays.arrays(np.uint8, size)))
def test_a_grey_image_is_read_back_as_it_was(pixels: NDArray[np.uint8]) -> None:
    assert np.array_equal(decoded(pixels), pixels)


@given(sizes.flatmap(lambda size: arrays.arrays(np.uint16, (*size, 1))))
def test_a_grey_image_of_16_bits_is_read_back_as_it_was(pixels: NDArray[np.uint16]) -> None:
    assert np.array_equal(decoded(pixels), pixels[:, :, 0])


@pytest.mark.parametrize("texture", ["ramp across", "ramp down", "plane", "noise"])
def test_every_filter_is_read_back_as_it_was(texture: str) -> None:
    y, x = np.mgrid[:64, :80]
    noise = np.random.default_rng(3).integers(0, 256, (64, 80))
    values = {"ramp across": (x * x) // 9, "ramp down": (y * y) // 9, "plane": 2 * x + 3 * y, "noise": noise}[texture]
    pixels = np.repeat(values[:, :, None] % 256, 3, axis=2).astype(np.uint8)
    assert np.array_equal(decoded(pixels), pixels)


def test_a_large_image_comes_in_strips_and_small_blocks() -> None:
    rows = WHOLE_BYTES // (3 * 700) + 1
    pixels = np.zeros((rows, 700, 3), np.uint8)
    pixels[:500] = np.random.default_rng(1).integers(0, 256, (500, 700, 3), np.uint8)
    blocks = list(encode_png(pixels))
    assert len(blocks) == 1 + -(-rows // (STRIP_PIXELS // 700)) + 2
    assert max(map(len, blocks)) < 8 * STRIP_PIXELS
    with Image.open(io.BytesIO(b"".join(blocks))) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


def test_flat_areas_of_a_mask_take_next_to_nothing() -> None:
    mask = np.zeros((1000, 1000), np.uint8)
    mask[200:700, 300:800] = 7
    assert np.array_equal(decoded(mask), mask)
    assert sum(map(len, encode_png(mask))) < 5_000


def test_a_row_wider_than_a_strip_is_a_strip() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (3, STRIP_PIXELS + 7), np.uint8)
    assert np.array_equal(decoded(pixels), pixels)


def test_a_file_has_no_chunk_that_changes_its_colours_or_tells_a_time() -> None:
    data = b"".join(encode_png(np.zeros((5, 4, 3), np.uint8)))
    assert {kind for kind, _ in chunks(data)} == {b"IHDR", b"IDAT", b"IEND"}


def test_the_same_image_gives_the_same_bytes_whatever_its_layout_in_memory() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (33, 21, 3), np.uint8)
    turned = np.asfortranarray(pixels)
    assert b"".join(encode_png(pixels)) == b"".join(encode_png(turned))


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((0, 3), np.uint8), np.zeros((3, 0, 3), np.uint8), np.zeros((3, 3, 5), np.uint8), np.zeros((3, 3))],
    ids=["no rows", "no columns", "five channels", "floats"],
)
def test_what_is_no_image_is_refused(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="no PNG can be made"):
        next(encode_png(pixels))
