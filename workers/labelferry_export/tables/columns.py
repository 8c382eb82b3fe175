"""The columns of the metrics tables: ONE literal list a table, with units and definitions. How they are filled: measuring.py.

The header of a column is its key and, where it has a unit, the unit behind it: `area_um2` with a scale, `area_px2` without one,
`circularity` always. Lengths grow with the scale s (um/px), areas with s^2, ratios, angles and positions not at all. A cell is
empty where a quantity is not defined; it is never 0 for that reason.
"""

from dataclasses import dataclass
from enum import StrEnum

Cell = str | int | float | None
"""None is an empty cell: the quantity is not defined, or there is no such text."""
Row = list[Cell]


class Kind(StrEnum):
    """What a column holds."""

    ID = "id"
    TEXT = "text"
    ATTRIBUTES = "attributes"
    """Text that is a json object."""
    COUNT = "count"
    PIXELS = "pixels"
    """A length or position in px of the image, whatever the scale."""
    LENGTH = "length"
    AREA = "area"
    RATIO = "ratio"
    ANGLE = "angle"


UNITS: dict[Kind, tuple[str, str]] = {
    Kind.PIXELS: ("px", "px"),
    Kind.LENGTH: ("px", "um"),
    Kind.AREA: ("px2", "um2"),
    Kind.ANGLE: ("rad", "rad"),
}
"""The unit of a kind without a scale and with one; the other kinds have none."""
POWERS: dict[Kind, int] = {Kind.LENGTH: 1, Kind.AREA: 2}
"""Which power of the scale a value is multiplied with; 0 for the other kinds."""


@dataclass(frozen=True)
class Column:
    """A column: `key` is its name for programs and never changes, `title` for people, `definition` says what it is, in one sentence."""

    key: str
    title: str
    kind: Kind
    definition: str

    def unit(self, scaled: bool) -> str:
        """Return the unit, `scaled` when lengths are in micrometres; empty where there is none."""
        return UNITS.get(self.kind, ("", ""))[scaled]

    def header(self, scaled: bool) -> str:
        """Return the name that stands over the column."""
        unit = self.unit(scaled)
        return f"{self.key}_{unit}" if unit else self.key

    def factor(self, scale: float | None) -> float:
        """Return what a value in px is multiplied with; `scale` in um/px."""
        power = POWERS.get(self.kind, 0)
        return 1.0 if scale is None else float(scale**power)


MEASURES: tuple[Column, ...] = (
    Column(
        "area",
        "Area",
        Kind.AREA,
        "Area A of the polygon, holes subtracted; exact (shoelace formula), not a count of pixels.",
    ),
    Column("perimeter", "Perimeter", Kind.LENGTH, "Length P of the outer outline or outlines."),
    Column("perimeter_with_holes", "Perimeter with holes", Kind.LENGTH, "P plus the length of the holes' outlines."),
    Column(
        "equivalent_diameter",
        "Equivalent diameter",
        Kind.LENGTH,
        "Diameter of the circle of the same area: sqrt(4 A / pi).",
    ),
    Column("circularity", "Circularity", Kind.RATIO, "4 pi A / P^2, at most 1: 1 is a circle (Cox, 1927)."),
    Column("compactness", "Compactness", Kind.RATIO, "P^2 / (4 pi A), at least 1: the inverse of circularity."),
    Column("feret_max", "Feret diameter, greatest", Kind.LENGTH, "Greatest caliper width of the convex hull."),
    Column("feret_min", "Feret diameter, least", Kind.LENGTH, "Least caliper width of the convex hull."),
    Column(
        "feret_orthogonal",
        "Feret diameter, orthogonal",
        Kind.LENGTH,
        "Caliper width at right angles to the greatest one.",
    ),
    Column("feret_aspect_ratio", "Feret aspect ratio", Kind.RATIO, "feret_max / feret_min."),
    Column(
        "major_axis",
        "Major axis",
        Kind.LENGTH,
        "Full length of the major axis of the ellipse with the same second moments as the polygon.",
    ),
    Column("minor_axis", "Minor axis", Kind.LENGTH, "Full length of the minor axis of that ellipse."),
    Column(
        "orientation",
        "Orientation",
        Kind.ANGLE,
        "Angle from the image's downward axis to the major axis, -pi/2 to pi/2, as scikit-image's regionprops has it; empty where no axis is longer.",
    ),
    Column("eccentricity", "Eccentricity", Kind.RATIO, "Eccentricity of that ellipse: 0 is a circle, 1 a line."),
    Column("bbox_width", "Box width", Kind.LENGTH, "Width of the upright box around the vertices."),
    Column("bbox_height", "Box height", Kind.LENGTH, "Height of the upright box around the vertices."),
    Column("extent", "Extent", Kind.RATIO, "A / (bbox_width bbox_height)."),
    Column(
        "convexity", "Convexity", Kind.RATIO, "Perimeter of the convex hull / P; above 1 only where parts lie apart."
    ),
    Column("solidity", "Solidity", Kind.RATIO, "A / area of the convex hull, at most 1."),
    Column("sphericity", "Sphericity", Kind.RATIO, "2 sqrt(pi A) / P, at most 1: the square root of circularity."),
    Column("centroid_x", "Centroid x", Kind.PIXELS, "Centre of the area, holes respected, from the image's left edge."),
    Column("centroid_y", "Centroid y", Kind.PIXELS, "Centre of the area, holes respected, from the image's top edge."),
)
"""What is measured on an object, in the order of the geometry kernel's `Measures`."""

MAIN_MEASURES = (
    "area",
    "perimeter",
    "equivalent_diameter",
    "circularity",
    "feret_max",
    "feret_min",
    "eccentricity",
    "solidity",
)
"""The measures that are summed up for an image and for a class."""

STATISTICS: tuple[tuple[str, str, str], ...] = (
    ("mean", "mean", "Arithmetic mean of {key} over the objects for which it is defined."),
    ("median", "median", "Median of {key}; of an even number of objects, the mean of the middle two."),
    ("std", "standard deviation", "Sample standard deviation of {key} (n - 1); empty below two objects."),
    ("min", "least", "Least {key}."),
    ("max", "greatest", "Greatest {key}."),
)
"""Key, title and definition of what is computed of each main measure; fields of `Summary`."""

_SUM = ("sum", "sum", "Sum of {key}; 0 where there are no objects.")


def _summed_up() -> tuple[Column, ...]:
    columns = {column.key: column for column in MEASURES}
    return tuple(
        Column(f"{key}_{name}", f"{columns[key].title}, {title}", columns[key].kind, text.format(key=key))
        for key in MAIN_MEASURES
        for name, title, text in ((_SUM, *STATISTICS) if key == "area" else STATISTICS)
    )


SUMMARIES: tuple[Column, ...] = _summed_up()
"""The statistics of the main measures, for the tables of images and classes; crowds are not part of them."""

_OBJECTS_COUNTED = Column("objects", "Objects", Kind.COUNT, "Number of objects, crowds not counted.")
_CROWDS_COUNTED = Column(
    "crowds", "Crowds", Kind.COUNT, "Number of crowds: regions that hold several objects nobody told apart."
)

OBJECT_COLUMNS: tuple[Column, ...] = (
    Column(
        "object_id",
        "Object",
        Kind.ID,
        "The object's id: the same in every format, and the number drawn on the overlay.",
    ),
    Column("image_id", "Image id", Kind.ID, "The image's id in every format."),
    Column("image", "Image", Kind.TEXT, "The image's file below images/ of the bundle."),
    Column("class_id", "Class id", Kind.ID, "The class's id, 1 to the number of classes."),
    Column("class", "Class", Kind.TEXT, "The class's name."),
    Column("crowd", "Crowd", Kind.COUNT, "1 where the region holds several objects nobody told apart, else 0."),
    Column("parts", "Parts", Kind.COUNT, "Number of pieces the object is drawn in."),
    Column("holes", "Holes", Kind.COUNT, "Number of holes in all its parts."),
    Column("mask_pixels", "Mask pixels", Kind.COUNT, "Number of pixels of its mask: the area that COCO states."),
    *MEASURES,
    Column(
        "attributes", "Attributes", Kind.ATTRIBUTES, "The object's own attributes in the project, as a json object."
    ),
)
IMAGE_COLUMNS: tuple[Column, ...] = (
    Column("image_id", "Image id", Kind.ID, "The image's id in every format."),
    Column("image", "Image", Kind.TEXT, "The image's file below images/ of the bundle."),
    Column("source_name", "Name in the project", Kind.TEXT, "What the project calls the image."),
    Column("subset", "Subset", Kind.TEXT, "The part of the project that the project itself puts the image in."),
    Column("split", "Split", Kind.TEXT, "The split that the export puts the image in."),
    Column("width", "Width", Kind.PIXELS, "Width of the image."),
    Column("height", "Height", Kind.PIXELS, "Height of the image."),
    _OBJECTS_COUNTED,
    _CROWDS_COUNTED,
    Column(
        "covered_pixels",
        "Covered pixels",
        Kind.COUNT,
        "Number of pixels that lie in the mask of at least one object or crowd.",
    ),
    Column("covered_fraction", "Covered fraction", Kind.RATIO, "covered_pixels / (width height)."),
    *SUMMARIES,
)
CLASS_COLUMNS: tuple[Column, ...] = (
    Column("class_id", "Class id", Kind.ID, "The class's id, 1 to the number of classes."),
    Column("class", "Class", Kind.TEXT, "The class's name."),
    Column("supercategory", "Supercategory", Kind.TEXT, "The group that the project puts the class in."),
    Column("images", "Images", Kind.COUNT, "Number of images with at least one object or crowd of the class."),
    _OBJECTS_COUNTED,
    _CROWDS_COUNTED,
    Column(
        "covered_pixels",
        "Covered pixels",
        Kind.COUNT,
        "Number of pixels, in all images, that lie in a mask of the class.",
    ),
    Column("covered_fraction", "Covered fraction", Kind.RATIO, "covered_pixels / pixels of all exported images."),
    *SUMMARIES,
)
COLUMN_COLUMNS: tuple[Column, ...] = (
    Column("table", "Table", Kind.TEXT, "The table that has the column."),
    Column("column", "Column", Kind.TEXT, "The column's header."),
    Column("title", "Title", Kind.TEXT, "What it is called."),
    Column(
        "unit",
        "Unit",
        Kind.TEXT,
        "The unit of its values: um is micrometre, px pixel, rad radian; empty where there is none.",
    ),
    Column("definition", "Definition", Kind.TEXT, "What it is."),
)
"""The table that explains the others."""
