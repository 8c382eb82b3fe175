"""What a job is asked to do: the export options, the same struct on the wire, in a template and in the engine."""

from typing import Annotated

from msgspec import Meta

from labelferry_protocol.message import Name, Part, Path, Word
from labelferry_protocol.words import Border, OnError

Unit = Annotated[float, Meta(ge=0, le=1)]
Pattern = Annotated[str, Meta(min_length=1, max_length=255)]
Area = Annotated[float, Meta(ge=0, le=1e18)]
FormatOption = str | int | float | bool


class OverlayStyle(Part, frozen=True, kw_only=True):
    """How an overlay is drawn. `fill_opacity` 0 leaves shapes unfilled; `stroke_width` in px, 0 draws no outline."""

    fill_opacity: Unit = 0.35
    stroke_width: Annotated[int, Meta(ge=0, le=64)] = 2
    numbers: bool = True
    color_by: Annotated[str, Meta(pattern=r"^(class|instance)\Z")] = "class"


class ExportOptions(Part, frozen=True, kw_only=True):
    """One export's options. Empty `select` and `classes` mean everything; `split` maps a split's name to its share."""

    name: Name | None = None
    source_format: Word | None = None
    images: bool = True
    image_format: Annotated[str, Meta(pattern=r"^(original|png|jpeg|webp|tiff)\Z")] = "original"
    """What the images become; the originals, bit for bit, as long as they may."""
    image_quality: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Of jpeg and webp; None is 90, and copies what is in the format already."""
    max_side: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Larger images are scaled down until their longer side has so many px; outlines along with them."""
    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    """Of image files with several pages, which one is the image."""
    visualizations: bool = True
    style: OverlayStyle = OverlayStyle()
    formats: Annotated[tuple[Word, ...], Meta(max_length=64)] = ("coco", "json")
    format_options: Annotated[dict[Word, dict[Word, FormatOption]], Meta(max_length=64)] = {}
    metrics: Annotated[tuple[Word, ...], Meta(max_length=16)] = ("csv", "xlsx")
    metric_options: Annotated[dict[Word, dict[Word, FormatOption]], Meta(max_length=16)] = {}
    scale: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    """Micrometres per pixel; None keeps lengths in pixels."""
    select: Annotated[tuple[Pattern, ...], Meta(max_length=64)] = ()
    classes: Annotated[tuple[Name, ...], Meta(max_length=1024)] = ()
    annotated_only: bool = False
    exclude: Annotated[tuple[Pattern, ...], Meta(max_length=64)] = ()
    images_from: Path | None = None
    """A file that lists the images to export, as the worker sees it: an absolute path below one of its roots."""
    objects_from: Path | None = None
    """The same for objects, by their ids."""
    class_map: Annotated[dict[Name, Name], Meta(max_length=1024)] = {}
    """New names of classes by old ones: equal new names make one class of several, an empty one drops it; `*` is every other class."""
    min_area: Area | None = None
    max_area: Area | None = None
    """Bounds of objects' areas, both included, in px^2, or in um^2 where there is a scale."""
    border: Border = Border.INCLUDE
    where: Annotated[str, Meta(max_length=2048)] = ""
    """A condition on attributes that objects must meet; empty for none."""
    split: Annotated[dict[Word, Annotated[float, Meta(gt=0, le=1)]], Meta(max_length=16)] = {}
    seed: int = 0
    split_by: Annotated[str, Meta(min_length=1, max_length=512)] = "name"
    """What makes images a group that no split cuts: name, folder, regex:REGEX or attribute:NAME."""
    source_split: bool = False
    """Take the subsets of the project itself as splits."""
    on_error: OnError = OnError.FAIL
    timeout: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    """Seconds from submit after which the broker cancels the job by itself."""
    keep_partial: bool = False
    """On cancel, pack what is finished into a bundle that says it is partial."""


class Source(Part, frozen=True, kw_only=True):
    """Where the project is, as the worker sees it: an absolute path below one of the worker's roots."""

    location: Path
