"""Instance masks: numbers of every depth, a mask an object, pixels traced exactly, pictures that are no masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.reading.conftest import Failure, Reader

LABELS = np.zeros((30, 40), np.uint16)
LABELS[5:15, 8:20] = 7
LABELS[8:10, 10:12] = 0
LABELS[20:25, 0:5] = 3
LABELS[0, 39] = 3


@pytest.fixture
def masked(tmp_path: Path, picture: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a project of one 40x30 image and its mask."""

    def make(mask: Any = LABELS, name: str = "a.png", folder: str = "masks", image: str = "a.png") -> Path:
        root = tmp_path / "masked"
        picture(root / "images" / image)
        (root / folder).mkdir(parents=True, exist_ok=True)
        (mask if isinstance(mask, Pillow.Image) else Pillow.fromarray(mask)).save(root / folder / name)
        return root

    return make


@pytest.mark.parametrize("folder", ["masks", "labels", "instances"])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a_mask.png"])
def test_each_number_is_an_object_of_exactly_its_pixels(
    masked: Callable[..., Path], read: Reader, pixels: Callable[..., Any], folder: str, name: str
) -> None:
    project = read(masked(name=name, folder=folder))
    assert project.snapshot.facts.source_format == "masks"
    assert [each.name for each in project.snapshot.facts.categories] == ["object"]
    small, large = project.objects
    assert (pixels(small.shape, 40, 30) == (LABELS == 3)).all()
    assert (pixels(large.shape, 40, 30) == (LABELS == 7)).all()
    assert project.findings == []


@pytest.mark.parametrize("mode", ["L", "P", "I", "F", "RGB", "LA"])
def test_numbers_are_read_from_every_kind_of_pixel(masked: Callable[..., Path], read: Reader, mode: str) -> None:
    grey = LABELS.astype(np.uint8)
    pictures = {
        "P": lambda: Pillow.fromarray(grey).convert("P", palette=Pillow.Palette.ADAPTIVE, colors=3),
        "I": lambda: Pillow.fromarray(grey.astype(np.int32) * 100_000),
        "F": lambda: Pillow.fromarray(grey.astype(np.float32)),
    }
    mask = pictures[mode]() if mode in pictures else Pillow.fromarray(grey).convert(mode)
    assert len(read(masked(mask, name="a.tif")).objects) == 2


def test_more_than_255_objects_are_all_there(masked: Callable[..., Path], read: Reader) -> None:
    assert len(read(masked(np.arange(1200, dtype=np.uint16).reshape(30, 40))).objects) == 1199


def test_one_number_on_several_pieces_is_one_object_and_that_is_said(masked: Callable[..., Path], read: Reader) -> None:
    project = read(masked((LABELS > 0).astype(np.uint8) * np.uint8(255)))
    assert len(project.objects) == 1
    assert project.findings == [
        ("other", "masks/a.png has one number, on 3 separate pieces: they are taken as one object")
    ]


def test_the_one_name_of_classes_txt_is_the_class(masked: Callable[..., Path], read: Reader) -> None:
    root = masked()
    (root / "classes.txt").write_text("nucleus\n")
    assert [each.name for each in read(root).snapshot.facts.categories] == ["nucleus"]


def test_an_image_without_a_mask_has_no_objects_and_that_is_said(
    masked: Callable[..., Path], picture: Callable[..., Path], read: Reader
) -> None:
    root = masked()
    picture(root / "images" / "b.png")
    project = read(root)
    assert [image.name for image in project.images] == ["a.png", "b.png"]
    assert (
        "1 images have no mask in masks/: they are exported without objects, 'images/b.png'" in project.findings[0][1]
    )


def test_the_data_science_bowl_has_a_mask_an_object(
    tmp_path: Path, picture: Callable[..., Path], read: Reader, pixels: Callable[..., Any]
) -> None:
    root = tmp_path / "bowl"
    for number in ("1f", "2a"):
        picture(root / number / "images" / f"{number}.png")
        (root / number / "masks").mkdir()
        for value in (3, 7):
            mask = np.equal(LABELS, value).astype(np.uint8) * np.uint8(255)
            Pillow.fromarray(mask).convert("RGBA" if value == 3 else "1").save(root / number / "masks" / f"{value}.png")
    project = read(root)
    assert [image.name for image in project.images] == ["1f.png", "2a.png"]
    assert [(each.id, each.image_id) for each in project.objects] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert (pixels(project.objects[1].shape, 40, 30) == (LABELS == 7)).all()


BAD_MASKS = [
    ("colours", Pillow.new("RGB", (40, 30), "red"), "a.png", "its mask has colours"),
    ("half numbers", np.full((30, 40), 0.5, np.float32), "a.tif", "numbers that are not whole"),
    ("negative", np.full((30, 40), -1, np.int32), "a.tif", "it holds the number -1"),
    ("size", np.ones((31, 40), np.uint8), "a.png", "the image 'a.png' has 40x30 px, the project says 40x31"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("mask", "name", "sentence"), [row[1:] for row in BAD_MASKS], ids=[row[0] for row in BAD_MASKS]
)
def test_a_picture_that_is_no_mask_is_a_sentence(
    masked: Callable[..., Path], fail: Failure, mask: Any, name: str, sentence: str
) -> None:
    assert sentence in str(fail(masked(mask, name=name)))


def test_noise_is_not_traced_for_ever(
    masked: Callable[..., Path], fail: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelferry_export.sources.label_pixels.LEAST_SCATTER", 1000)
    noise = np.random.default_rng(1).integers(1, 900, (30, 40), np.uint16)
    monkeypatch.setattr("labelferry_export.sources.label_pixels.MOST_SCATTER", 2)
    assert "scattered all over it: it is noise" in str(fail(masked(noise)))


def test_a_broken_mask_is_left_out_with_its_name(masked: Callable[..., Path], read: Reader, fail: Failure) -> None:
    root = masked()
    (root / "masks" / "a.png").write_bytes((root / "masks" / "a.png").read_bytes()[:60])
    assert "the image 'masks/a.png' is broken or cut off" in str(fail(root))
    project = read(root, on_error=OnError.SKIP)
    assert (len(project.images), len(project.objects)) == (1, 0)


def test_two_images_of_one_stem_are_a_question(masked: Callable[..., Path], fail: Failure) -> None:
    root = masked()
    masked(image="a.jpg")
    assert "fits several images, 'images/a.jpg', 'images/a.png': give them different stems" in str(fail(root))
