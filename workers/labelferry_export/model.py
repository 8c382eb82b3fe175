"""What a project is, once a source has read it: categories, images, objects. Frozen; no file is open here."""

from dataclasses import dataclass, field
from pathlib import Path

from labelferry_export.geometry.shape import Shape

Attribute = str | int | float | bool


@dataclass(frozen=True)
class Category:
    """A class of objects. `id` is 1..K in the project's order, whatever the source's own numbering was."""

    id: int
    name: str
    supercategory: str = ""


@dataclass(frozen=True)
class Image:
    """An image of the project. `name` is the source's own (may hold slashes); `path` the file, checked to lie inside the project."""

    id: int
    name: str
    path: Path
    width: int
    height: int
    subset: str | None = None
    attributes: dict[str, Attribute] = field(default_factory=dict)


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
class ProjectFacts:
    """What is known of a project as a whole."""

    name: str
    source_format: str
    categories: tuple[Category, ...]
    images: int
    instances: int
    info: dict[str, Attribute] = field(default_factory=dict)
