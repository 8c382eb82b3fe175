"""Projects made for tests: real files in the forms that people have."""

from pathlib import Path

import msgspec
import numpy as np
from PIL import Image


def make_coco_project(folder: Path) -> Path:
    """Make a project that takes some seconds to export: 60 noisy images of 500 x 400 with three objects each, COCO."""
    (folder / "images").mkdir()
    dice = np.random.default_rng(7)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number in range(1, 61):
        Image.fromarray(dice.integers(0, 255, (400, 500, 3), dtype=np.uint8)).save(
            folder / "images" / f"{number:03d}.png", compress_level=1
        )
        images.append({"id": number, "file_name": f"{number:03d}.png", "width": 500, "height": 400})
        for column in range(3):
            x, y = 20 + 150 * column, 30 + number
            ring = [x, y, x + 100, y, x + 100, y + 80, x, y + 80]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "segmentation": [ring],
                    "bbox": [x, y, 100, 80],
                    "area": 8000,
                    "iscrowd": 0,
                }
            )
    whole = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "instances.json").write_bytes(msgspec.json.encode(whole))
    return folder
