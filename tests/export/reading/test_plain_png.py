"""Headers of plain PNGs read from their first bytes: the same as Pillow's, for every file, or none at all."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from labelferry_export.errors import ExportError
from labelferry_export.picture import Header, read_header
from labelferry_export.plain_png import HEAD_BYTES, plain_png

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes, *, right: bool = True) -> bytes:
    crc = zlib.crc32(kind + data) ^ (not right)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def first_of(width: int, height: int, *rest: int) -> bytes:
    return struct.pack(">IIBBBBB", width, height, *rest)


SIDE = st.sampled_from([0, 1, 7, 300, 2**16, 2**31, 2**32 - 1])
FIRST = st.builds(
    first_of,
    *(SIDE, SIDE, st.sampled_from([8, 8, 8, 1, 16, 3]), st.sampled_from([0, 2, 4, 6, 3, 5])),
    *(st.sampled_from([0, 0, 0, 1]), st.sampled_from([0, 0, 0, 1]), st.sampled_from([0, 1, 2])),
)
OTHERS = st.one_of(
    st.tuples(st.sampled_from([b"gAMA", b"pHYs", b"sRGB", b"cHRM"]), st.sampled_from([1, 4, 9, 32]).map(bytes)),
    st.tuples(st.just(b"gAMA"), st.just(bytes([0, 0, 177, 143]))),
    st.tuples(st.just(b"pHYs"), st.just(bytes([0, 0, 1, 0, 0, 0, 1, 0, 1]))),
    st.tuples(
        st.sampled_from([b"tEXt", b"tRNS", b"acTL", b"eXIf", b"PLTE", b"IHDR", b"tIME", b"iCCP"]), st.binary(max_size=9)
    ),
    st.tuples(st.just(b"tEXt"), st.just(b"exif\0Exif\0\0")),
)
RIGHT = st.sampled_from([True, True, True, True, False])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    made = chunk(b"IHDR", draw(FIRST), right=draw(RIGHT))
    for kind, data in draw(st.lists(OTHERS, max_size=3)):
        made += chunk(kind, data, right=draw(RIGHT))
    made += chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")
    whole = SIGNATURE + made
    return whole[: draw(st.sampled_from([len(whole)] * 3) | st.integers(0, len(whole)))]


def said(path: Path) -> Header | str:
    try:
        return read_header(path, path.name)
    except ExportError as error:
        return str(error)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files())
def test_what_is_said_of_a_file_is_what_pillow_says(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    quickly = said(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labelferry_export.picture.plain_png", lambda _: None)
        assert said(path) == quickly


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_what_pillow_writes_is_plain(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Pillow.new(mode, (41, 30)).save(path, dpi=(300, 300))
    assert plain_png(path.read_bytes()[:HEAD_BYTES]) == (41, 30, mode)


@pytest.mark.parametrize(
    ("mode", "more"),
    [("P", {}), ("1", {}), ("I;16", {}), ("RGB", {"transparency": (1, 2, 3)}), ("L", {"exif": b"Exif\0\0"})],
)
def test_what_is_not_plain_is_for_pillow(tmp_path: Path, mode: str, more: dict[str, Any]) -> None:
    path = tmp_path / "a.png"
    Pillow.new(mode, (41, 30)).save(path, **more)
    assert plain_png(path.read_bytes()[:HEAD_BYTES]) is None
