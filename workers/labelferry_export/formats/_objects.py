"""An image's objects as a struct of lists: what the tables of Hugging Face and Parquet hold. Areas and boxes are COCO's."""

from collections.abc import Mapping, Sequence

import msgspec

from labelferry_export.findings import Loss, Warn
from labelferry_export.format import FormatJob, loss, no_pixel
from labelferry_export.formats._bridge import bridged
from labelferry_export.geometry.raster import runs_of_all
from labelferry_export.geometry.rle import packed_counts_of
from labelferry_export.geometry.shape import Shape
from labelferry_export.instances import shapes_of
from labelferry_export.model import Attribute, Image, Instance

Rings = list[list[float]]
_encode = msgspec.json.Encoder().encode


class PackedMask(msgspec.Struct, frozen=True):
    """A mask as COCO's compressed run lengths; `size` is height and width."""

    size: tuple[int, int]
    counts: str


class Objects(msgspec.Struct):
    """The objects of an image, a list a column. `category` counts from 0; `bbox` is x, y, width, height; `attributes` are json texts."""

    id: list[int] = []
    category: list[int] = []
    bbox: list[tuple[float, float, float, float]] = []
    area: list[int] = []
    iscrowd: list[int] = []
    segmentation: list[Rings | PackedMask] = []
    attributes: list[str] = []

    def add(self, image: Image, instances: Sequence[Instance], segmentation: str, format_name: str) -> list[Warn]:
        """Append objects of `image`, their outlines as `polygons` or `rle`; return what these cannot say."""
        losses: list[Warn] = []
        masks = runs_of_all(shapes_of(instances), image.width, image.height)
        for each, runs in zip(instances, masks, strict=True):
            self.id.append(each.id)
            self.category.append(each.category_id - 1)
            self.bbox.append(_box(runs.bbox, each.shape))
            self.area.append(runs.area)
            self.iscrowd.append(int(each.crowd))
            self.attributes.append(_text(each.attributes))
            if segmentation == "rle":
                self.segmentation.append(PackedMask((runs.height, runs.width), packed_counts_of(runs)))
            else:
                self.segmentation.append(rings_of(each.shape))
            losses += _losses(image, each, segmentation, runs.area, format_name)
        return losses


def rings_of(shape: Shape) -> Rings:
    """Return a ring a part, x and y in turn; holes are joined to the outline around them by bridges of no width."""
    rings = (bridged(Shape((part,))) if part.holes else part.outer for part in shape.parts)
    return [ring.reshape(-1).tolist() for ring in rings]


def _text(attributes: Mapping[str, Attribute]) -> str:
    return _encode(attributes).decode() if attributes else "{}"


def _box(box: tuple[int, int, int, int] | None, shape: Shape) -> tuple[float, float, float, float]:
    if box is not None:
        left, top, width, height = map(float, box)
        return left, top, width, height
    left, top, right, bottom = shape.bounds
    return left, top, right - left, bottom - top


def _losses(image: Image, instance: Instance, segmentation: str, area: int, format_name: str) -> list[Warn]:
    number, losses = instance.id, []
    if area == 0:
        message = f"object {number} covers no pixel centre: area 0, box of its vertices"
        losses.append(no_pixel(Loss.ROUNDED, format_name, message, image, number))
    holes = sum(len(part.holes) for part in instance.shape.parts)
    if holes and segmentation == "polygons":
        message = (
            f"object {number}: {holes} hole{'s' if holes > 1 else ''} joined to the outline by bridges of no width"
        )
        losses.append(loss(Loss.BRIDGED, format_name, message, image, number))
    return losses


def card(job: FormatJob, data_files: Mapping[str, str], text: str) -> str:
    """Return a dataset card: which files make which split, for `datasets`, then `text`, then the classes by index."""
    rows = [f"  - split: {split.replace('-', '_')}\n    path: {path}" for split, path in data_files.items()]
    classes = [f"| {index} | {_cell(each.name)} |" for index, each in enumerate(job.facts.categories)]
    return (
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        + "\n".join(rows)
        + f"\n---\n\n{text}\n\n| category | name |\n|---|---|\n"
        + "".join(f"{row}\n" for row in classes)
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
