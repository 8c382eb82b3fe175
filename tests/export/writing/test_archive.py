"""The zip: right by other readers, the same bytes every time, and cut back without a trace."""

import hashlib
import subprocess
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.bundle import archive as archive_module
from labelferry_export.bundle.archive import Archive
from labelferry_export.bundle.packed import pack, stretch
from labelferry_export.bundle.records import Bounds

Files = list[tuple[str, list[bytes]]]

FILES: Files = [
    ("images/a.png", [b"\x89PNG", b"pixels" * 100]),
    ("labels/größe 🚢.txt", [b"0 0.1\n"] * 50),
    ("empty.json", []),
    ("annotations/x.json", [b"[", b"1," * 1000, b"1]"]),
]


def write(folder: Path, files: Files, bounds: Bounds | None = None) -> Archive:
    folder.mkdir(exist_ok=True)
    archive = Archive(folder / "a.zip", folder / "listing", bounds)
    for name, blocks in files:
        with archive.open(name) as entry:
            for block in blocks:
                entry.write(block)
    for _ in archive.finish():
        pass
    return archive


def content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(params=["in memory", "streamed"])
def any_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "streamed":
        monkeypatch.setattr(archive_module, "WHOLE_BYTES", 100)
    return str(request.param)


def test_python_and_unzip_read_what_was_written(tmp_path: Path, any_way: str) -> None:
    archive = write(tmp_path, FILES)
    assert content(archive.path) == {name: b"".join(blocks) for name, blocks in FILES}
    subprocess.run(["unzip", "-tq", archive.path], check=True, stdout=subprocess.DEVNULL)


def test_a_file_that_was_packed_elsewhere_lies_there_like_any_other(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.zip", tmp_path / "listing")
    for name, blocks in FILES:
        archive.add_packed(pack(name, b"".join(blocks)))
    listed = [(entry.name, entry.size, entry.sha256) for entry in archive.entries()]
    for _ in archive.finish():
        pass
    assert content(archive.path) == {name: b"".join(blocks) for name, blocks in FILES}
    assert [digest for _, _, digest in listed] == [hashlib.sha256(b"".join(blocks)).digest() for _, blocks in FILES]


def test_a_packed_file_needs_a_free_and_safe_name(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.zip", tmp_path / "listing")
    archive.add_packed(pack("a.txt", b"1"))
    for name in ("a.txt", "../b.txt"):
        with pytest.raises(ValueError, match=r"already|no name"):
            archive.add_packed(pack(name, b"2"))
    with archive.open("c.txt"), pytest.raises(ValueError, match="cannot be written while"):
        archive.add_packed(pack("d.txt", b"3"))
    assert [entry.name for entry in archive.entries()] == ["a.txt", "c.txt"]
    archive.suspend()


@given(
    parts=st.lists(st.tuples(st.booleans(), st.binary(max_size=400)), max_size=8),
    name=st.sampled_from(["a.json", "a.png"]),
)
def test_what_is_packed_in_stretches_and_what_is_not_are_read_back_as_one(
    parts: list[tuple[bool, bytes]], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    archive = Archive(folder / "a.zip", folder / "listing")
    with archive.open(name) as entry:
        for packed, data in parts:
            if packed:
                entry.write_stretch(data, stretch(data))
            else:
                entry.write(data)
    for _ in archive.finish():
        pass
    assert content(archive.path) == {name: b"".join(data for _, data in parts)}


def test_the_checksum_and_size_are_those_of_the_file(tmp_path: Path, any_way: str) -> None:
    archive = write(tmp_path, FILES)
    data = archive.path.read_bytes()
    assert (archive.offset, archive.crc) == (len(data), zlib.crc32(data))


def test_the_same_files_give_the_same_bytes_however_they_are_cut_into_blocks(tmp_path: Path, any_way: str) -> None:
    whole: Files = [(name, [b"".join(blocks)]) for name, blocks in FILES]
    single: Files = [(name, [bytes([byte]) for block in blocks for byte in block]) for name, blocks in FILES]
    digests = {
        write(tmp_path / str(turn), files).path.read_bytes() for turn, files in enumerate([FILES, whole, single])
    }
    assert len(digests) == 1


def test_nothing_in_the_zip_says_when_or_by_whom_it_was_made(tmp_path: Path) -> None:
    with zipfile.ZipFile(write(tmp_path, FILES).path) as file:
        for info in file.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert (info.create_system, info.external_attr >> 16) == (3, 0o100644)
            assert bool(info.flag_bits & 0x800) != info.filename.isascii()


@pytest.mark.parametrize("bounds", [Bounds(size=1), Bounds(entries=2), Bounds(size=50, entries=3), Bounds(size=700)])
def test_beyond_the_bounds_of_zip_it_is_zip64(tmp_path: Path, any_way: str, bounds: Bounds) -> None:
    archive = write(tmp_path, FILES, bounds)
    assert content(archive.path) == {name: b"".join(blocks) for name, blocks in FILES}
    subprocess.run(["unzip", "-tq", archive.path], check=True, stdout=subprocess.DEVNULL)
    assert b"PK\x06\x06" in archive.path.read_bytes()


def test_more_than_65535_files_are_no_problem(tmp_path: Path) -> None:
    archive = write(tmp_path, [(f"{number}.txt", [b""]) for number in range(65_540)])
    with zipfile.ZipFile(archive.path) as file:
        assert len(file.namelist()) == 65_540


def test_an_entry_left_by_an_exception_leaves_no_trace(tmp_path: Path, any_way: str) -> None:
    clean = write(tmp_path / "clean", FILES)
    (tmp_path / "torn").mkdir()
    torn = Archive(tmp_path / "torn" / "a.zip", tmp_path / "torn" / "listing")
    for name, blocks in FILES:
        with suppress(KeyError), torn.open(name) as entry:
            entry.write(b"half of it" * 50)
            raise KeyError
        with torn.open(name) as entry:
            for block in blocks:
                entry.write(block)
    list(torn.finish())
    assert torn.path.read_bytes() == clean.path.read_bytes()
    assert torn.path.read_bytes() == clean.path.read_bytes()


@given(keep=st.integers(0, 4), suspended=st.booleans())
def test_it_can_be_cut_back_to_any_mark(tmp_path_factory: pytest.TempPathFactory, keep: int, suspended: bool) -> None:
    folder = tmp_path_factory.mktemp("cut")
    archive = Archive(folder / "a.zip", folder / "listing")
    mark = archive.mark()
    for number, (name, blocks) in enumerate(FILES):
        if number == keep:
            mark = archive.mark()
        archive.add(name, b"".join(blocks))
    if keep == len(FILES):
        mark = archive.mark()
    if suspended:
        archive.suspend()
        archive.resume(mark)
    else:
        archive.cut(mark)
    for name, blocks in FILES[keep:]:
        archive.add(name, b"".join(blocks))
    list(archive.finish())
    assert content(archive.path) == {name: b"".join(blocks) for name, blocks in FILES}
    assert archive.crc == zlib.crc32(archive.path.read_bytes())


def test_half_a_bundle_is_no_zip(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.zip", tmp_path / "listing")
    archive.add("a.txt", b"text")
    archive.suspend()
    assert not zipfile.is_zipfile(archive.path)


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b", "a\\b", "a\0b", "a\nb", "./a", "a/"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive = Archive(tmp_path / "a.zip", tmp_path / "listing")
    with pytest.raises(ValueError, match="no name for a file"):
        archive.add(name, b"")
    archive.abandon()


def test_a_name_is_given_once(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.zip", tmp_path / "listing")
    archive.add("a", b"")
    with pytest.raises(ValueError, match="already"):
        archive.add("a", b"")
    archive.abandon()


def test_two_entries_are_never_open_at_once(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.zip", tmp_path / "listing")
    with archive.open("a"), pytest.raises(ValueError, match="while 'a' is"):
        archive.open("b")
    archive.abandon()
