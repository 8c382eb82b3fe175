"""What is measured on an object: the columns of the metrics tables, their definitions, and how they scale. How: measure.py."""

from enum import StrEnum
from typing import NamedTuple, Self


class Quantity(StrEnum):
    """What kind of quantity a column holds: how it scales, and its unit."""

    LENGTH = "length"
    AREA = "area"
    RATIO = "ratio"
    ANGLE = "angle"
    POSITION = "position"
    """Always in px of the image, whatever the scale."""


class Measures(NamedTuple):
    """What is measured on one object; lengths in px, areas in px^2, angles in rad, positions in px of the image. nan = not defined."""

    area: float
    """Polygon area, holes subtracted."""
    perimeter: float
    """Length of the outer rings, P."""
    perimeter_with_holes: float
    """Length of the outer rings and of the holes' rings."""
    equivalent_diameter: float
    """Diameter of the circle of the same area: sqrt(4 A / pi)."""
    circularity: float
    """4 pi A / P^2, at most 1."""
    compactness: float
    """P^2 / (4 pi A), at least 1."""
    feret_max: float
    """Greatest caliper width."""
    feret_min: float
    """Least caliper width."""
    feret_orthogonal: float
    """Caliper width at right angles to feret_max."""
    feret_aspect_ratio: float
    """feret_max / feret_min."""
    major_axis: float
    """Full length of the major axis of the ellipse with the same second moments."""
    minor_axis: float
    """Full length of its minor axis."""
    orientation: float
    """Angle from the image's downward axis to the major axis, -pi/2 to pi/2, as scikit-image has it; nan when there is no major one."""
    eccentricity: float
    """Eccentricity of that ellipse: 0 is a circle."""
    bbox_width: float
    """Width of the box around the vertices."""
    bbox_height: float
    """Height of the box around the vertices."""
    extent: float
    """A / (bbox_width bbox_height)."""
    convexity: float
    """Perimeter of the convex hull / P; above 1 only when several parts lie apart."""
    solidity: float
    """A / area of the convex hull, at most 1."""
    sphericity: float
    """2 sqrt(pi A) / P, at most 1."""
    centroid_x: float
    """Centre of the area, holes respected."""
    centroid_y: float
    """Centre of the area, holes respected."""

    def scaled(self, scale: float) -> Self:
        """Return the measures with lengths in `scale` units per px and areas in its square; ratios, angles and positions stay."""
        factors = {Quantity.LENGTH: scale, Quantity.AREA: scale * scale}
        return type(self)(
            *(value * factors.get(QUANTITY[name], 1.0) for name, value in zip(self._fields, self, strict=True))
        )


QUANTITY: dict[str, Quantity] = {
    "area": Quantity.AREA,
    "perimeter": Quantity.LENGTH,
    "perimeter_with_holes": Quantity.LENGTH,
    "equivalent_diameter": Quantity.LENGTH,
    "circularity": Quantity.RATIO,
    "compactness": Quantity.RATIO,
    "feret_max": Quantity.LENGTH,
    "feret_min": Quantity.LENGTH,
    "feret_orthogonal": Quantity.LENGTH,
    "feret_aspect_ratio": Quantity.RATIO,
    "major_axis": Quantity.LENGTH,
    "minor_axis": Quantity.LENGTH,
    "orientation": Quantity.ANGLE,
    "eccentricity": Quantity.RATIO,
    "bbox_width": Quantity.LENGTH,
    "bbox_height": Quantity.LENGTH,
    "extent": Quantity.RATIO,
    "convexity": Quantity.RATIO,
    "solidity": Quantity.RATIO,
    "sphericity": Quantity.RATIO,
    "centroid_x": Quantity.POSITION,
    "centroid_y": Quantity.POSITION,
}
"""The kind of quantity of every field of Measures, in their order."""
