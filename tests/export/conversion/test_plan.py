"""What becomes of a file by the options, before a pixel is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.conversion.plan import Conversion, conversion_of, fitted, renamed
from labelferry_export.errors import ExportError
from labelferry_export.options_check import check_options
from labelferry_export.picture import Header
from labelferry_protocol.options import ExportOptions

SIDES = st.integers(1, 60_000)


def header(form: str = "PNG", mode: str = "RGB", **more: int | bool) -> Header:
    values = {"width": 400, "height": 300, "orientation": 1, "size": 9, "mtime_ns": 9, "pages": 1, **more}
    return Header(mode=mode, format=form, **values)  # type: ignore[arg-type]  # of the fields' own types


def written(of: Header, **options: object) -> str:
    return conversion_of(of, ExportOptions(**options)).written  # type: ignore[arg-type]  # of the fields' own types


@given(width=SIDES, height=SIDES, side=SIDES)
def test_a_size_is_fitted_and_never_grows(width: int, height: int, side: int) -> None:
    new = fitted(width, height, side)
    if max(width, height) <= side:
        assert new == (width, height)
        return
    assert max(new) == side
    assert min(new) >= 1
    factor = side / max(width, height)
    assert abs(new[0] - width * factor) <= 0.5 + 1e-9 or new[0] == 1
    assert abs(new[1] - height * factor) <= 0.5 + 1e-9 or new[1] == 1


def test_originals_stay_what_they_are() -> None:
    for form in ("PNG", "JPEG", "GIF", "BMP"):
        assert written(header(form, orientation=6, pages=3)) == ""
        assert written(header(form), max_side=400) == ""


@pytest.mark.parametrize(
    ("form", "own"), [("PNG", "png"), ("JPEG", "jpeg"), ("MPO", "jpeg"), ("TIFF", "tiff"), ("WEBP", "webp")]
)
def test_an_original_that_is_too_large_keeps_its_format(form: str, own: str) -> None:
    assert written(header(form), max_side=399) == own


@pytest.mark.parametrize("form", ["GIF", "BMP", "JPEG2000", "PPM"])
def test_an_original_that_cannot_be_written_becomes_png(form: str) -> None:
    assert written(header(form), max_side=200) == "png"


def test_a_file_that_is_as_wanted_already_is_copied() -> None:
    assert written(header("JPEG"), image_format="jpeg") == ""
    assert written(header("JPEG", orientation=3), image_format="jpeg") == "jpeg"
    assert written(header("TIFF", pages=2), image_format="tiff") == "tiff"
    assert written(header("JPEG"), image_format="jpeg", image_quality=60) == "jpeg"
    assert written(header("PNG"), image_format="jpeg") == "jpeg"


@pytest.mark.parametrize(
    ("mode", "form", "becomes"),
    [
        ("I;16", "png", "I;16"),
        ("I;16B", "tiff", "I;16"),
        ("I;16", "jpeg", "L"),
        ("I;16", "webp", "RGB"),
        ("F", "png", "L"),
        ("1", "png", "L"),
        ("P", "png", "RGB"),
        ("CMYK", "tiff", "RGB"),
        ("LAB", "png", "RGB"),
        ("LA", "png", "LA"),
        ("LA", "jpeg", "L"),
        ("RGBA", "webp", "RGBA"),
        ("RGBA", "jpeg", "RGB"),
    ],
)
def test_the_kind_of_pixels_is_foretold(mode: str, form: str, becomes: str) -> None:
    of = header("BMP", mode)
    assert conversion_of(of, ExportOptions(image_format=form)).mode == becomes


@pytest.mark.parametrize(
    ("name", "form", "becomes"),
    [
        ("cell.tif", "png", "cell.png"),
        ("cell.JPEG", "jpeg", "cell.JPEG"),
        ("cell.TIFF", "tiff", "cell.TIFF"),
        ("a.b.bmp", "jpeg", "a.b.jpg"),
        ("bare", "webp", "bare.webp"),
    ],
)
def test_a_name_gets_the_suffix_of_what_is_written_and_keeps_its_stem(name: str, form: str, becomes: str) -> None:
    assert renamed(name, Conversion(form, form, 1, 1, "L")) == becomes


@pytest.mark.parametrize(
    "options",
    [
        ExportOptions(image_quality=50),
        ExportOptions(image_quality=50, image_format="png"),
        ExportOptions(image_quality=50, image_format="tiff", max_side=9),
    ],
)
def test_a_quality_of_nothing_is_wrong_usage(options: ExportOptions) -> None:
    with pytest.raises(ExportError, match="--image-quality"):
        check_options(options)


def test_a_side_that_a_format_cannot_hold_is_told() -> None:
    wide = header("PNG", width=20_000)
    assert conversion_of(wide, ExportOptions(image_format="webp")).too_long == 16_383
    assert conversion_of(wide, ExportOptions(image_format="jpeg")).too_long is None
    assert conversion_of(wide, ExportOptions(image_format="webp", max_side=16_000)).too_long is None
