"""Projects made for tests: real files in the forms that people have."""

from pathlib import Path

import msgspec
import numpy as np
from PIL import Image


def make_coco_project(
    folder: Path, images_wanted: int = 60, size: tuple[int, int] = (500, 400), *, smooth: bool = False
) -> Path:
    """Make a COCO project of images with three objects each: of noise, which no compression makes small, or `smooth`, which is small in a bundle."""
    width, height = size
    wide, high = width // 5, height // 5
    (folder / "images").mkdir()
    dice = np.random.default_rng(7)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number in range(1, images_wanted + 1):
        grain = (1, width, 3) if smooth else (height, width, 3)
        pixels = np.broadcast_to(dice.integers(0, 255, grain, dtype=np.uint8), (height, width, 3))
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / "images" / f"{number:03d}.png", compress_level=1)
        images.append({"id": number, "file_name": f"{number:03d}.png", "width": width, "height": height})
        for column in range(3):
            x, y = width // 25 + 3 * width // 10 * column, height // 13 + number * height // 400
            ring = [x, y, x + wide, y, x + wide, y + high, x, y + high]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "segmentation": [ring],
                    "bbox": [x, y, wide, high],
                    "area": wide * high,
                    "iscrowd": 0,
                }
            )
    whole = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "instances.json").write_bytes(msgspec.json.encode(whole))
    return folder
