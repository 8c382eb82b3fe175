"""Who does tasks on images: what is kept of them, and when a result is found again."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np
import pytest
from PIL import Image as Pillow

from labelferry_export.exporter import Exporter
from labelferry_export.keeping.settings import MakerSettings, StoreSettings
from labelferry_export.lanes import Maker, Piece, Task
from labelferry_export.model import Image, Instance
from labelferry_export.snapshot import Snapshot

MakeProject = Callable[..., Path]
DONE: list[str] = []
"""The names of the images that a task was done on, in order."""


class Foreign(msgspec.Struct, frozen=True):
    """Somebody else's task: nobody knows when its results change."""

    word: str = "word"

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        DONE.append(image.name)
        yield Piece()
        yield Piece(self.word.encode(), len(instances))
        yield Piece(image.name.encode(), last=True)


class Revised(Foreign, frozen=True):
    revision: ClassVar[int] = 1


class Blind(Revised, frozen=True):
    pixels: ClassVar[bool] = False


class Clumsy(Revised, frozen=True):
    """Paints over the image that it is done on, and puts the file's date back."""

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        yield from super().__call__(image, instances)
        before = image.path.stat()
        data = bytearray(image.path.read_bytes())
        data[-20] ^= 1
        image.path.write_bytes(data)
        os.utime(image.path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def snapshot(make_project: MakeProject, make_exporter: Callable[..., Exporter]) -> Iterator[Snapshot]:
    """The snapshot of twelve images."""
    exporter = make_exporter(make_project(12), lanes=1, visualizations=False, formats=(), metrics=())
    for _ in exporter.run():
        pass
    made = Snapshot(exporter.result.path.parent / "snapshot.part")
    yield made
    made.close()


@pytest.fixture
def done(tmp_path: Path, snapshot: Snapshot) -> Callable[..., list[str]]:
    """Do a task on every image, by a maker of its own; return the images that it was really done on. Each look at the clock is a second."""

    def do(
        task: Task, *, least: float = 0.0, mark: bytes = b"this engine", kept: bool = True, cache: bool = True
    ) -> list[str]:
        folder = os.fsencode(tmp_path / ("cache" if cache else "checkpoints"))
        stores = (StoreSettings(folder, 10**9, evicts=cache, spare=0),) if kept else ()
        ticks = count()
        maker = Maker(MakerSettings(stores, mark, least), lambda: float(next(ticks)), lambda: 0.0)
        DONE.clear()
        told = [[(p.data, p.objects, p.last) for p in maker.pieces(task, snapshot, each)] for each in snapshot.images()]
        maker.close()
        for image, pieces in zip(snapshot.images(), told, strict=True):
            assert [piece for piece in pieces if piece != (b"", 0, False)] == [
                (b"word", 3, False),
                (image.name.encode(), 0, True),
            ]
        return list(DONE)

    return do


def test_a_task_with_a_revision_is_done_once(done: Callable[..., list[str]]) -> None:
    assert len(done(Revised())) == 12
    assert done(Revised()) == []
    assert len(done(Revised(), kept=False)) == 12


def test_a_task_of_which_nobody_knows_when_it_changes_is_done_each_time(done: Callable[..., list[str]]) -> None:
    assert len(done(Foreign())) == len(done(Foreign())) == 12


def test_another_revision_other_settings_and_another_engine_find_nothing(
    done: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    done(Revised())
    assert len(done(Revised(), mark=b"another engine")) == 12
    monkeypatch.setattr(Revised, "revision", 2)
    assert len(done(Revised())) == 12


def test_the_pixels_count_for_who_looks_at_them_and_for_nobody_else(
    done: Callable[..., list[str]], snapshot: Snapshot
) -> None:
    done(Revised())
    done(Blind())
    image = list(snapshot.images())[4]
    before = image.path.stat()
    pixels = np.asarray(Pillow.open(image.path))
    Pillow.fromarray(pixels[::-1]).save(image.path)
    with image.path.open("r+b") as file:  # the same size and date, so that the snapshot takes it for the same file
        file.truncate(before.st_size)
    os.utime(image.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert done(Revised()) == [image.name]
    assert done(Blind()) == []


def test_checkpoints_know_an_image_by_the_state_of_its_file(done: Callable[..., list[str]], snapshot: Snapshot) -> None:
    done(Revised(), cache=False)
    done(Blind(), cache=False)
    assert done(Revised(), cache=False) == []
    image = list(snapshot.images())[4]
    before = image.path.stat()
    beside = image.path.with_name("beside")
    beside.write_bytes(image.path.read_bytes())
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.replace(image.path)  # another file with the same bytes and date: nobody has looked whether it is the same
    assert done(Revised(), cache=False) == [image.name]
    assert done(Blind(), cache=False) == []


@pytest.mark.parametrize("cache", [True, False])
def test_a_result_of_an_image_that_was_changed_meanwhile_is_not_kept(
    done: Callable[..., list[str]], cache: bool
) -> None:
    done(Clumsy(), cache=cache)
    assert len(done(Clumsy(), cache=cache)) == 12


def test_what_the_cache_has_is_found_beside_checkpoints_that_have_nothing(
    tmp_path: Path, snapshot: Snapshot, done: Callable[..., list[str]]
) -> None:
    done(Revised())
    stores = tuple(
        StoreSettings(os.fsencode(tmp_path / name), 10**9, evicts=name == "cache", spare=0)
        for name in ("checkpoints", "cache")
    )
    maker = Maker(MakerSettings(stores, b"this engine"), lambda: 0.0, lambda: 0.0)
    DONE.clear()
    for image in snapshot.images():
        assert [piece.found for piece in maker.pieces(Revised(), snapshot, image)] == [True, True]
    maker.close()
    assert DONE == []


def test_results_that_cost_too_little_are_not_kept_nor_looked_for(done: Callable[..., list[str]]) -> None:
    assert len(done(Revised(), least=100.0)) == len(done(Revised(), least=100.0)) == 12
    assert len(done(Revised(), least=4.0)) == 12, "nothing was kept: four ticks are what it takes"
    assert done(Revised(), least=4.0) == []
