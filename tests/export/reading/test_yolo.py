"""YOLO trees: data.yaml as people write it, outlines, boxes, subsets; paths that lead out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image as Pillow

from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.reading.conftest import Failure, Reader

OUTLINE = "0 0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5"
YAML = "train: images/train\nval: images/val\nnames:\n  0: cell\n  1: 'wall: #2'\n"


@pytest.fixture
def yolo(tmp_path: Path, picture: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a YOLO tree of 40x20 images by the text of their labels (None: no label file)."""

    def make(yaml: str | None = YAML, **labels: str | None) -> Path:
        root = tmp_path / "yolo"
        for name, text in ({"train__a": OUTLINE, "val__b": ""} | labels).items():
            place = name.replace("__", "/")
            picture(root / "images" / f"{place}.png", (40, 20))
            if text is not None:
                (root / "labels" / place).parent.mkdir(parents=True, exist_ok=True)
                (root / "labels" / f"{place}.txt").write_text(text)
        if yaml is not None:
            (root / "data.yaml").write_text(yaml)
        return root

    return make


def test_outlines_classes_and_subsets_are_read(
    yolo: Callable[..., Path], read: Reader, rings: Callable[..., Any]
) -> None:
    project = read(yolo(train__c=None))
    assert project.snapshot.facts.source_format == "yolo"
    assert [(image.name, image.subset, image.width) for image in project.images] == [
        ("train/a.png", "train", 40),
        ("train/c.png", "train", 40),
        ("val/b.png", "val", 40),
    ]
    assert [each.name for each in project.snapshot.facts.categories] == ["cell", "wall: #2"]
    assert [rings(each.shape) for each in project.objects] == [[[10, 5, 20, 5, 20, 10, 10, 10]]]
    assert project.findings == []


def test_boxes_become_rectangles_with_one_note_an_image(
    yolo: Callable[..., Path], read: Reader, rings: Callable[..., Any]
) -> None:
    project = read(yolo(train__a="1 0.5 0.5 0.5 0.5\n\n0 0.25 0.25 0.1 0.1\n"))
    assert rings(project.objects[0].shape) == [[10, 5, 30, 5, 30, 15, 10, 15]]
    assert project.findings == [
        ("other", "2 objects of 'train/a.png' have no outline: their boxes are used as outlines")
    ]


def test_key_points_are_left_out_and_counted(yolo: Callable[..., Path], read: Reader) -> None:
    project = read(yolo(YAML + "kpt_shape: [2, 2]\n", train__a="0 0.5 0.5 0.5 0.5 0.1 0.1 0.2 0.2"))
    assert len(project.objects) == 1
    assert "the key points of 1 objects are left out" in project.findings[-1][1]


@pytest.mark.parametrize(
    "yaml",
    [
        "path: .\ntrain: images/train\nval: images/val\nnc: 2\nnames: ['cell', 'wall']\n",
        "path: ../datasets/mine\ntrain: images/train\nval: images/val\nnames: [cell, wall]\n",
        "path: /content/datasets/mine\ntrain: images/train\nval: images/val\nnames: {0: cell, 1: wall}\n",
        "train: ../images/train\nval: ../images/val\nnames:\n- cell\n- wall\n",
        "train: [images/train]\nval: images\\val\nnames: {0: cell, 1: wall}\n",
        "train: ./images/train/\nvalid: train.txt\nnc: 2\nnames: {0: cell, 1: wall}\n",
        "train: train.txt\nval:\n  - val.txt\nnames: {0: cell, 1: wall}\ndownload: |x\n".replace("|x", "'x'"),
    ],
)
def test_data_yaml_is_read_as_people_write_it(yolo: Callable[..., Path], read: Reader, yaml: str) -> None:
    root = yolo(yaml)
    (root / "train.txt").write_text("./images/train/a.png\n")
    (root / "val.txt").write_text("images/val/b.png\n")
    project = read(root)
    assert "train/a.png" in [image.name for image in project.images]
    assert [each.name for each in project.snapshot.facts.categories] == ["cell", "wall"]
    assert len(project.objects) == 1


def test_images_that_are_in_several_roles_have_no_subset(yolo: Callable[..., Path], read: Reader) -> None:
    project = read(yolo("train: images\nval: images\nnames: [cell]\n"))
    assert {image.subset for image in project.images} == {None}


def test_a_tree_without_data_yaml_has_its_classes_in_a_list(yolo: Callable[..., Path], read: Reader) -> None:
    root = yolo(None)
    (root / "classes.txt").write_text("cell\nwall\n")
    assert len(read(root).objects) == 1


def test_the_notes_that_label_studio_puts_beside_yolo_are_no_second_project(
    yolo: Callable[..., Path], read: Reader
) -> None:
    root = yolo(None)
    (root / "classes.txt").write_text("cell\nwall\n")
    notes = {"categories": [{"id": 0, "name": "cell"}], "info": {"contributor": "Label Studio"}}
    (root / "notes.json").write_text(json.dumps(notes))
    assert read(root).snapshot.facts.source_format == "yolo"


def test_a_byte_order_mark_is_no_part_of_the_first_row(yolo: Callable[..., Path], read: Reader) -> None:
    assert len(read(yolo(train__a="\ufeff" + OUTLINE)).objects) == 1


def test_a_number_of_classes_that_is_not_that_of_the_names_is_told(yolo: Callable[..., Path], read: Reader) -> None:
    project = read(yolo(YAML + "nc: 3\n"))
    assert project.findings == [("other", "data.yaml says nc: 3, but names 2 classes: its names count")]


def test_label_files_without_an_image_are_told(yolo: Callable[..., Path], read: Reader) -> None:
    root = yolo(train__a=OUTLINE)
    for name in ("train/ghost.txt", "val/ghost.txt", "classes.txt"):
        (root / "labels" / name).write_text(OUTLINE)
    message = (
        "label files that are of no image of the project, and are not read: 2, the first is labels/train/ghost.txt"
    )
    assert read(root).findings == [("other", message)]


def test_folders_outside_of_the_project_are_not_looked_into_for_label_files(
    yolo: Callable[..., Path], read: Reader, tmp_path: Path
) -> None:
    root = yolo("train: train.txt\nval: train.txt\nnames: [cell]\n")
    away = tmp_path / "away"
    away.mkdir()
    (away / "secret.txt").write_text(OUTLINE)
    (root / "labels" / "far").symlink_to(away)
    (root / "train.txt").write_text("images/train/a.png\nimages/far/b.png\n../away/images/c.png\n")
    messages = [message for _, message in read(root, on_error=OnError.SKIP).findings]
    assert messages
    assert not any("secret" in message for message in messages)


def test_labels_follow_a_quarter_turn_by_exif_as_ultralytics_does(yolo: Callable[..., Path], read: Reader) -> None:
    root = yolo()
    tags = Pillow.Exif()
    tags[0x0112] = 6
    Pillow.new("RGB", (40, 20)).save(root / "images" / "train" / "t.jpg", exif=tags)
    (root / "labels" / "train" / "t.txt").write_text(OUTLINE)
    (image,) = [image for image in read(root).images if image.name == "train/t.jpg"]
    assert (image.width, image.height, image.orientation) == (20, 40, 6)


BAD_ROWS = [
    ("words", "0 a b c d", "row 2 of labels/train/a.txt cannot be exported: it holds something that is not a number"),
    ("odd", "0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "it has 7 numbers behind its class"),
    ("confidence", "0 0.5 0.5 0.1 0.1 0.9", "it has 5 numbers behind its class"),
    ("class", "0.5 0.5 0.5 0.1 0.1", "its class is no number of a class"),
    ("negative", "-1 0.5 0.5 0.1 0.1", "its class is no number of a class"),
    ("unknown", "7 0.5 0.5 0.1 0.1", "is of class 7, which the project does not have"),
    ("empty box", "0 0.5 0.5 0 0.1", "its box is empty"),
    ("binary", "0 \ufffd 0.1 0.2", "it holds something that is not a number"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "sentence"), [row[1:] for row in BAD_ROWS], ids=[row[0] for row in BAD_ROWS])
def test_a_bad_row_is_a_sentence_or_is_left_out(
    yolo: Callable[..., Path], read: Reader, fail: Failure, bad: str, sentence: str
) -> None:
    root = yolo(train__a=f"{OUTLINE}\n{bad}\n{OUTLINE}\n")
    assert sentence in str(fail(root))
    project = read(root, on_error=OnError.SKIP)
    assert [each.id for each in project.objects] == [1, 3]
    assert any(sentence in message for _, message in project.findings)


def test_a_row_of_which_nothing_can_be_drawn_is_left_out_and_counted(yolo: Callable[..., Path], read: Reader) -> None:
    project = read(yolo(train__a=f"{OUTLINE}\n0 nan 0.1 0.2 0.2 0.3 0.1\n{OUTLINE}\n"))
    assert [each.id for each in project.objects] == [1, 3]
    assert any("its outline has a coordinate that is not finite" in message for _, message in project.findings)


@pytest.mark.parametrize(
    ("yaml", "sentence"),
    [
        ("train: ../../other\nnames: [a]\n", "'../../other' is not there, or lies outside"),
        ("train: /etc\nnames: [a]\n", "'/etc' is not there, or lies outside"),
        ("train: images/none\nnames: [a]\n", "'images/none' is not there"),
        ("train: images\nnames: {a: b}\n", "the keys of 'names' must be 0, 1, 2"),
        ("train: images\nnames: &a [a]\n", "data.yaml cannot be read: line 2: '&' begins a kind of YAML"),
        ("train: images\nnames: [a\n", "data.yaml cannot be read: line 2: a bracket is not closed"),
        ("train: images\nnames: !!python/object:os.system\n", "'!' begins a kind of YAML"),
        ("train:\nnames: [a]\n", "names no images"),
        ("train: images\nnc: many\n", "names no classes"),
        ("train: images\nnames: " + "[" * 100_000, "more than 12 maps and lists inside one another"),
    ],
)
def test_a_bad_data_yaml_is_a_sentence(yolo: Callable[..., Path], fail: Failure, yaml: str, sentence: str) -> None:
    assert sentence in str(fail(yolo(yaml)))


def test_a_link_out_of_the_project_is_not_followed(yolo: Callable[..., Path], tmp_path: Path, fail: Failure) -> None:
    root = yolo("train: images/train\nnames: [a]\n")
    (tmp_path / "secret.txt").write_text(OUTLINE)
    (root / "labels" / "train" / "a.txt").unlink()
    (root / "labels" / "train" / "a.txt").symlink_to(tmp_path / "secret.txt")
    assert "is a symbolic link that leads out" in str(fail(root))


def test_several_data_files_are_a_question(yolo: Callable[..., Path], read: Reader, fail: Failure) -> None:
    root = yolo()
    (root / "other.yaml").write_text(YAML)
    assert "holds several data files, 'data.yaml', 'other.yaml': name one of them" in str(fail(root))
    assert len(read(root / "other.yaml").images) == 2
