"""Generated projects of any size: small noisy images with some forty round objects each. For growth, not for quality of anything."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 160
DISTINCT = 50
"""So many images are drawn; further ones are links to them, each with objects of its own."""
LEAST, MOST = 30, 51
VERTICES = 18

Floats = NDArray[np.float64]


def scattered(folder: Path, images: int, seed: int) -> Path:
    """Make a COCO folder of so many images at `folder`; the json is written piece by piece, so that any number fits into memory."""
    dice = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    scenes = [_scene(dice) for _ in range(min(images, DISTINCT))]
    for number, scene in enumerate(scenes):
        _drawn(scene, dice).save(folder / f"images/{number:06d}.png")
    for number in range(len(scenes), images):
        os.link(folder / f"images/{number % DISTINCT:06d}.png", folder / f"images/{number:06d}.png")
    with (folder / "instances.json").open("w") as file:
        file.write('{"categories":[{"id":1,"name":"cell"},{"id":2,"name":"speck"}],"images":[')
        file.writelines(_joined(_image(number) for number in range(images)))
        file.write('],"annotations":[')
        file.writelines(_joined(_annotations(scenes, images)))
        file.write("]}")
    return folder


def _scene(dice: np.random.Generator) -> list[Floats]:
    """Return rings, (VERTICES, 2) px each, inside the image."""
    count = int(dice.integers(LEAST, MOST))
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    centre = dice.uniform(12, SIDE - 12, (count, 1, 2))
    radius = dice.uniform(3, 10, (count, 1)) * dice.uniform(0.85, 1.15, (count, VERTICES))
    rings = centre + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2)
    return list(np.round(rings, 2))


def _drawn(scene: list[Floats], dice: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[:SIDE, :SIDE]
    grey = dice.normal(40, 6, (SIDE, SIDE))
    for ring in scene:
        (left, top), (right, bottom) = ring.min(axis=0), ring.max(axis=0)
        inside = ((x - (left + right) / 2) / (right - left)) ** 2 + ((y - (top + bottom) / 2) / (bottom - top)) ** 2
        grey += 90 * (inside < 0.25)
    return Image.fromarray(np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2))


def _image(number: int) -> dict[str, Any]:
    return {"id": number + 1, "file_name": f"{number:06d}.png", "width": SIDE, "height": SIDE}


def _annotations(scenes: list[list[Floats]], images: int) -> Iterator[dict[str, Any]]:
    identity = 0
    for number in range(images):
        for ring in scenes[number % len(scenes)]:
            identity += 1
            place = {"id": identity, "image_id": number + 1, "category_id": 1 + identity % 2, "iscrowd": 0}
            yield {**place, **_outline(ring)}


def _outline(ring: Floats) -> dict[str, Any]:
    (left, top), (right, bottom) = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
    x, y = ring.T
    area = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y))) / 2
    return {"segmentation": [ring.ravel().tolist()], "bbox": [left, top, right - left, bottom - top], "area": area}


def _joined(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    comma = "\n"
    for record in records:
        yield comma + json.dumps(record)
        comma = ",\n"
