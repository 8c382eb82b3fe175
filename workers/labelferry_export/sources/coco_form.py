"""The elements of a COCO file, as tolerant as real files need, and the outlines in them. The reading is `coco`'s."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct

from labelferry_export.geometry.rle import runs_of_rle, size_of_rle
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.geometry.trace import shape_of_runs
from labelferry_export.pillow_guard import MAX_PIXELS
from labelferry_export.reading.json_cursor import Element
from labelferry_export.reading.json_stream import Decoder

STANDARD = frozenset(
    ["id", "file_name", "width", "height", "license", "flickr_url", "coco_url", "date_captured", "attributes", "path"]
)
"""Keys of an image that are COCO's own, and no attributes."""
IDS = ("id", "image_id", "category_id")
_Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Id = _Whole | str
Number = int | float | None


class CocoCategory(Struct):
    """An element of `categories`."""

    id: _Id
    name: str | _Whole | None = None
    supercategory: str | None = None


class CocoImage(Struct):
    """An element of `images`; sizes in px, where the file says them; `attributes` are also those that stand beside COCO's own keys."""

    id: _Id
    file_name: str
    width: Number = None
    height: Number = None
    attributes: Any = None


class CocoMask(Struct):
    """A `segmentation` that is a mask in RLE; `size` is [height, width]."""

    counts: str | list[int]
    size: list[int]


Segmentation = list[list[float] | float] | CocoMask | None
"""Rings; some writers put a single ring without the list around it."""


class CocoAnnotation(Struct):
    """An element of `annotations`; `bbox` is [x, y, width, height], px."""

    image_id: _Id
    category_id: _Id
    id: int | float | str | None = None
    bbox: list[float | None] | None = None
    iscrowd: bool | Number = False
    attributes: dict[str, Any] | None = None
    score: Any = None
    """How sure a detector was, where one made the annotation."""
    area: Any = None
    """What the file says it is; the areas that are exported are those of the outlines."""

    @property
    def values(self) -> dict[str, Any]:
        """What is said of the object besides: its attributes, and its score."""
        said = self.attributes or {}
        return said if self.score is None else {"score": self.score, **said}


class SegmentedAnnotation(CocoAnnotation):
    """An annotation with its outline."""

    segmentation: Segmentation = None


class ImageDecoder(Decoder[CocoImage]):
    """Decodes images with all that is said of them: writers put `patient` and the like beside `file_name`, or into `attributes`."""

    _all = Decoder(dict[str, Any])

    def decode(self, element: Element, name: str) -> CocoImage:
        """As `Decoder.decode`."""
        return _with_attributes(super().decode(element, name), self._all.decode(element, name))

    def decode_many(self, elements: bytes) -> list[CocoImage] | None:
        """As `Decoder.decode_many`."""
        images, said = super().decode_many(elements), self._all.decode_many(elements)
        return None if images is None or said is None else list(map(_with_attributes, images, said))


def _with_attributes(image: CocoImage, said: dict[str, Any]) -> CocoImage:
    beside = {key: value for key, value in said.items() if key not in STANDARD}
    image.attributes = {**beside, **image.attributes} if isinstance(image.attributes, dict) else beside
    return image


INFO = Decoder(dict[str, Any])
CATEGORY = Decoder(CocoCategory, IDS)
IMAGE = ImageDecoder(CocoImage, IDS)


class Unusable(Exception):
    """An annotation has no outline; the text says why."""


def outline_of(annotation: SegmentedAnnotation) -> Shape:
    """Return the outline as it stands, not clean yet; raise `Unusable` or `RleError` when there is none."""
    segmentation = annotation.segmentation
    if isinstance(segmentation, CocoMask):
        width, height = size_of_rle(segmentation.size)
        if width * height > MAX_PIXELS:
            raise Unusable(
                f"its mask has {width}x{height} pixels, over the limit of {MAX_PIXELS // 1_000_000} megapixels"
            )
        traced = shape_of_runs(runs_of_rle(segmentation.counts, width, height))
        if traced is None:
            raise Unusable("its mask is empty")
        return traced
    if not segmentation:
        return Shape((Part(box_outline(annotation.bbox)),))
    if isinstance(segmentation[0], list):
        return Shape(tuple(Part(_ring(ring)) for ring in segmentation if isinstance(ring, list)))
    return Shape((Part(_ring(segmentation)),))


def is_row_of_pixels(shape: Shape, box: Sequence[float | None] | None) -> bool:
    """Whether an outline that encloses nothing is drawn through the centres of one row, or column, of pixels that is its box.

    Contour finders draw objects one pixel wide so; their box, and their area where they say it, are those of the pixels.
    """
    if len(shape.parts) != 1 or box is None or len(box) != 4 or None in box or 1 not in box[2:]:
        return False
    points = shape.parts[0].outer
    if not len(points):
        return False
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    return bool((extent == 0).any() and np.array_equal([*low, *(extent + 1)], [float(each or 0) for each in box]))


def _ring(numbers: Sequence[object]) -> Ring:
    if len(numbers) % 2:
        raise Unusable(f"its outline has {len(numbers)} numbers, which are no pairs of x and y")
    return np.array(numbers, np.float64).reshape(-1, 2)


def box_outline(box: Sequence[float | None] | None) -> Ring:
    """Return the outline of a `bbox`, (4, 2); raise `Unusable` when it encloses nothing."""
    if box is None or len(box) != 4 or None in box:
        raise Unusable("it has neither an outline nor a box")
    x, y, width, height = (float(each or 0) for each in box)
    if not (width > 0 and height > 0):
        raise Unusable("it has no outline, and its box is empty")
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
