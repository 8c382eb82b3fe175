"""What a project is, once a source has read it: categories, images, objects. Frozen; no file is open here."""

from dataclasses import dataclass, field
from pathlib import Path

from labelferry_export.geometry.shape import Shape

Attribute = str | int | float | bool
LARGEST_ID = 2**53
"""Of an object or an image: what every reader of json holds exactly."""


@dataclass(frozen=True)
class Category:
    """A class of objects. `id` is 1..K in the project's order, whatever the source's own numbering was."""

    id: int
    name: str
    supercategory: str = ""


@dataclass(frozen=True)
class Image:
    """An image of the project. `name` is the source's own (may hold slashes); `path` the file, checked to lie inside the project.

    `width` and `height` are those of the canvas that the annotations lie on, px: the upright image's, scaled where that was asked for. `size` (bytes) and `mtime_ns` are
    the file's at the moment of the snapshot.
    """

    id: int
    name: str
    path: Path
    width: int
    height: int
    subset: str | None = None
    """Which part of the project the source itself puts it in."""
    attributes: dict[str, Attribute] = field(default_factory=dict)
    bundle_name: str = ""
    """Its name in a bundle: one safe path component whose stem no other image of the project has (see `names`)."""
    split: str | None = None
    """Which split the export's own ratios put it in."""
    size: int = 0
    mtime_ns: int = 0
    mode: str = ""
    """Pillow's word for the pixels, as the header says it: `L`, `RGB`, `I;16`, ..."""
    orientation: int = 1
    """EXIF's, 1 to 8: how the stored pixels are turned to be upright."""
    page: int = 1
    """Which page of its file it is."""

    full_width: int = 0
    full_height: int = 0
    """The size of its file's pixels, upright, px; 0 where it is the canvas's own."""
    written: str = ""
    """The format that its file is made anew in for the bundle (`conversion`); empty: the file is copied, bit for bit."""
    quality: int = 0
    """Of that format, where it has one."""

    @property
    def full(self) -> tuple[int, int]:
        """Width and height of its file's pixels, upright, px."""
        return self.full_width or self.width, self.full_height or self.height

    @property
    def factor(self) -> tuple[float, float]:
        """What a length across and one down is multiplied with, from the file's pixels to the canvas."""
        width, height = self.full
        return self.width / width, self.height / height

    @property
    def bundle_file(self) -> str:
        """Where it lies below `images/` of a bundle: in its split's folder where there is one."""
        return f"{self.split}/{self.bundle_name}" if self.split else self.bundle_name


@dataclass(frozen=True, eq=False)
class Instance:
    """One annotated object. `id` is unique in the project, at least 1, and the same in every format, table and overlay."""

    id: int
    image_id: int
    category_id: int
    shape: Shape
    crowd: bool = False
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """How many a project has, how many were to be exported, and how many were left out on purpose, by the option that says so."""

    found: int = 0
    selected: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ListUsed:
    """A list of what to export: its file's name and digest, its entries, how many the project does not have, and the first of those."""

    file: str
    sha256: str
    entries: int
    unmatched: int
    example: str = ""


@dataclass(frozen=True)
class Chosen:
    """What was selected of a project; `lists` by the option that names them."""

    images: Counted = Counted()
    objects: Counted = Counted()
    lists: dict[str, ListUsed] = field(default_factory=dict)


@dataclass(frozen=True)
class ProjectFacts:
    """What is known of a project as a whole. `images` and `instances` are those that are exported, `splits` in order."""

    name: str
    source_format: str
    categories: tuple[Category, ...] = ()
    images: int = 0
    instances: int = 0
    info: dict[str, Attribute] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    chosen: Chosen = Chosen()
    has_attributes: bool = False
    """Whether any object has attributes."""
    has_image_attributes: bool = False
