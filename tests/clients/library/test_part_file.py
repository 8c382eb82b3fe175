"""What lies beside a target while a bundle comes, and what is left of it in each case."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from labelferry import behind
from labelferry.part_file import Note, PartFile, check_target
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.events import BundleFacts

DATA = bytes(range(256)) * 40
DIGEST = hashlib.sha256(DATA).hexdigest()
BUNDLE = BundleFacts(size=len(DATA), sha256=DIGEST)
NOTE = Note(job_id="a" * 32, transfer_id="b" * 32, sha256=DIGEST, size=len(DATA))


def begin(target: Path, *, overwrite: bool = False, note: Note = NOTE) -> PartFile:
    part = PartFile(target, overwrite=overwrite)
    part.prepare(note)
    return part


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_bundle_appears_under_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    part = begin(target)
    part.write(DATA[:5000])
    assert not target.exists()
    part.write(DATA[5000:])
    assert part.is_right(BUNDLE)
    assert part.put_in_place() == target
    assert target.read_bytes() == DATA
    assert names(tmp_path) == ["out.zip"]


def test_a_new_process_goes_on_where_the_last_one_was_cut(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    first = begin(target)
    first.write(DATA[:3333])
    first.close()
    second = begin(target)
    assert second.note == NOTE
    assert second.received == 3333
    second.write(DATA[3333:])
    assert second.is_right(BUNDLE)
    second.put_in_place()
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    "other",
    [
        Note(job_id="c" * 32, transfer_id="b" * 32, sha256=DIGEST, size=len(DATA)),
        Note(job_id="a" * 32, transfer_id="b" * 32, sha256="0" * 64, size=len(DATA)),
        Note(job_id="a" * 32, transfer_id="b" * 32, sha256=DIGEST, size=len(DATA) + 1),
    ],
)
def test_the_beginning_of_another_bundle_is_thrown_away(tmp_path: Path, other: Note) -> None:
    first = begin(tmp_path / "out.zip", note=other)
    first.write(DATA[:3333])
    first.close()
    second = begin(tmp_path / "out.zip")
    assert second.received == 0
    second.discard()


def test_a_note_that_is_no_note_means_beginning_anew(tmp_path: Path) -> None:
    (tmp_path / ".out.zip.part").write_bytes(b"junk")
    (tmp_path / ".out.zip.part.json").write_bytes(b"{")
    part = begin(tmp_path / "out.zip")
    assert part.received == 0
    part.discard()
    assert names(tmp_path) == []


def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    part = begin(tmp_path / "out.zip")
    part.write(DATA[:10])
    assert part.discard()
    assert part.discard()
    assert names(tmp_path) == []


def test_one_that_never_got_a_byte_leaves_nothing(tmp_path: Path) -> None:
    begin(tmp_path / "out.zip").close()
    PartFile(tmp_path / "other.zip", overwrite=False).close()
    assert names(tmp_path) == []


def test_two_downloads_to_one_place_at_once_are_refused(tmp_path: Path) -> None:
    first = begin(tmp_path / "out.zip")
    with pytest.raises(Refusal, match="another download is writing") as caught:
        begin(tmp_path / "out.zip")
    assert caught.value.code is Code.OUTPUT
    first.discard()
    begin(tmp_path / "out.zip").discard()


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    part = begin(target)
    part.write(DATA)
    target.write_text("somebody else's")
    with pytest.raises(Refusal, match="exists already"):
        part.put_in_place()
    assert target.read_text() == "somebody else's"
    part.discard()


def test_a_file_that_may_be_overwritten_is_replaced_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    target.write_text("old")
    part = begin(target, overwrite=True)
    part.write(DATA)
    assert target.read_text() == "old"
    part.put_in_place()
    assert target.read_bytes() == DATA


def test_bytes_that_are_not_the_bundle_are_seen(tmp_path: Path) -> None:
    part = begin(tmp_path / "out.zip")
    part.write(DATA[:-1] + b"?")
    assert not part.is_right(BUNDLE)
    part.restart()
    part.write(DATA)
    assert part.is_right(BUNDLE)
    part.discard()


def test_a_bundle_that_has_no_room_is_refused_before_it_comes(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "out.zip", overwrite=False)
    huge = Note(job_id="a" * 32, transfer_id="b" * 32, sha256=DIGEST, size=2**60)
    with pytest.raises(Refusal, match="free and the bundle needs") as caught:
        part.prepare(huge)
    assert caught.value.code is Code.DISK_FULL
    part.discard()


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    part = begin(tmp_path / "out.zip")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, part._file)
    os.close(full)
    with pytest.raises(Refusal, match="no room is left") as caught:
        part.write(DATA)
    assert caught.value.code is Code.DISK_FULL
    part.discard()
    assert names(tmp_path) == []


def test_a_target_must_be_a_free_name_in_a_directory_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "taken.zip").touch()
    (tmp_path / "link.zip").symlink_to(tmp_path / "nowhere")
    for target, sentence in [
        (tmp_path, "is a directory"),
        (tmp_path / "taken.zip", "exists already"),
        (tmp_path / "link.zip", "exists already"),
        (tmp_path / "none" / "out.zip", "there is no directory"),
        (tmp_path / ("x" * 250), "too long"),
        (tmp_path / ("x" * 300), "too long"),
        (tmp_path / ("x" * 300) / "out.zip", "there is no directory"),
        (tmp_path / "~nobody" / "out.zip", "there is no directory"),
        (Path("~no such person/out.zip"), "there is no directory"),
    ]:
        with pytest.raises(Refusal, match=sentence) as caught:
            check_target(target, overwrite=False)
        assert caught.value.code is Code.OUTPUT
    assert check_target(tmp_path / "taken.zip", overwrite=True) == tmp_path / "taken.zip"


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.zip").symlink_to("/dev/null")
    for target in (tmp_path / "pipe", tmp_path / "link.zip", Path("/dev/null")):
        with pytest.raises(Refusal, match="is no file but a device or a pipe") as caught:
            check_target(target, overwrite=overwrite)
        assert caught.value.code is Code.USAGE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Refusal, match="is not writable"):
        check_target(tmp_path / "out.zip", overwrite=False)
    tmp_path.chmod(0o700)


def test_a_relative_target_becomes_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_target(Path("out.zip"), overwrite=False) == tmp_path / "out.zip"


class Killed(BaseException):
    """What a process is that is killed here."""


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_bundle_whose_process_was_killed_as_it_got_its_name_is_never_written_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    unlink = Path.unlink

    def killed_at_the_part_file(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".part":
            raise Killed
        unlink(path, missing_ok)

    target = tmp_path / "out.zip"
    part = begin(target)
    part.write(DATA)
    monkeypatch.setattr(Path, "unlink", killed_at_the_part_file)
    with pytest.raises(Killed):
        part.put_in_place()
    monkeypatch.undo()
    os.close(part._file)
    assert names(tmp_path) == [".out.zip.part", "out.zip"]
    if not overwrite:
        target.rename(tmp_path / "kept.zip")
    other = begin(
        target, overwrite=overwrite, note=Note(job_id="c" * 32, transfer_id="d" * 32, sha256="0" * 64, size=9)
    )
    other.write(b"something")
    other.put_in_place()
    assert target.read_bytes() == b"something"
    assert names(tmp_path) == (["out.zip"] if overwrite else ["kept.zip", "out.zip"])
    assert overwrite or (tmp_path / "kept.zip").read_bytes() == DATA


def test_the_same_bundle_brought_again_after_such_a_kill_leaves_one_name(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    part = begin(target)
    part.write(DATA)
    part.close()
    os.link(tmp_path / ".out.zip.part", target)
    again = begin(target, overwrite=True)
    again.write(DATA[again.received :])
    again.put_in_place()
    assert target.read_bytes() == DATA
    assert names(tmp_path) == ["out.zip"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_when_a_bundle_gets_its_name_no_note_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    def killed(*_paths: Path) -> None:
        raise Killed

    monkeypatch.setattr(os, "link", killed)
    monkeypatch.setattr(Path, "replace", killed)
    part = begin(tmp_path / "out.zip", overwrite=overwrite)
    part.write(DATA)
    assert names(tmp_path) == [".out.zip.part", ".out.zip.part.json"]
    with pytest.raises(Killed):
        part.put_in_place()
    assert names(tmp_path) == [".out.zip.part"]
    os.close(part._file)


def test_what_comes_in_many_pieces_is_digested_and_brought_to_the_disk_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr(behind, "TOGETHER_BYTES", 1000)
    monkeypatch.setattr(behind, "SYNC_BYTES", 2500)
    target = tmp_path / "out.zip"
    part = begin(target)
    for start in range(0, len(DATA), 700):
        part.write(DATA[start : start + 700])
    assert part.is_right(BUNDLE)
    part.put_in_place()
    assert target.read_bytes() == DATA
    assert 2500 <= synced[0] < len(DATA), "before the end"
    assert len(DATA) in synced


def test_a_disk_that_could_not_keep_what_it_took_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, calls = os.fsync, list[int]()

    def once_broken(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    monkeypatch.setattr(behind, "SYNC_BYTES", 1)
    monkeypatch.setattr(os, "fsync", once_broken)
    part = begin(tmp_path / "out.zip")
    part.write(DATA)
    with pytest.raises(Refusal, match="cannot write") as refused:
        part.put_in_place()
    assert refused.value.code is Code.OUTPUT
    assert part.discard()
    assert names(tmp_path) == []
