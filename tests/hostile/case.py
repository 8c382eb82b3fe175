"""What a hostile case is: a project that means harm, and the one sentence (or the bundle) that must come of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

SIZE = (40, 30)
SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]
DONE, FAILED = 0, 1


@dataclass(frozen=True)
class Case:
    """`make` writes a project into a folder that exists; `says` is a pattern of the last sentence, for one that is exported of any warning.

    `arguments` are more of the command line's; `source` is what is exported, where it is not the folder. `ends` is the exit code; with `skips` it is 0 under `--on-error skip`, and the sentence a warning.
    """

    make: Callable[[Path], object]
    says: str = ""
    ends: int = FAILED
    skips: bool = False
    arguments: tuple[str, ...] = ()
    source: str = ""


def picture(path: Path, size: tuple[int, int] = SIZE, **how: Any) -> Path:
    """Save a plain image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", size, (90, 90, 90)).save(path, **how)
    return path


def coco(root: Path, *names: str, files: bool = True, **changes: Any) -> dict[str, Any]:
    """Write a sound COCO folder with one square in each image; `changes` are put over its keys. Returns what was written."""
    images = [
        {"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]}
        for number, name in enumerate(names or ("a.png",), 1)
    ]
    annotations = [
        {"id": each["id"], "image_id": each["id"], "category_id": 1, "segmentation": [SQUARE], "iscrowd": 0}
        for each in images
    ]
    tree = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}], **changes}
    (root / "images").mkdir(exist_ok=True)
    for name in (names or ("a.png",)) if files else ():
        picture(root / "images" / name)
    (root / "instances.json").write_text(json.dumps(tree))
    return tree


def beside(root: Path, name: str, data: bytes) -> None:
    """Write a sound COCO folder of two images, the second of which is `data`."""
    coco(root, "a.png", name, files=False)
    picture(root / "images/a.png")
    (root / "images" / name).write_bytes(data)


def document(root: Path, name: str, data: bytes) -> None:
    """Write an image and an annotation file."""
    picture(root / ("images/a.png" if "/" in name or name.endswith((".xml", ".yaml")) else "a.png"))
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
