"""The store: found as it was kept or not at all, bounded, shared, and never the reason that something fails."""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

import pytest

from labelferry_export.keeping.draft import HELD_BYTES, Draft
from labelferry_export.keeping.entry import Place
from labelferry_export.keeping.settings import StoreSettings
from labelferry_export.keeping.store import TOGETHER, TOGETHER_SECONDS, Store

Open = Callable[..., Store]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open the one store once more, as another process would; each look at the clock is a second."""
    ticks, stores = count(), list[Store]()

    def make(limit: int = 1 << 30, *, evicts: bool = False, free: int = 1 << 40) -> Store:
        settings = StoreSettings(os.fsencode(tmp_path / "store"), limit, evicts, spare=1000)
        stores.append(Store(settings, lambda: float(next(ticks)), lambda folder: free))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def keep(store: Store, name: str, *blocks: bytes) -> None:
    with store.draft(name.encode(), "kind") as draft:
        for block in blocks:
            draft.add(block)
        draft.keep()


def found(store: Store, name: str) -> list[bytes] | None:
    entry = store.find(name.encode())
    if entry is None:
        return None
    with closing(entry):
        return list(entry.blocks())


def volumes(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "store").glob("*.volume"))


def test_what_one_process_keeps_another_finds_block_by_block(opened: Open) -> None:
    first, second = opened(), opened()
    keep(first, "a", b"one", b"", b"three")
    keep(first, "b")
    assert found(second, "a") == [b"one", b"", b"three"]
    assert found(second, "b") == []
    assert found(second, "c") is None
    assert second.counts() == {"kind": 2}


def test_a_large_entry_is_written_as_it_comes(opened: Open, tmp_path: Path) -> None:
    blocks = [bytes([number]) * (HELD_BYTES // 2) for number in range(5)]
    with opened().draft(b"large", "kind") as draft:
        for block in blocks:
            draft.add(block)
        assert volumes(tmp_path)[0].stat().st_size >= 2 * HELD_BYTES
        assert found(opened(), "large") is None, "what is not whole is not found"
        draft.keep()
    assert found(opened(), "large") == blocks


def test_what_is_not_kept_leaves_no_trace(opened: Open, tmp_path: Path) -> None:
    store = opened()
    keep(store, "a", b"kept")
    before = volumes(tmp_path)[0].read_bytes()
    with store.draft(b"b", "kind") as draft:
        draft.add(b"x" * 2 * HELD_BYTES)
    with suppress(ValueError), store.draft(b"c", "kind") as draft:
        draft.add(b"x" * 2 * HELD_BYTES)
        raise ValueError("broken")
    assert volumes(tmp_path)[0].read_bytes() == before
    keep(store, "d", b"after")
    assert (found(store, "a"), found(store, "b"), found(store, "d")) == ([b"kept"], None, [b"after"])


@pytest.mark.parametrize("at", [0, 3, 6])
def test_a_damaged_entry_is_thrown_away_and_kept_anew(opened: Open, tmp_path: Path, at: int) -> None:
    store = opened()
    keep(store, "a", b"abc")
    keep(store, "b", b"def")
    (volume,) = volumes(tmp_path)
    data = bytearray(volume.read_bytes())
    data[at] ^= 1
    volume.write_bytes(data)
    assert (found(store, "a"), found(store, "b")) == (None, [b"def"])
    assert store.counts() == {"kind": 1}
    keep(opened(), "a", b"abc")
    assert found(store, "a") == [b"abc"]


@pytest.mark.parametrize("size", [0, 4])
def test_a_volume_cut_short_or_gone_is_no_entry(opened: Open, tmp_path: Path, size: int) -> None:
    keep(opened(), "a", b"abc")
    os.truncate(volumes(tmp_path)[0], size)
    assert found(opened(), "a") is None
    keep(opened(), "a", b"abc")
    for volume in volumes(tmp_path):
        volume.unlink()
    assert found(opened(), "a") is None


def test_an_index_that_is_none_any_more_is_begun_anew_with_its_volumes(opened: Open, tmp_path: Path) -> None:
    store = opened()
    keep(store, "a", b"abc")
    store.close()
    (tmp_path / "store" / "index.sqlite").write_bytes(b"no database" * 1000)
    assert found(opened(), "a") is None
    assert volumes(tmp_path) == []
    keep(opened(), "a", b"abc")
    assert found(opened(), "a") == [b"abc"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entry SET start = NULL",
        "UPDATE entry SET start = 1.5",
        "UPDATE entry SET start = -1",
        "UPDATE entry SET length = 'long'",
        "UPDATE entry SET length = length + 1",
        "UPDATE entry SET digest = NULL",
        "UPDATE entry SET kind = NULL",
        "UPDATE volume SET name = NULL",
        "UPDATE volume SET name = 'a' || char(0)",
        "UPDATE volume SET name = '../elsewhere.volume'",
        "UPDATE volume SET bytes = 9e999",
    ],
)
@pytest.mark.parametrize("evicts", [False, True])
def test_rows_of_a_damaged_index_are_no_entries_and_what_they_were_is_kept_anew(
    opened: Open, tmp_path: Path, damage: str, *, evicts: bool
) -> None:
    (tmp_path / "elsewhere.volume").write_bytes(b"mine")
    store = opened(1000, evicts=evicts)
    keep(store, "a", b"one")
    store.close()
    with closing(sqlite3.connect(tmp_path / "store" / "index.sqlite")) as index:
        index.execute(damage)
        index.commit()
    later = opened(1000, evicts=evicts)
    assert later.counts() in ({}, {"kind": 1})
    if found(later, "a") is None:
        keep(later, "a", b"one")
    for number in range(20 if evicts else 0):
        keep(later, str(number), bytes(100))
    keep(later, "b", b"two")
    later.close()
    again = opened(1000, evicts=evicts)
    assert found(again, "b") == [b"two"]
    assert evicts or found(again, "a") == [b"one"]
    assert (tmp_path / "elsewhere.volume").read_bytes() == b"mine"


def test_an_entry_under_another_key_is_damaged(opened: Open, tmp_path: Path) -> None:
    import sqlite3

    keep(opened(), "a", b"abc")
    with closing(sqlite3.connect(tmp_path / "store" / "index.sqlite")) as index:
        index.execute("UPDATE entry SET key = ?", (b"b",))
        index.commit()
    assert found(opened(), "b") is None


def test_a_full_store_that_makes_no_room_takes_nothing_more(opened: Open) -> None:
    store = opened(limit=1000)
    for name in "abcde":
        keep(store, name, name.encode() * 296)
    assert [name for name in "abcde" if found(store, name)] == ["a", "b", "c"]
    keep(opened(limit=1000), "f", b"x" * 20)
    assert found(store, "f") == [b"x" * 20], "what is small has room still"


def test_room_is_made_by_what_was_used_least_recently(opened: Open, tmp_path: Path) -> None:
    for name in "abc":
        keep(opened(limit=1000, evicts=True), name, name.encode() * 296)
    assert found(opened(limit=1000, evicts=True), "a"), "used just now"
    keep(opened(limit=1000, evicts=True), "d", b"d" * 296)
    assert [name for name in "abcd" if found(opened(evicts=True), name)] == ["a", "c", "d"]
    assert sum(volume.stat().st_size for volume in volumes(tmp_path)) <= 1000


def test_one_process_alone_makes_room_too(opened: Open, tmp_path: Path) -> None:
    store = opened(limit=16_000, evicts=True)
    for number in range(100):
        keep(store, f"{number}", b"x" * 496)
    left = [number for number in range(100) if found(store, f"{number}")]
    assert left == list(range(left[0], 100))
    assert 28 <= len(left) <= 32
    assert sum(volume.stat().st_size for volume in volumes(tmp_path)) <= 16_000


def test_who_writes_a_volume_that_was_thrown_out_goes_on_in_another(opened: Open, tmp_path: Path) -> None:
    slow, fast = opened(limit=20_000, evicts=True), opened(limit=20_000, evicts=True)
    keep(slow, "a", b"a" * 496)
    for number in range(100):
        keep(fast, f"{number}", b"x" * 496)
    assert found(slow, "a") is None
    for _ in range(2):
        keep(slow, "a", b"a" * 496)
    assert found(fast, "a") == [b"a" * 496]
    assert sum(volume.stat().st_size for volume in volumes(tmp_path)) <= 20_000


def test_an_entry_that_fills_half_the_store_is_not_kept(opened: Open, tmp_path: Path) -> None:
    store = opened(limit=4 * HELD_BYTES, evicts=True)
    keep(store, "small", b"small")
    keep(store, "large", *[b"x" * HELD_BYTES] * 3)
    assert (found(store, "small"), found(store, "large")) == ([b"small"], None)
    assert volumes(tmp_path)[0].stat().st_size < 100


def test_what_checkpoints_take_in_within_a_moment_can_be_found_together_and_at_the_latest_at_their_end(
    opened: Open, tmp_path: Path
) -> None:
    now = [1000.0]
    settings = StoreSettings(os.fsencode(tmp_path / "store"), 1 << 30, evicts=False, spare=0)
    store = Store(settings, lambda: now[0])
    for name in "abc":
        keep(store, name, name.encode())
    assert [name for name in "abcd" if found(opened(), name)] == ["a"]
    now[0] += 2 * TOGETHER_SECONDS
    keep(store, "d", b"d")
    assert [name for name in "abcd" if found(opened(), name)] == ["a", "b", "c", "d"]
    for number in range(2 * TOGETHER - 1):
        keep(store, f"{number}", b"x")
    assert opened().counts() == {"kind": 4 + TOGETHER}
    store.close()
    assert opened().counts() == {"kind": 3 + 2 * TOGETHER}


def test_a_disk_that_is_nearly_full_is_left_alone(opened: Open, tmp_path: Path) -> None:
    keep(opened(), "a", b"abc")
    tight = opened(free=1001)
    keep(tight, "b", b"def")
    assert (found(tight, "a"), found(tight, "b")) == ([b"abc"], None)


class FullDisk:
    """A store whose disk is full after the first so many bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.given_up = False

    def volume(self, size: int) -> BinaryIO | None:
        if size > 2 * HELD_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file

    def add(self, key: bytes, kind: str, place: Place) -> bool:
        raise AssertionError("it was not whole")

    def give_up(self) -> None:
        self.given_up = True


def test_a_disk_that_becomes_full_under_an_entry_ends_the_keeping_and_nothing_else(tmp_path: Path) -> None:
    with (tmp_path / "volume").open("wb", buffering=0) as file:
        desk = FullDisk(file)
        with Draft(desk, b"key", "kind") as draft:
            for _ in range(4):
                draft.add(b"x" * HELD_BYTES)
            draft.keep()
        assert desk.given_up
        assert (tmp_path / "volume").stat().st_size == 0


def test_a_place_that_cannot_be_used_is_a_store_that_is_off(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(StoreSettings(os.fsencode(tmp_path / "file" / "store"), 1000, evicts=True), lambda: 0.0)
    assert not store.on
    keep(store, "a", b"abc")
    assert found(store, "a") is None
    assert store.counts() == {}
    store.close()


def test_many_at_once_keep_and_find_the_same_things(opened: Open) -> None:
    """Each thread is as good as a process: it has its own connection and its own volume."""
    wrong: list[str] = []
    limits = {"limit": 100_000, "evicts": True}
    opened(**limits)

    def work() -> None:
        store = Store(StoreSettings(folder, 100_000, evicts=True, spare=0), lambda: 0.0)
        for number in range(300):
            name = f"{number % 40}"
            got = found(store, name)
            if got is None:
                keep(store, name, name.encode() * 2000)
            elif got != [name.encode() * 2000]:
                wrong.append(name)
        store.close()

    folder = opened(**limits)._settings.folder
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    store = opened(**limits)
    assert 0 < store.counts()["kind"] <= 40
    assert store._index is not None
    assert store._index.bytes <= 110_000
