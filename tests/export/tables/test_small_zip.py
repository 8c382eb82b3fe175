"""The zip of a workbook: read back by Python's own, its crcs right though nobody saw all the bytes."""

import io
import zipfile
import zlib

from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.tables.small_zip import Part, SmallZip, joined_crc


@given(st.binary(max_size=500), st.binary(max_size=500))
def test_the_crc_of_joined_bytes_follows_from_those_of_the_parts(first: bytes, second: bytes) -> None:
    assert joined_crc(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


def test_the_crc_of_a_long_stretch_is_right_too() -> None:
    first, second = b"a" * 70_000, bytes(3_000_001)
    assert joined_crc(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@given(st.lists(st.lists(st.binary(max_size=300), max_size=4), max_size=4))
def test_files_of_stretches_are_read_back_whole(files: list[list[bytes]]) -> None:
    made, data = SmallZip(), b""
    for number, stretches in enumerate(files):
        made.begin(f"folder/{number}.xml")
        for each in stretches:
            made.add(Part.of(each))
            data += made.take()
        made.end()
    made.close()
    with zipfile.ZipFile(io.BytesIO(data + made.take())) as read:
        assert read.testzip() is None
        assert [read.read(name) for name in read.namelist()] == [b"".join(each) for each in files]
