"""The self-check: a bundle that is whole passes; one with any byte changed, added or missing does not, and is never published."""

import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelferry_export.bundle.archive import Archive
from labelferry_export.bundle.readers import Lines, Reader
from labelferry_export.bundle.records import Bounds
from labelferry_export.bundle.verify import about, verify
from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter
from labelferry_export.formats._recounts.lines import JsonRecount, YoloRecount
from labelferry_protocol.errors import Code

MakeProject = Callable[..., Path]
MakeExporter = Callable[..., Exporter]
FILES = {"a.txt": b"some text\n" * 40_000, "images/b.png": bytes(range(256)) * 20, "empty.txt": b"", "é.json": b"{}"}


def bundle(folder: Path, bounds: Bounds | None = None) -> tuple[Path, int]:
    archive = Archive(folder / "bundle", folder / "listing", bounds)
    for name, data in FILES.items():
        archive.add(name, data)
    sums = "".join(f"{entry.sha256.hex()}  {entry.name}\n" for entry in archive.entries())
    archive.add("SHA256SUMS", sums.encode())
    for _ in archive.finish():
        pass
    return archive.path, archive.crc


@pytest.mark.parametrize("bounds", [None, Bounds(size=1), Bounds(entries=2), Bounds(size=700)])
def test_a_whole_bundle_passes_with_every_byte_read(tmp_path: Path, bounds: Bounds | None) -> None:
    path, crc = bundle(tmp_path, bounds)
    assert sum(verify(path, crc)) <= path.stat().st_size
    with pytest.raises(ValueError, match="checksum of the bundle"):
        list(verify(path, crc ^ 1))


def test_an_entry_that_was_streamed_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labelferry_export.bundle.archive.WHOLE_BYTES", 100)
    list(verify(*bundle(tmp_path)))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_byte_that_is_changed_is_noticed(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path, crc = bundle(tmp_path_factory.mktemp("bundle"))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises((ValueError, OSError, zlib.error, struct.error)):
        list(verify(path, crc))


def test_checksums_that_do_not_agree_are_noticed_even_where_the_zip_is_whole(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "bundle", tmp_path / "listing")
    archive.add("a.txt", b"a")
    archive.add("SHA256SUMS", f"{hashlib.sha256(b'b').hexdigest()}  a.txt\n".encode())
    list(archive.finish())
    assert zipfile.ZipFile(archive.path).testzip() is None
    with pytest.raises(ValueError, match="SHA256SUMS does not agree"):
        list(verify(archive.path, archive.crc))


def test_a_bundle_that_is_damaged_on_disk_is_not_published(
    make_project: MakeProject, make_exporter: MakeExporter
) -> None:
    exporter = make_exporter(make_project(2, side=400), formats=("coco",))
    running = exporter.run()
    next(update for update in running if "SHA256SUMS" in update.message)
    (path,) = exporter._staging.glob("bundle.part")
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    with pytest.raises(ExportError, match=r"self-check and is not published: images/image_001\.png") as caught:
        list(running)
    assert caught.value.code is Code.INTERNAL
    assert not exporter._target.exists()


def test_a_format_that_loses_an_object_is_caught(
    make_project: MakeProject, make_exporter: MakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labelferry_export.formats import coco

    whole = coco.annotations_of
    monkeypatch.setattr(coco, "annotations_of", lambda image, batch, *options: whole(image, batch[1:], *options))
    exporter = make_exporter(make_project(2), formats=("coco", "json"))
    with pytest.raises(ExportError, match="coco holds 2 images and 4 objects, not 2 and 6") as caught:
        list(exporter.run())
    assert caught.value.code is Code.INTERNAL
    assert not exporter._target.exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("it is wrong"), "a.txt: it is wrong"),
        (KeyError("width"), "a.txt: it lacks 'width'"),
        (
            IndexError("tuple index out of range"),
            "a.txt: it cannot be read again: IndexError: tuple index out of range",
        ),
        (zlib.error("Error -3"), "a.txt: it cannot be read again: error: Error -3"),
    ],
)
def test_whatever_a_reader_stumbles_over_is_said_of_its_file(error: Exception, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)), about("a.txt"):
        raise error


def test_a_disk_that_fails_is_no_fault_of_a_file() -> None:
    with pytest.raises(OSError, match="Input/output error"), about("a.txt"):
        raise OSError(5, "Input/output error")


def test_rows_that_yolo_does_not_read_are_caught() -> None:
    recount = YoloRecount("labels/", None, classes=2)
    for right in (
        b"0 0.1 0.2 0.3 0.4 0.5 0.6",
        b"1 1.000000 0.000000 0.500000 0.400000 0.300000 0.200000",
        b"1 0 0 1 0 1 1",
    ):
        recount.add(right)
    for wrong in (
        b"",
        b"2 0.1 0.2 0.3 0.4 0.5 0.6",
        b"0 0.1 0.2 0.3 0.4 0.5",
        b"0 0.1 0.2 0.3 0.4",
        b"0 0.1 0.2 0.3 0.4 0.5 1.1",
        b"0 2.1 0.2 0.3 0.4 0.5 0.1",
        b"0 0.1 0.2 0.3 0.4 0.5 -0.1",
        b"0 0.1 0.2 0.3 0.4 0.5 nan",
        b"x 0.1 0.2 0.3 0.4 0.5 0.6",
    ):
        with pytest.raises(ValueError, match=r"."):
            recount.add(wrong)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=9))
def test_shares_of_any_spelling_are_read(values: list[float]) -> None:
    recount = YoloRecount("labels/", None, classes=1)
    for decimals in (1, 6):
        recount.add(b"0 " + " ".join(f"{value:.{decimals}f}" for value in values + values).encode())
    with pytest.raises(ValueError, match="none that YOLO reads"):
        recount.add(b"0 " + " ".join(f"{value:.6f}" for value in [*values, *values[1:], 1.5]).encode())


ROW = st.sampled_from(
    [
        *(
            b"0 0.1 0.2 0.3 0.4",
            b"1 1.0 0.0000000 0.2 0.3",
            b"1 0 0 1 1",
            b"2 0.1 0.2 0.3 0.4",
            b"01 0.1 0.2 0.3 0.4",
            b"",
        ),
        *(
            b"0 0.1 0.2 0.3",
            b"0 0.1 0.2 0.3 1.1",
            b"0 0.1 0.2 0.3 0.4 0.5",
            b"0 0.1 0.2 0.3 0.4 ",
            b"x 0.1 0.2 0.3 0.4",
        ),
    ]
)


@given(st.lists(ROW, max_size=5), st.integers(1, 9), st.booleans())
def test_rows_that_are_looked_at_together_are_judged_one_by_one(rows: list[bytes], cut: int, ended: bool) -> None:
    text = b"\n".join(rows) + b"\n" * (ended and bool(rows))

    def judged(reader: Reader) -> bool:
        try:
            for start in range(0, len(text), cut):
                reader.take(text[start : start + cut])
            reader.close()
        except ValueError:
            return False
        return True

    together, alone = YoloRecount("labels/", 4, classes=2), YoloRecount("labels/", 4, classes=2)
    reader = together.open("labels/a.txt")
    assert reader is not None
    assert judged(reader) == judged(Lines(alone))
    if judged(Lines(YoloRecount("labels/", 4, classes=2))):
        assert (together.images, together.objects) == (alone.images, alone.objects)


def test_a_json_that_ends_early_or_names_no_class_is_caught() -> None:
    recount = JsonRecount("annotations/json/", "instances", classes=1)
    recount.add(b'"images":[')
    recount.add(b'{"id":1,"width":3,"height":4}],')
    with pytest.raises(ValueError, match="ends before"):
        recount.close()
    recount.add(b'"instances":[')
    parts = b'"parts":[{"outer":[1,1,2,1,2,2],"holes":[]}]'
    recount.add(b'{"id":1,"image_id":1,"category_id":1,%b},' % parts)
    with pytest.raises(ValueError, match="class 2"):
        recount.add(b'{"id":1,"image_id":1,"category_id":2,%b}]}' % parts)
    with pytest.raises(ValueError, match="cannot be read"):
        recount.add(b'{"id":1,"image_id":')
    for wrong in (b'"parts":[]', b'"parts":[{"outer":[1,1,2,1]}]', b'"parts":[{"outer":[1,1,2,1,2,2,3]}]'):
        with pytest.raises(ValueError, match="object 7: a ring"):
            recount.add(b'{"id":7,"image_id":1,"category_id":1,%b}]}' % wrong)
