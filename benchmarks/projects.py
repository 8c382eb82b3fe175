"""Projects to measure on: a COCO folder as it is, or repeated under new names and ids."""

import json
import shutil
from pathlib import Path


def images_of(project: Path) -> int:
    """Return how many images a COCO folder has."""
    return sum(1 for _ in (project / "images").iterdir())


def repeated(project: Path, times: int, target: Path) -> Path:
    """Make a COCO folder that holds `project` (a folder with instances.json and images/) `times` times over; return it."""
    whole = json.loads((project / "instances.json").read_text())
    (target / "images").mkdir(parents=True)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for turn in range(times):
        numbers: dict[int, int] = {}
        for image in whole["images"]:
            name = f"{turn:04d}_{Path(image['file_name']).name}"
            source = project / image["file_name"]
            shutil.copyfile(
                source if source.exists() else project / "images" / image["file_name"], target / "images" / name
            )
            numbers[image["id"]] = len(images) + 1
            images.append({**image, "id": len(images) + 1, "file_name": name})
        annotations += [{**each, "id": 0, "image_id": numbers[each["image_id"]]} for each in whole["annotations"]]
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    (target / "instances.json").write_text(json.dumps({**whole, "images": images, "annotations": annotations}))
    return target


def first_images(project: Path, count: int, target: Path) -> Path:
    """Make a COCO folder of the first `count` images of one, linked; return it."""
    whole = json.loads((project / "instances.json").read_text())
    images = whole["images"][:count]
    numbers = {image["id"] for image in images}
    annotations = [each for each in whole["annotations"] if each["image_id"] in numbers]
    (target / "images").mkdir(parents=True)
    for image in images:
        (target / "images" / image["file_name"]).hardlink_to(project / "images" / image["file_name"])
    (target / "instances.json").write_text(json.dumps({**whole, "images": images, "annotations": annotations}))
    return target
