"""Writes the sample as a COCO folder: images/, instances.json and a README that names every picture's origin."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labelferry.sample.segment import PICTURES, Labels, tiles_of
from labelferry_protocol.errors import Code, Refusal

README = """# labelferry sample project

Tiles of pictures that ship with scikit-image, segmented by simple means when this folder was made: real pixels, plausible outlines.
COCO: `instances.json` and `images/`. Try `labelferry export` on this folder.

| class | picture |
|---|---|
"""


def make_sample(directory: Path, *, force: bool = False) -> tuple[int, int]:
    """Make the sample project in `directory` and return how many images and objects it has.

    A directory that is not empty is refused unless `force`; the same scikit-image gives the same bytes.
    """
    _check_scikit_image()
    _prepare(directory, force=force)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for category, picture in enumerate(PICTURES, 1):
        for name, pixels, labels in tiles_of(picture):
            Image.fromarray(pixels).save(directory / "images" / name, compress_level=6)
            images.append(
                {"id": len(images) + 1, "file_name": name, "height": labels.shape[0], "width": labels.shape[1]}
            )
            for segmentation, mask in _objects(labels):
                annotations.append(_annotation(len(annotations) + 1, len(images), category, segmentation, mask))
    categories = [
        {"id": number, "name": each.class_name, "supercategory": each.supercategory}
        for number, each in enumerate(PICTURES, 1)
    ]
    project = {
        "info": {"description": "labelferry sample"},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    (directory / "instances.json").write_bytes(msgspec.json.encode(project))
    rows = "".join(f"| {each.class_name} | {each.origin} |\n" for each in PICTURES)
    (directory / "README.md").write_text(README + rows, encoding="utf-8")
    return len(images), len(annotations)


def _check_scikit_image() -> None:
    try:
        import skimage  # noqa: F401 - only to see whether it is there
    except ImportError:
        raise Refusal(
            Code.USAGE, "the sample needs scikit-image's pictures: pip install 'labelferry[sample]'"
        ) from None


def _prepare(directory: Path, *, force: bool) -> None:
    try:
        if directory.exists() and any(directory.iterdir()) and not force:
            raise Refusal(
                Code.OUTPUT, f"{directory} is not empty: name another directory, or use --force to write over it"
            )
        (directory / "images").mkdir(parents=True, exist_ok=True)
        for old in (directory / "images").glob("*.png"):
            old.unlink()
    except OSError as error:
        raise Refusal(Code.OUTPUT, f"cannot make the sample in {directory}: {error.strerror}") from None


def _objects(labels: Labels) -> Iterator[tuple[list[list[float]] | dict[str, Any], NDArray[np.bool_]]]:
    from scipy.ndimage import binary_fill_holes, label

    for number in np.unique(labels[labels > 0]):
        mask = labels == number
        if mask.sum() < 20:
            continue
        whole = label(mask)[1] == 1 and bool((binary_fill_holes(mask) == mask).all())
        yield (_outline(mask) if whole else _run_lengths(mask)), mask


def _outline(mask: NDArray[np.bool_]) -> list[list[float]]:
    """Return the one ring around a mask, half-way between the pixels inside and outside, in pixel-edge coordinates."""
    from skimage.measure import approximate_polygon, find_contours

    ring = max(find_contours(np.pad(mask, 1).astype(float), 0.5), key=len)
    ring = approximate_polygon(ring, 0.4)[:-1, ::-1] - 0.5
    return [[round(float(value), 2) for value in ring.ravel()]]


def _run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a mask as uncompressed COCO RLE: column by column, beginning with a run of zeros."""
    flat = mask.ravel(order="F").astype(np.int8)
    edges = np.flatnonzero(np.diff(flat, prepend=0))
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return {"size": list(mask.shape), "counts": counts.tolist()}


def _annotation(number: int, image: int, category: int, segmentation: Any, mask: NDArray[np.bool_]) -> dict[str, Any]:
    ys, xs = np.nonzero(mask)
    box = [int(xs.min()), int(ys.min()), int(xs.max() - xs.min() + 1), int(ys.max() - ys.min() + 1)]
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        "area": int(mask.sum()),
        "bbox": box,
        "iscrowd": 0,
    }
