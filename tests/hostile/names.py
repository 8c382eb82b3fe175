"""Names and places that mean harm: ways out of the folder, links, pipes, names that are none on some system."""

import os
import unicodedata
from pathlib import Path

from tests.hostile.case import DONE, Case, coco, document, picture


def linked(target: str) -> Case:
    """A second image that is a link."""

    def make(root: Path) -> None:
        coco(root, "a.png", "b.png")
        (root / "images/b.png").unlink()
        (root / "images/b.png").symlink_to(target)

    return Case(
        make,
        r"the file name '[^']*b\.png' (is a symbolic link that leads out|cannot be looked up|is not a plain)",
        skips=True,
    )


def pipe_instead(name: str, says: str) -> Case:
    """A sound project in which a pipe that nobody writes to stands for a file."""

    def make(root: Path) -> None:
        coco(root, "a.png", "b.png")
        (root / name).unlink()
        os.mkfifo(root / name)

    return Case(make, says, skips=name.startswith("images"))


def pipes_everywhere(root: Path) -> None:
    """A sound project beside pipes with every name that a source looks for."""
    coco(root)
    for name in (
        "data.yaml",
        "annotations.xml",
        "a_RoiSet.zip",
        "a.geojson",
        "classes.txt",
        "other.json",
        "images/p.png",
    ):
        os.mkfifo(root / name)


def folders_in_themselves(root: Path) -> None:
    """Masks in a folder that holds itself, twice."""
    picture(root / "images/a.png")
    picture(root / "masks/a.png")
    (root / "masks/again").symlink_to("..")
    (root / "images/again").symlink_to(".")


def deep(root: Path) -> None:
    """YOLO images 60 folders down, and an image that is found."""
    picture(root / "images/a.png")
    below = root / "images"
    for _ in range(60):
        below /= "d"
    picture(below / "b.png")
    (root / "labels").mkdir()
    (root / "labels/a.txt").write_text("0 0.2 0.2 0.4 0.2 0.4 0.4\n")
    (root / "data.yaml").write_text("train: images\nnames: [cell]\n")


def twins(root: Path) -> None:
    """Two names that are one on some systems, and one that is two."""
    composed = unicodedata.normalize("NFC", "e\u0301.png")
    coco(root, composed, unicodedata.normalize("NFD", composed), "E\u0301.PNG", "sub/\u00e9.png")


ODD = [
    "CON.png",
    "aux.tar.png",
    "LPT1.png",
    ".hidden.png",
    "a b .png",
    "\u202egnp.exe.png",
    "tab\tand\nline.png",
    "\U0001f52c\u200d.png",
]
ODD += [
    "-o.png",
    "$(touch x).png",
    "`id`.png",
    "q\"uo'te.png",
    "%s%n.png",
    "10:30|c?.png",
    "x" * 240 + ".png",
    "trailing..png",
]


def said(name: str) -> Case:
    """A second image whose name is refused before a file is looked for."""
    return Case(
        lambda root: coco(root, "a.png", name, files=False) and picture(root / "images/a.png"),
        skips=True,
        says="the file name",
    )


CASES: dict[str, Case] = {
    "name with two dots": said("../../../etc/passwd"),
    "name that is absolute": said("/etc/passwd"),
    "name with a drive": said("C:\\Windows\\win.ini"),
    "name of a share": said("\\\\host\\share\\a.png"),
    "name with backslashes and dots": said("sub\\..\\..\\a.png"),
    "name with a nul": said("b\0.png"),
    "name of nothing": said(""),
    "name of 300 bytes": said("n" * 300 + ".png"),
    "name of 100,000 bytes": said("n/" * 50_000 + "b.png"),
    "name that is the folder": said("../images"),
    "name with half a character": Case(
        lambda root: (coco(root, "a.png", "b\ud800.png", files=False), picture(root / "images/a.png")),
        "text that is not valid unicode",
    ),
    "odd names": Case(lambda root: coco(root, *ODD), "image-renamed", ends=DONE),
    "names that are equal on some systems": Case(twins, "image-renamed", ends=DONE),
    "link out of the project": linked("/etc/passwd"),
    "link to a device": linked("/dev/zero"),
    "link to itself": linked("b.png"),
    "link to a folder": linked("."),
    "pipe instead of an image": pipe_instead("images/b.png", r"b\.png' is not a plain file"),
    "pipe instead of annotations": pipe_instead("instances.json", "is not a project that can be read"),
    "pipes with every name": Case(pipes_everywhere, ends=DONE),
    "folders in themselves": Case(folders_in_themselves, ends=DONE, arguments=("--source-format", "masks")),
    "60 folders deep": Case(deep, ends=DONE),
    "yaml that leads out": Case(
        lambda root: document(root, "data.yaml", b"path: ../../..\ntrain: etc\nval: /etc\nnames: [a]\n"),
        "lies outside of the folder of data.yaml",
    ),
    "labelme image that leads out": Case(
        lambda root: document(
            root,
            "a.json",
            b'{"imagePath": "../../../../etc/passwd", "imageData": null, "shapes": [], "imageWidth": 40, "imageHeight": 30, "version": "5"}',
        ),
        "lies outside of the project",
    ),
    "no project": Case(lambda root: (root / "readme.txt").write_text("nothing"), "is not a project that can be read"),
    "empty folder": Case(lambda root: None, "is not a project that can be read"),
}
