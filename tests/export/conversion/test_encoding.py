"""Files made of pixels, read back by somebody else: Pillow, and scikit-image's tifffile for TIFF."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

from labelferry_export.conversion.encoding import encoded, holdable
from labelferry_export.conversion.scaling import scaled
from labelferry_export.conversion.tiff import encode_tiff
from labelferry_export.decoding import Pixels

RANDOM = np.random.default_rng(5)


def noise(*shape: int, kind: Any = np.uint8) -> NDArray[Any]:
    if np.issubdtype(kind, np.floating):
        return RANDOM.normal(0, 1e3, shape).astype(kind)
    bounds = np.iinfo(kind)
    return RANDOM.integers(bounds.min, bounds.max, shape, kind, endpoint=True)


def file_of(pixels: Pixels, form: str, quality: int = 90, profile: bytes | None = None) -> bytes:
    return b"".join(encoded(pixels, form, quality, profile))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("shape", [(37, 53), (37, 53, 2), (37, 53, 3), (37, 53, 4), (700, 1100, 3)])
def test_tiff_keeps_every_value(kind: Any, shape: tuple[int, ...]) -> None:
    import tifffile

    values = noise(*shape, kind=kind)
    read = tifffile.imread(io.BytesIO(b"".join(encode_tiff(values))))
    assert read.dtype == kind
    assert np.array_equal(read, values)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_eight_bits_come_back_as_they_were_with_transparency(mode: str, form: str) -> None:
    channels = len(mode)
    picture = Pillow.fromarray(noise(21, 33, channels).squeeze())
    back = Pillow.open(io.BytesIO(file_of(picture, form)))
    assert back.mode == mode
    assert np.array_equal(np.asarray(back), np.asarray(picture))


@pytest.mark.parametrize("form", ["png", "tiff"])
def test_sixteen_bits_stay_sixteen(form: str) -> None:
    values = noise(21, 33, kind=np.uint16)
    kept = holdable(values, form)
    assert kept.window is None
    assert np.array_equal(np.asarray(Pillow.open(io.BytesIO(file_of(kept.pixels, form)))), values)


def test_thirty_two_bits_that_fit_into_sixteen_are_no_loss_in_png() -> None:
    values = noise(9, 9, kind=np.uint16).astype(np.int32)
    pixels = holdable(values, "png").pixels
    assert np.array_equal(np.asarray(Pillow.open(io.BytesIO(file_of(pixels, "png")))), values)


@pytest.mark.parametrize(("form", "kind"), [("png", np.float32), ("jpeg", np.uint16), ("webp", np.uint16)])
def test_what_is_too_deep_is_shown_in_a_window(form: str, kind: Any) -> None:
    values = np.broadcast_to(np.linspace(300, 900, 256), (64, 256)).astype(kind)
    kept = holdable(values, form)
    assert kept.window == pytest.approx((300, 900))
    back = np.asarray(Pillow.open(io.BytesIO(file_of(kept.pixels, form))).convert("L")).astype(int)
    assert np.abs(back[5] - np.arange(256)).max() <= 4


def test_jpeg_lays_transparency_on_white_and_keeps_grey_grey() -> None:
    clear = Pillow.new("LA", (16, 16), (0, 0))
    back = Pillow.open(io.BytesIO(file_of(holdable(clear, "jpeg").pixels, "jpeg")))
    assert (back.mode, back.getextrema()) == ("L", (255, 255))


def test_webp_keeps_transparency() -> None:
    picture = Pillow.new("RGBA", (16, 16), (200, 10, 10, 100))
    back = Pillow.open(io.BytesIO(file_of(picture, "webp")))
    assert back.mode == "RGBA"
    assert back.getpixel((8, 8)) == pytest.approx((200, 10, 10, 100), abs=6)


@pytest.mark.parametrize("form", ["png", "tiff", "jpeg", "webp"])
def test_a_colour_profile_of_the_same_kind_goes_along(form: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = Pillow.fromarray(noise(8, 8, 3))
    assert Pillow.open(io.BytesIO(file_of(colours, form, profile=profile))).info["icc_profile"] == profile
    if form != "webp":
        grey = Pillow.fromarray(noise(8, 8))
        assert "icc_profile" not in Pillow.open(io.BytesIO(file_of(grey, form, profile=profile))).info


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_a_lower_quality_is_a_smaller_file(form: str) -> None:
    picture = Pillow.fromarray(noise(64, 64, 3))
    assert len(file_of(picture, form, 30)) < len(file_of(picture, form, 95)) / 2


KINDS: list[NDArray[Any]] = [
    noise(60, 90, kind=np.uint16),
    noise(60, 90, kind=np.float32),
    noise(60, 90, kind=np.int32),
    noise(60, 90, 3, kind=np.uint16),
    noise(60, 90, 4, kind=np.uint16),
]


@pytest.mark.parametrize("values", KINDS, ids=lambda each: f"{each.dtype}-{each.shape}")
def test_scaled_pixels_are_of_the_same_kind_and_mean(values: NDArray[Any]) -> None:
    smaller = scaled(values, 30, 20)
    assert isinstance(smaller, np.ndarray)
    assert (smaller.dtype, smaller.shape[:2]) == (values.dtype, (20, 30))
    assert smaller.min() >= values.min()
    assert smaller.max() <= values.max()
    if values.ndim == 2:
        assert smaller.mean() == pytest.approx(values.mean(), abs=0.02 * np.ptp(values.astype(float)))


def test_whole_values_are_scaled_as_exact_numbers_are() -> None:
    values = noise(40, 40, kind=np.uint16)
    exact = np.asarray(Pillow.fromarray(values.astype(np.float32)).resize((13, 17), Pillow.Resampling.HAMMING))
    assert np.abs(np.asarray(scaled(values, 13, 17)).astype(float) - exact).max() <= 0.51


def test_what_is_transparent_does_not_bleed_into_what_is_seen() -> None:
    values = np.zeros((40, 40, 4), np.uint16)
    values[:, :20] = (60_000, 0, 0, 65_535)
    values[:, 20:] = (0, 60_000, 0, 0)
    smaller = np.asarray(scaled(values, 10, 10))
    assert smaller[smaller[..., 3] > 600][:, 1].max() == 0
    eight = scaled(Pillow.fromarray((values >> 8).astype(np.uint8)), 10, 10)
    assert np.asarray(eight)[:, :5, 1].max() == 0
