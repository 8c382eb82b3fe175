"""The sample's pictures and how each is segmented: label images of the same size, one number an object."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Picture:
    """One picture of scikit-image's: its loader's name, what its objects are, the tile size in px, and where it comes from."""

    loader: str
    class_name: str
    supercategory: str
    tile: int
    segment: Callable[[Any], Labels]
    origin: str


def coins(image: Pixels) -> Labels:
    """Bright discs on an uneven ground: markers by grey level, then the watershed of the edges."""
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    markers = np.zeros(image.shape, np.int32)
    markers[image < 30] = 1
    markers[image > 150] = 2
    return _objects(watershed(sobel(image), markers) == 2, least=80, fill=True)


def galaxies(image: Pixels) -> Labels:
    """Light above the local sky."""
    from skimage.color import rgb2gray
    from skimage.filters import gaussian, threshold_otsu

    light = gaussian(rgb2gray(image), 1.0)
    light = np.clip(light - gaussian(light, 40), 0, None)
    return _split(light > 0.6 * threshold_otsu(light), light, apart=5, least=25)


def nuclei(image: Pixels) -> Labels:
    """The blue stain (hematoxylin), unmixed from the brown one, above its neighbourhood."""
    from skimage.color import rgb2hed
    from skimage.filters import gaussian

    stain = gaussian(rgb2hed(image)[..., 0], 1.5)
    above = stain - gaussian(stain, 18)
    return _split(above > 0.45 * above.std(), stain, apart=5, least=45)


def cells(image: Pixels) -> Labels:
    """One cell, thick enough to stand out of the banded ground."""
    from skimage.filters import gaussian, threshold_otsu

    thick = gaussian(image, 2.0)
    return _objects(thick > threshold_otsu(thick), least=400, fill=False)


def vessels(image: Pixels) -> Labels:
    """Dark branching lines in the green channel: they close into meshes, so they have holes, and a tile cuts them into parts."""
    from scipy.ndimage import binary_erosion
    from skimage.filters import gaussian, sato

    green = image[..., 1].astype(float)
    eye = binary_erosion(gaussian(image.max(axis=2).astype(float), 4) > 60, iterations=20)
    contrast = green / np.maximum(gaussian(green, 25), 1)
    lines = sato(contrast, sigmas=(2, 3, 5), black_ridges=True)
    return _objects((lines > np.quantile(lines[eye], 0.88)) & eye, least=300, fill=False)


PICTURES: tuple[Picture, ...] = (
    Picture(
        "coins",
        "coin",
        "thing",
        101,
        coins,
        "Greek coins from Pompeii, Brooklyn Museum; no known copyright restrictions",
    ),
    Picture("hubble_deep_field", "galaxy", "sky", 125, galaxies, "Hubble eXtreme Deep Field, NASA; public domain"),
    Picture(
        "immunohistochemistry",
        "nucleus",
        "tissue",
        128,
        nuclei,
        "Colonic glands, hematoxylin and DAB, CMMI; no known copyright restrictions",
    ),
    Picture("cell", "cell", "tissue", 275, cells, "Phase image of a cell in saline, P. Müller and others; CC0"),
    Picture("retina", "vessel", "tissue", 176, vessels, "Fundus photograph of a normal left eye, M. Häggström; CC0"),
)


def tiles_of(picture: Picture) -> Iterator[tuple[str, Pixels, Labels]]:
    """Give the name, pixels (h, w[, 3]) and labels (h, w) of each tile of a picture; tiles without any light are left out."""
    from skimage import data

    image: Pixels = getattr(data, picture.loader)()
    labels = picture.segment(image)
    height, width = labels.shape
    for row, top in enumerate(range(0, height - picture.tile // 2, picture.tile)):
        for column, left in enumerate(range(0, width - picture.tile // 2, picture.tile)):
            place = np.s_[top : top + picture.tile, left : left + picture.tile]
            if image[place].max() > 40:
                yield f"{picture.loader}_{row:02d}_{column:02d}.png", image[place], labels[place]


def _objects(mask: NDArray[np.bool_], *, least: int, fill: bool) -> Labels:
    from scipy.ndimage import binary_fill_holes, binary_opening, label

    mask = binary_opening(binary_fill_holes(mask) if fill else mask, iterations=1)
    return _large(label(mask)[0], least)


def _split(mask: NDArray[np.bool_], height: NDArray[np.float64], *, apart: int, least: int) -> Labels:
    from scipy.ndimage import label
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    peaks = peak_local_max(height, min_distance=apart, labels=label(mask)[0])
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return _large(watershed(-height, markers, mask=mask), least)


def _large(labels: NDArray[np.int32], least: int) -> Labels:
    keep = np.bincount(labels.ravel()) >= least
    keep[0] = False
    numbers = np.where(keep, np.cumsum(keep), 0)
    found: Labels = numbers[labels].astype(np.int32)
    return found
